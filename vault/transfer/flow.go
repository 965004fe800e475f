package transfer

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/aivault/aivault/backends"
)

const (
	minJobs = 2
	// worthwhile is by how much one object more under way must raise the rate.
	worthwhile = 1.02
	// settled is for how many rounds nothing is tried after one more did not help.
	settled = 4
)

// flow finds how many objects to have under way at once: one more each round
// while that raises the rate, half as many where the store fails or asks to be
// spared (additive increase, multiplicative decrease: Chiu and Jain, 1989). A
// round is thrice as many objects as are under way, of which the first third,
// begun before the last decision, are not measured. It is the store that the objects
// go to or come from, to measure them, and the pool of the buffers that hold
// them, to bound them.
type flow struct {
	backends.Store
	*pool
	now func() time.Time

	mu    sync.Mutex
	limit int
	most  int           // limit never exceeds it; fixed if it is also the least
	least int           //
	busy  int           // buffers handed out
	freed chan struct{} // closed when busy falls or limit rises
	full  bool          // the limit was reached in this round

	began   time.Time // of the round
	moved   int64     // bytes in it
	objects int       // finished in it
	rate    float64   // of the round before, in bytes a second; 0: there is nothing to compare with
	hold    int       // rounds to go before another is tried
	spared  time.Time // when the limit was halved
	last    time.Time // when an object was finished
}

// newFlow returns a flow of at most n objects, or of a number that it finds if n
// is 0.
func newFlow(store backends.Store, n int, now func() time.Time) *flow {
	f := &flow{Store: store, now: now, freed: make(chan struct{}), began: now()}
	if n > 0 {
		f.least, f.limit, f.most = jobs(n), jobs(n), jobs(n)
	} else {
		f.least, f.limit, f.most = minJobs, DefaultJobs, MaxJobs
	}
	f.pool = newPool(f.most, sealedSize)
	return f
}

// get waits until one object more may be under way, and returns a buffer for it.
func (f *flow) get(ctx context.Context) ([]byte, error) {
	for {
		f.mu.Lock()
		if f.busy < f.limit {
			f.busy++
			f.full = f.full || f.busy == f.limit
			f.mu.Unlock()
			return f.pool.get(ctx) // it has as many buffers as limit can be
		}
		freed := f.freed
		f.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// put takes a buffer back.
func (f *flow) put(b []byte) {
	f.pool.put(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy--
	f.wake()
}

func (f *flow) wake() {
	close(f.freed)
	f.freed = make(chan struct{})
}

// Put implements backends.Store.
func (f *flow) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	began := f.now()
	info, err := f.Store.Put(ctx, key, body)
	return info, f.note(began, int64(len(body)), err)
}

// Get implements backends.Store.
func (f *flow) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	began := f.now()
	r, info, err := f.Store.Get(ctx, ref, off, n)
	if err != nil {
		return nil, info, f.note(began, 0, err)
	}
	return &flowing{ReadCloser: r, flow: f, began: began}, info, nil
}

// flowing is an object on its way here.
type flowing struct {
	io.ReadCloser
	flow  *flow
	began time.Time
	n     int64
	err   error
}

func (r *flowing) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.n += int64(n)
	if err != nil && err != io.EOF {
		if r.err == nil {
			r.err = r.flow.note(r.began, 0, err)
		}
		err = r.err
	}
	return n, err
}

func (r *flowing) Close() error {
	if r.err == nil {
		_ = r.flow.note(r.began, r.n, nil) // of nil it makes nil
	}
	return r.ReadCloser.Close()
}

// note counts an object that began at a time, and returns its error. One that
// stalled while others went on is worth another attempt.
func (f *flow) note(began time.Time, n int64, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if err == nil {
		f.last = now
		f.moved += n
		switch f.objects++; f.objects {
		case f.limit:
			f.began, f.moved = now, 0
		case 3 * f.limit:
			f.round(now)
		}
		return nil
	}
	if (errors.Is(err, backends.Unavailable) || errors.Is(err, backends.Indeterminate)) && !began.Before(f.spared) {
		// Others that began before this one failed say nothing new.
		f.limit, f.spared = max(f.least, f.limit/2), now
		f.begin(now, 0)
	}
	var e *backends.Error
	if errors.As(err, &e) && e.Stalled && f.last.After(began) {
		again := *e
		again.Stalled = false
		return &again
	}
	return err
}

// round ends a round and decides about the next.
func (f *flow) round(now time.Time) {
	rate := float64(f.moved) / max(now.Sub(f.began), 1).Seconds()
	switch {
	case !f.full: // something else is slower than the link
	case f.hold > 1:
		f.hold--
	case f.hold == 1:
		f.limit, f.hold = min(f.limit+1, f.most), 0
	case f.rate == 0 || rate > f.rate*worthwhile:
		f.limit = min(f.limit+1, f.most)
	default:
		f.limit, f.hold = max(f.limit-1, f.least), settled
	}
	f.begin(now, rate)
	f.wake()
}

func (f *flow) begin(now time.Time, rate float64) {
	f.began, f.moved, f.objects, f.rate, f.full = now, 0, 0, rate, f.busy >= f.limit
}
