package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/aivault/aivault/backends"
)

// Mode is what a [Faulty] store does with a call.
type Mode uint8

// The modes, and the calls each is for.
const (
	Pass       Mode = iota // any: nothing unusual
	Fail                   // any: not applied, and said to be so (Unavailable)
	FailLost               // put, erase: not applied, outcome unknown (Indeterminate)
	FailStored             // put, erase: applied, outcome unknown (Indeterminate)
	Hang                   // any: not applied, no answer until ctx is done
	Break                  // get, list: half of it, then an error (Unavailable)
	Truncate               // get, list: half of it, then an end as if that were all
	Corrupt                // get, put: one bit of the body flipped, and no error
)

// Fault is a decision about one call. Err, if not nil, replaces the error of
// the mode; its kind should fit what the mode does.
type Fault struct {
	Mode Mode
	Err  error
}

// Call describes the call to decide about.
type Call struct {
	Op  Op
	Key string // key or prefix; of an erase the first key
	N   int    // this is the Nth call of Op, from 1
}

// Faulty passes calls on to a store, or fails them as a function decides. It is
// safe for concurrent use.
type Faulty struct {
	store  backends.Store
	decide func(Call) Fault

	mu    sync.Mutex
	calls map[Op]int
}

var _ backends.Store = (*Faulty)(nil)

// NewFaulty returns s with faults. Decide is called once a call, one at a time;
// nil passes everything.
func NewFaulty(s backends.Store, decide func(Call) Fault) *Faulty {
	return &Faulty{store: s, decide: decide, calls: make(map[Op]int)}
}

// FailNth decides that the nth call of op (from 1) meets with mode, and no other.
func FailNth(op Op, n int, mode Mode) func(Call) Fault {
	return func(c Call) Fault {
		if c.Op == op && c.N == n {
			return Fault{Mode: mode}
		}
		return Fault{}
	}
}

// CrashAt decides that the nth call of op (from 1) meets with mode, and that
// every call after it, of any op, fails: what storage sees of a client that
// dies there.
func CrashAt(op Op, n int, mode Mode) func(Call) Fault {
	dead := false
	return func(c Call) Fault {
		switch {
		case dead:
			return Fault{Mode: Fail}
		case c.Op == op && c.N == n:
			dead = true
			return Fault{Mode: mode}
		}
		return Fault{}
	}
}

// FailKeys decides that every call of op on a key with the prefix meets with mode.
func FailKeys(op Op, prefix string, mode Mode) func(Call) Fault {
	return func(c Call) Fault {
		if c.Op == op && strings.HasPrefix(c.Key, prefix) {
			return Fault{Mode: mode}
		}
		return Fault{}
	}
}

// Either decides as the first of several that does not pass.
func Either(decides ...func(Call) Fault) func(Call) Fault {
	return func(c Call) Fault {
		for _, decide := range decides {
			if f := decide(c); f.Mode != Pass {
				return f
			}
		}
		return Fault{}
	}
}

// Calls tells how many calls of op there were.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// ErrInjected is the cause in every error that a [Faulty] store makes up, but
// for Hang, whose cause is ctx.Err().
var ErrInjected = errors.New("injected fault")

// fault counts a call, and returns what is to become of it and the error that
// the mode returns.
func (f *Faulty) fault(ctx context.Context, op Op, key string, allowed ...Mode) (Mode, error) {
	f.mu.Lock()
	f.calls[op]++
	var d Fault
	if f.decide != nil {
		d = f.decide(Call{op, key, f.calls[op]})
	}
	f.mu.Unlock()

	kind, cause := backends.Unavailable, ErrInjected
	switch d.Mode {
	case Pass, Fail:
	case Hang:
		<-ctx.Done()
		cause = ctx.Err()
		if op == Put || op == Erase {
			kind = backends.Indeterminate
		}
	default:
		if !slices.Contains(allowed, d.Mode) {
			return Fail, &backends.Error{Op: string(op), Key: key, Kind: backends.Invalid, Err: fmt.Errorf("mode %d is not for %s", d.Mode, op)}
		}
		if d.Mode == FailLost || d.Mode == FailStored {
			kind = backends.Indeterminate
		}
	}
	if d.Err != nil {
		return d.Mode, d.Err
	}
	return d.Mode, &backends.Error{Op: string(op), Key: key, Kind: kind, Err: cause}
}

// Put implements [backends.Store].
func (f *Faulty) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	mode, fail := f.fault(ctx, Put, key, FailLost, FailStored, Corrupt)
	switch mode {
	case Pass:
	case Corrupt:
		body = flip(body, len(body)/2)
	case FailStored:
		if _, err := f.store.Put(ctx, key, body); err != nil {
			return backends.Info{}, err
		}
		return backends.Info{}, fail
	default:
		return backends.Info{}, fail
	}
	return f.store.Put(ctx, key, body)
}

// flip returns a copy of body with a bit of byte i flipped.
func flip(body []byte, i int) []byte {
	body = bytes.Clone(body)
	if i < len(body) {
		body[i] ^= 0x10
	}
	return body
}

// Get implements [backends.Store].
func (f *Faulty) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	mode, fail := f.fault(ctx, Get, ref.Key, Break, Truncate, Corrupt)
	switch mode {
	case Pass:
		return f.store.Get(ctx, ref, off, n)
	case Break, Truncate, Corrupt:
	default:
		return nil, backends.Info{}, fail
	}
	r, in, err := f.store.Get(ctx, ref, off, n)
	if err != nil {
		return nil, in, err
	}
	body, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, in, err
	}
	var out io.Reader
	switch half := len(body) / 2; mode {
	case Break:
		out = io.MultiReader(bytes.NewReader(body[:half]), failingReader{fail})
	case Truncate:
		out = bytes.NewReader(body[:half])
	case Corrupt:
		out = bytes.NewReader(flip(body, half))
	}
	return io.NopCloser(out), in, nil
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// List implements [backends.Store].
func (f *Faulty) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		mode, fail := f.fault(ctx, List, prefix, Break, Truncate)
		switch mode {
		case Pass:
			f.store.List(ctx, prefix, o)(yield)
			return
		case Break, Truncate:
		default:
			yield(backends.Info{}, fail)
			return
		}
		var all []backends.Info
		for in, err := range f.store.List(ctx, prefix, o) {
			if err != nil {
				yield(backends.Info{}, err)
				return
			}
			all = append(all, in)
		}
		for _, in := range all[:len(all)/2] {
			if !yield(in, nil) {
				return
			}
		}
		if mode == Break {
			yield(backends.Info{}, fail)
		}
	}
}

// Erase implements [backends.Store].
func (f *Faulty) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	first := ""
	if len(keys) > 0 {
		first = keys[0]
	}
	mode, fail := f.fault(ctx, Erase, first, FailLost, FailStored)
	switch mode {
	case Pass:
		return f.store.Erase(ctx, keys...)
	case FailStored:
		if _, err := f.store.Erase(ctx, keys...); err != nil {
			return nil, err
		}
	}
	return nil, fail
}

// Probe implements [backends.Store].
func (f *Faulty) Probe(ctx context.Context) (backends.Capabilities, error) {
	if mode, fail := f.fault(ctx, Probe, ""); mode != Pass {
		return backends.Capabilities{}, fail
	}
	return f.store.Probe(ctx)
}
