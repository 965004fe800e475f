package cli

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// limit returns what --limit-rate puts between a store and the network, nil
// without it. All stores of a run share one allowance.
func (r *run) limit() func(http.RoundTripper) http.RoundTripper {
	if r.set.rate == 0 {
		return nil
	}
	if r.allowance == nil {
		r.allowance = &allowance{rate: r.set.rate, now: r.sys.now}
	}
	return func(next http.RoundTripper) http.RoundTripper { return &slowed{next, r.allowance} }
}

// allowance gives out bytes at a rate. It is safe for concurrent use.
type allowance struct {
	rate int64 // bytes a second
	now  func() time.Time

	mu   sync.Mutex
	free time.Time // when everything given out so far has been paid for
}

// most is how many bytes are given out at once: a tenth of a second's worth.
func (a *allowance) most() int { return int(min(max(a.rate/10, 1), 1<<20)) }

// take waits until n bytes may pass.
func (a *allowance) take(ctx context.Context, n int) error {
	a.mu.Lock()
	now := a.now()
	if a.free.Before(now) {
		a.free = now
	}
	wait := a.free.Sub(now)
	a.free = a.free.Add(time.Duration(float64(n) / float64(a.rate) * float64(time.Second)))
	a.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slowed sends and receives bodies at the rate of an allowance.
type slowed struct {
	next http.RoundTripper
	*allowance
}

func (s *slowed) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		out := req.Clone(req.Context())
		out.Body = &slowedBody{req.Body, req.Context(), s.allowance}
		req = out
	}
	resp, err := s.next.RoundTrip(req)
	if err == nil {
		resp.Body = &slowedBody{resp.Body, req.Context(), s.allowance}
	}
	return resp, err
}

type slowedBody struct {
	io.ReadCloser
	ctx context.Context
	*allowance
}

func (b *slowedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.most())])
	if n > 0 {
		if waitErr := b.take(b.ctx, n); waitErr != nil {
			return n, waitErr
		}
	}
	return n, err
}
