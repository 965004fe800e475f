package transfer

import (
	"context"
	"unsafe"
)

// block is what direct reads and writes are multiples of, in memory and in a
// file: as much as any file system asks for.
const block = 4096

// pool hands out a fixed number of buffers, allocated when first needed. They
// begin at a multiple of block in memory, and have room for the pool's size
// after any part of a block.
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

// get waits for a buffer. It is empty; its capacity is at least the pool's size
// and a block.
func (p *pool) get(ctx context.Context) ([]byte, error) {
	select {
	case b := <-p.free:
		if b == nil {
			b = aligned(p.size + block)
		}
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// put takes a buffer back. It must begin where it began.
func (p *pool) put(b []byte) { p.free <- b[:0] }

// aligned returns an empty buffer with room for n bytes.
func aligned(n int) []byte {
	b := make([]byte, n+block)
	skip := -misaligned(b) & (block - 1)
	return b[skip:skip]
}

// misaligned is how far into a block of memory b begins. It is not moved: b is
// in use, and Go does not move what the heap holds.
func misaligned(b []byte) int { return int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (block - 1)) }
