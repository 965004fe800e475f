package transfer

import "context"

// pool hands out a fixed number of buffers, allocated when first needed.
type pool struct {
	free chan []byte
	size int
}

func newPool(n, size int) *pool {
	p := &pool{make(chan []byte, n), size}
	for range n {
		p.free <- nil
	}
	return p
}

// get waits for a buffer. It is empty; its capacity is the pool's size.
func (p *pool) get(ctx context.Context) ([]byte, error) {
	select {
	case b := <-p.free:
		if b == nil {
			b = make([]byte, 0, p.size)
		}
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// put takes a buffer back.
func (p *pool) put(b []byte) { p.free <- b[:0] }
