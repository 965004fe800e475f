package backends_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
)

// What a bad store makes of the measurements is shown by backendtest, whose
// broken stores are all probed.

func fixed(t time.Time) func() time.Time { return func() time.Time { return t } }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestProbeStoreIsModest(t *testing.T) {
	s := mem.New(mem.Options{})
	c := backendtest.NewCounting(s)
	if _, err := backends.ProbeStore(t.Context(), c, fixed(noon)); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Requests()); n > 150 {
		t.Errorf("%d requests, want at most 150", n)
	}
	if got := c.Count("", ""); got != c.Count("", "probe/") {
		t.Errorf("of %d requests %d are under probe/", got, c.Count("", "probe/"))
	}
	if len(s.Keys()) > 0 {
		t.Errorf("left behind: %q", s.Keys())
	}
}

func TestProbeStoreMeasuresClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Hour, -90 * time.Second} {
		s := mem.New(mem.Options{Now: fixed(noon.Add(skew))})
		c, err := backends.ProbeStore(t.Context(), s, fixed(noon))
		if err != nil {
			t.Fatal(err)
		}
		if c.ClockSkew != skew {
			t.Errorf("clock skew %v, want %v", c.ClockSkew, skew)
		}
	}
}

func TestProbeStoreNotesALock(t *testing.T) {
	s := mem.New(mem.Options{Versioned: true, Retain: time.Hour, Now: fixed(noon)})
	c, err := backends.ProbeStore(t.Context(), s, fixed(noon))
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(c.Notes, "\n"); !c.Locked || !c.EraseWorks || !strings.Contains(notes, "until 2026-11-23T13:00:00Z: retention lock") {
		t.Errorf("%+v", c)
	}
}

// Credentials that may not erase are found out with one object written.
func TestProbeStoreWithoutEraseRight(t *testing.T) {
	s := mem.New(mem.Options{})
	denied := &backends.Error{Op: "erase", Kind: backends.Denied}
	f := backendtest.NewFaulty(s, func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.Erase {
			return backendtest.Fault{Mode: backendtest.Fail, Err: denied}
		}
		return backendtest.Fault{}
	})
	c, err := backends.ProbeStore(t.Context(), f, fixed(noon))
	if backends.KindOf(err) != backends.Denied {
		t.Errorf("error %v, want Denied", err)
	}
	if len(s.Keys()) != 1 || c.PutIfAbsent || len(c.Notes) != 1 {
		t.Errorf("%d keys left, %+v", len(s.Keys()), c)
	}
}

// Whatever call fails, there is an error, nothing is left behind, and no field
// is true that was not measured.
func TestProbeStoreFailsCleanly(t *testing.T) {
	for _, op := range []backendtest.Op{backendtest.Put, backendtest.Get, backendtest.List, backendtest.Erase} {
		for n := 1; ; n++ {
			s := mem.New(mem.Options{})
			f := backendtest.NewFaulty(s, backendtest.FailNth(op, n, backendtest.Fail))
			c, err := backends.ProbeStore(t.Context(), f, fixed(noon))
			if f.Calls(op) < n {
				if err != nil {
					t.Errorf("no fault, and yet: %v", err)
				}
				break
			}
			if !errors.Is(err, backends.Unavailable) || !errors.Is(err, backendtest.ErrInjected) {
				t.Errorf("%s %d failed: error %v", op, n, err)
			}
			last := op == backendtest.Erase && n == f.Calls(op)
			if c.OrderedList && !last {
				t.Errorf("%s %d failed: the last measurement is true: %+v", op, n, c)
			}
			if left := s.Keys(); len(left) > 0 && !last {
				t.Errorf("%s %d failed: left behind %q", op, n, left)
			}
		}
	}
}

func TestProbeStoreCleansUpWhenCancelled(t *testing.T) {
	s := mem.New(mem.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	f := backendtest.NewFaulty(s, func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.Put && c.N == 20 {
			cancel()
		}
		return backendtest.Fault{}
	})
	if _, err := backends.ProbeStore(ctx, f, fixed(noon)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v is not context.Canceled", err)
	}
	if len(s.Keys()) > 0 {
		t.Errorf("left behind: %q", s.Keys())
	}
}
