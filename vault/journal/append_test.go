package journal_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

// TestAppendUnderFaults: a store that fails in every way, before and after it
// has stored. The entry stands once, or not and Append says so.
func TestAppendUnderFaults(t *testing.T) {
	full := &backends.Error{Op: "put", Kind: backends.Full}
	denied := &backends.Error{Op: "put", Kind: backends.Denied}
	conflict := &backends.Error{Op: "put", Kind: backends.Exists}
	at := backendtest.FailNth
	each := func(op backendtest.Op, mode backendtest.Mode, first int) func(backendtest.Call) backendtest.Fault {
		return func(c backendtest.Call) backendtest.Fault {
			if c.Op == op && c.N <= first {
				return backendtest.Fault{Mode: mode}
			}
			return backendtest.Fault{}
		}
	}
	with := func(err error, mode backendtest.Mode) func(backendtest.Call) backendtest.Fault {
		return func(c backendtest.Call) backendtest.Fault {
			if c.Op == backendtest.Put && c.N == 1 {
				return backendtest.Fault{Mode: mode, Err: err}
			}
			return backendtest.Fault{}
		}
	}
	for name, c := range map[string]struct {
		decide func(backendtest.Call) backendtest.Fault
		want   error
		stands bool
		puts   int
	}{
		"nothing":                                {nil, nil, true, 1},
		"not stored, said so":                    {at(backendtest.Put, 1, backendtest.Fail), nil, true, 2},
		"not stored, outcome unknown":            {at(backendtest.Put, 1, backendtest.FailLost), nil, true, 2},
		"stored, outcome unknown":                {at(backendtest.Put, 1, backendtest.FailStored), nil, true, 1},
		"stored, and said to be taken (412)":     {with(conflict, backendtest.FailStored), nil, true, 1},
		"not stored, and said to be taken (409)": {with(conflict, backendtest.FailLost), nil, true, 2},
		"not stored five times":                  {each(backendtest.Put, backendtest.FailLost, 5), nil, true, 6},
		"stored, and the look fails":             {backendtest.Either(at(backendtest.Put, 1, backendtest.FailStored), at(backendtest.Get, 1, backendtest.Fail)), nil, true, 2},
		"stored, and three looks fail":           {backendtest.Either(at(backendtest.Put, 1, backendtest.FailStored), each(backendtest.Get, backendtest.Fail, 3)), nil, true, 4},
		"stored, and the look breaks off":        {backendtest.Either(at(backendtest.Put, 1, backendtest.FailStored), at(backendtest.Get, 1, backendtest.Break)), nil, true, 2},
		"not stored, and the look fails":         {backendtest.Either(at(backendtest.Put, 1, backendtest.FailLost), at(backendtest.Get, 1, backendtest.Fail)), nil, true, 2},
		"full":                                   {with(full, backendtest.Fail), backends.Full, false, 1},
		"denied":                                 {with(denied, backendtest.Fail), backends.Denied, false, 1},
		"always said to be taken, and nothing there": {func(c backendtest.Call) backendtest.Fault {
			if c.Op == backendtest.Put {
				return backendtest.Fault{Mode: backendtest.Fail, Err: conflict}
			}
			return backendtest.Fault{}
		}, journal.ErrJunk, false, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := filled(t, 33)
			faulty := backendtest.NewFaulty(backendtest.NewWriteOnce(t, b.mem, nil), c.decide)
			b.journal.Store = faulty
			e, sealed := b.next(b.log, nil), 0
			log, err := b.journal.Append(t.Context(), b.log, e, func(plain []byte) ([]byte, error) { sealed++; return seal(plain) })
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if sealed != 1 || faulty.Calls(backendtest.Put) != c.puts {
				t.Errorf("%s: sealed %d times, put %d times, want %d", name, sealed, faulty.Calls(backendtest.Put), c.puts)
			}
			if err == nil {
				if log.Head() != e.Position() {
					t.Errorf("%s: the head is %s", name, log.Head())
				}
				b.log = log
			}
			b.journal.Store = b.mem
			b.good(nil)
			if (err == nil) != c.stands {
				t.Errorf("%s: stands %v, and Append says %v", name, c.stands, err)
			}
		})
	}
}

