package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/backends"
)

// simulated is a link: each object takes a latency and then its share of the
// rate, and beyond so many at once the store asks to be spared.
type simulated struct {
	backends.Store
	latency time.Duration
	rate    float64 // bytes a second
	bound   int     // 0: none

	mu     sync.Mutex
	free   time.Time // when the link has sent all that was given to it
	busy   int
	most   int
	failed int
	bytes  int64
}

func (s *simulated) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	s.mu.Lock()
	s.busy++
	s.most = max(s.most, s.busy)
	over := s.bound > 0 && s.busy > s.bound
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
	}()
	time.Sleep(s.latency)
	if over {
		s.mu.Lock()
		s.failed++
		s.mu.Unlock()
		return backends.Info{}, &backends.Error{Op: "put", Key: key, Kind: backends.Unavailable}
	}
	s.mu.Lock()
	if now := time.Now(); s.free.Before(now) {
		s.free = now
	}
	s.free = s.free.Add(time.Duration(float64(len(body)) / s.rate * float64(time.Second)))
	wait := time.Until(s.free)
	s.bytes += int64(len(body))
	s.mu.Unlock()
	time.Sleep(wait)
	return backends.Info{}, nil
}

// drive sends n objects through a flow, as fast as it lets them.
func drive(t *testing.T, f *flow, n int) {
	t.Helper()
	body := make([]byte, 1<<20)
	var wg sync.WaitGroup
	for range n {
		buf, err := f.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer f.put(buf)
			for {
				if _, err := f.Put(t.Context(), "k", body); err == nil {
					return
				}
				time.Sleep(rand.N(200 * time.Millisecond))
			}
		})
	}
	wg.Wait()
}

func smallFlow(s backends.Store, n int) *flow {
	f := newFlow(s, n, time.Now)
	f.pool = newPool(f.most, 1)
	return f
}

func TestFlowFindsTheNumber(t *testing.T) {
	for name, c := range map[string]struct {
		link     *simulated
		low, top int     // where the limit ends
		share    float64 // of the link's rate that the last objects reach, at least
	}{
		// One object keeps it busy for 10 of 110 ms: 11 are needed.
		"fast, far":  {&simulated{latency: 100 * time.Millisecond, rate: 100 << 20}, 10, 14, 0.85},
		"very far":   {&simulated{latency: time.Second, rate: 1 << 30}, MaxJobs - 2, MaxJobs, 0},
		"slow, near": {&simulated{latency: time.Millisecond, rate: 1 << 20}, minJobs, 5, 0.95},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := smallFlow(c.link, 0)
			drive(t, f, 600)
			start, before := time.Now(), c.link.bytes
			drive(t, f, 100)
			got := float64(c.link.bytes-before) / time.Since(start).Seconds() / c.link.rate
			if f.limit < c.low || f.limit > c.top || got < c.share {
				t.Errorf("%s: %d at once reach %.2f of the link's rate", name, f.limit, got)
			}
			if c.link.most > MaxJobs {
				t.Errorf("%s: %d at once", name, c.link.most)
			}
		})
	}
}

func TestFlowSparesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := &simulated{latency: 100 * time.Millisecond, rate: 1 << 30, bound: 6}
		f := smallFlow(link, 0)
		drive(t, f, 1000)
		if link.failed == 0 || link.failed > 150 || link.most > 8 {
			t.Errorf("of 1000 objects %d were refused, %d were under way at once", link.failed, link.most)
		}
		link.bound = 1
		drive(t, f, 50)
		if f.limit != minJobs {
			t.Errorf("a store that is overwhelmed still gets %d at once", f.limit)
		}
	})
}

func TestFlowOfAFixedNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := &simulated{latency: 100 * time.Millisecond, rate: 1 << 30, bound: 6}
		drive(t, smallFlow(link, 7), 100)
		if link.most != 7 {
			t.Errorf("%d at once where 7 were asked for", link.most)
		}
	})
}

// stalling stalls after others have gone through.
type stalling struct {
	backends.Store
	wait time.Duration
}

func (s *stalling) Put(context.Context, string, []byte) (backends.Info, error) {
	time.Sleep(s.wait)
	return backends.Info{}, &backends.Error{Op: "put", Kind: backends.Indeterminate, Stalled: true}
}

func (s *stalling) Get(context.Context, backends.Ref, int64, int64) (io.ReadCloser, backends.Info, error) {
	return io.NopCloser(bytes.NewReader(nil)), backends.Info{}, nil
}

// One object that stalls is tried again as long as others go on.
func TestFlowThatStallsInPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := smallFlow(&stalling{wait: time.Minute}, 0)
		var e *backends.Error
		if _, err := f.Put(t.Context(), "k", nil); !errors.As(err, &e) || !e.Stalled {
			t.Errorf("nothing else moved: %v", err)
		}
		time.AfterFunc(time.Second, func() {
			if r, _, err := f.Get(t.Context(), backends.Ref{}, 0, -1); err != nil || r.Close() != nil {
				t.Error(err)
			}
		})
		if _, err := f.Put(t.Context(), "k", nil); !errors.As(err, &e) || e.Stalled || e.Kind != backends.Indeterminate {
			t.Errorf("others moved: %v", err)
		}
	})
}