func TestAppendLost(t *testing.T) {
	for name, decide := range map[string]func(backendtest.Call) backendtest.Fault{
		"at once": nil,
		"after an attempt without a clear answer": backendtest.FailNth(backendtest.Put, 1, backendtest.FailLost),
		"after an attempt that was not applied":   backendtest.FailNth(backendtest.Put, 1, backendtest.Fail),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := filled(t, 5)
			mine := b.next(b.log, nil)
			before := b.log
			b.fill(1)
			b.journal.Store = backendtest.NewFaulty(b.mem, decide)
			if log, err := b.journal.Append(t.Context(), before, mine, seal); !errors.Is(err, journal.ErrLost) || log != nil {
				t.Errorf("%s: %v", name, err)
			}
			b.journal.Store = b.mem
			b.good(nil)
		})
	}
}

// TestAppendCancelled: a store that hangs is waited for until the context ends.
func TestAppendCancelled(t *testing.T) {
	for _, op := range []backendtest.Op{backendtest.Put, backendtest.Get} {
		synctest.Test(t, func(t *testing.T) {
			b := filled(t, 5)
			b.journal.Store = backendtest.NewFaulty(b.mem, backendtest.Either(backendtest.FailNth(op, 1, backendtest.Hang), backendtest.FailNth(backendtest.Put, 1, backendtest.FailStored)))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			_, err := b.journal.Append(ctx, b.log, b.next(b.log, nil), seal)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
				t.Errorf("%s hangs: %v after %v", op, err, time.Since(start))
			}
			if errors.Is(err, journal.ErrLost) {
				t.Errorf("%s hangs: it says that the slot is lost", op)
			}
		})
	}
}

// TestStall bounds how long a store without clear answers is waited for.
func TestStall(t *testing.T) {
	for name, decide := range map[string]func(backendtest.Call) backendtest.Fault{
		"hangs":   backendtest.FailKeys(backendtest.Put, "", backendtest.Hang),
		"refuses": backendtest.FailKeys(backendtest.Put, "", backendtest.Fail),
		"loses":   backendtest.FailKeys(backendtest.Put, "", backendtest.FailLost),
		"stores, and cannot be read": backendtest.Either(backendtest.FailKeys(backendtest.Put, "", backendtest.FailStored),
			backendtest.FailKeys(backendtest.Get, "", backendtest.Fail)),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := filled(t, 5)
			b.journal.Store, b.journal.Stall = backendtest.NewFaulty(b.mem, decide), time.Minute
			start := time.Now()
			_, err := b.journal.Append(t.Context(), b.log, b.next(b.log, nil), seal)
			if took := time.Since(start); !errors.Is(err, backends.Unavailable) || took > time.Minute {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			if errors.Is(err, journal.ErrLost) || errors.Is(err, journal.ErrJunk) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	b := filled(t, 5)
	counting := backendtest.NewCounting(b.mem)
	b.journal.Store = counting
	for name, e := range map[string]*entry.Entry{
		"of another number":  b.next(b.log, func(h *entry.Header) { h.Seq++ }),
		"after another":      b.next(b.log.Before(4), nil),
		"backdated":          b.next(b.log, func(h *entry.Header) { h.Time = entry.At(noon.Add(-time.Second)) }),
		"of another journal": b.next(b.log, func(h *entry.Header) { h.Journal = entry.VaultJournal }),
	} {
		if _, err := b.journal.Append(t.Context(), b.log, e, seal); err == nil {
			t.Errorf("an entry %s: appended", name)
		}
	}
	broken := errors.New("broken")
	if _, err := b.journal.Append(t.Context(), b.log, b.next(b.log, nil), func([]byte) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("sealing fails: %v", err)
	}
	if n := len(counting.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestAppendKeepsTheLog: two entries appended to one log do not disturb each other.
func TestAppendKeepsTheLog(t *testing.T) {
	b := filled(t, 5)
	start := b.log
	first, err := b.journal.Append(t.Context(), start, b.next(start, nil), seal)
	if err != nil {
		t.Fatal(err)
	}
	other := newBench(t, mem.Options{})
	other.journal.ID = b.journal.ID
	second, err := other.journal.Append(t.Context(), start, b.next(start, nil), seal)
	if err != nil {
		t.Fatal(err)
	}
	if len(start.Entries) != 5 || first.Head() == second.Head() || slices.Equal(first.Entries, second.Entries) {
		t.Error("the logs share an entry")
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		longest := time.Duration(0)
		for attempt := range 200 {
			start := time.Now()
			if err := journal.Pause(t.Context(), attempt); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, time.Since(start))
		}
		if longest > 6*time.Second || longest < time.Second {
			t.Errorf("the longest of 200 pauses was %v", longest)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		cancel(why)
		if err := journal.Pause(ctx, 100); !errors.Is(err, why) {
			t.Errorf("cancelled: %v", err)
		}
	})
}
