package custodytest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
)

// TestMemShowsItsState is the experiment that Mem exists for: what is gone from
// the current state opens with the history alone.
func TestMemShowsItsState(t *testing.T) {
	ctx, clock := t.Context(), now()
	m := custodytest.NewMem(func() time.Time { return clock }, time.Hour)
	ref, err := m.Create(ctx, "e-1")
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := m.Wrap(ctx, ref, [32]byte{1}, []byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	opens := func(s custodytest.State) bool {
		secret, err := s.Unwrap(ref, [32]byte{1}, wrapped)
		return err == nil && string(secret) == "seed"
	}
	expect := func(when string, state custody.KeyState, coerced bool) {
		t.Helper()
		s, err := m.Status(ctx, ref)
		if err != nil || s.State != state {
			t.Errorf("%s: state %d, %v, want %d", when, s.State, err, state)
		}
		if got := opens(m.CurrentState()); got != coerced {
			t.Errorf("%s: the current state opens: %v, want %v", when, got, coerced)
		}
		if !opens(m.History()) {
			t.Errorf("%s: the history does not open", when)
		}
	}
	expect("alive", custody.Alive, true)
	if d, err := m.Destroy(ctx, ref); err != nil || d.State != custody.Pending || !d.Until.Equal(clock.Add(time.Hour)) {
		t.Fatalf("destroy: %+v, %v", d, err)
	}
	expect("pending", custody.Pending, true)
	if err := m.Cancel(ref); err != nil {
		t.Fatal(err)
	}
	expect("cancelled", custody.Alive, true)
	if _, err := m.Destroy(ctx, ref); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Hour)
	expect("due", custody.Destroyed, false)
	if err := m.Cancel(ref); !errors.Is(err, custody.ErrInvalid) {
		t.Errorf("cancel after the end: %v, want ErrInvalid", err)
	}
	if d, err := m.Destroy(ctx, ref); err != nil || d.State != custody.Destroyed {
		t.Errorf("destroy again: %+v, %v", d, err)
	}
}

func TestFaulty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := custodytest.NoFault
		m := custodytest.NewMem(time.Now, 0)
		f := custodytest.NewFaulty(m, func(custodytest.Call) custodytest.Fault { return fault })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		made := func(label string) bool {
			for range m.List(t.Context(), label) {
				return true
			}
			return false
		}
		for _, c := range []struct {
			fault  custodytest.Fault
			label  string
			made   bool
			kind   error
			listed int
		}{
			{custodytest.NoFault, "n", true, nil, 1},
			{custodytest.FailBefore, "fb", false, custody.ErrUnavailable, 0},
			{custodytest.FailAfter, "fa", true, custody.ErrUnavailable, 1},
			{custodytest.HangBefore, "hb", false, context.DeadlineExceeded, 0},
			{custodytest.HangAfter, "ha", true, context.DeadlineExceeded, 1},
		} {
			fault = c.fault
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			_, err := f.Create(ctx, c.label)
			cancel()
			if !errors.Is(err, c.kind) || made(c.label) != c.made {
				t.Errorf("fault %d: %v, made: %v", c.fault, err, made(c.label))
			}
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			listed, last := 0, error(nil)
			for _, err := range f.List(ctx, c.label) {
				if err == nil {
					listed++
				}
				last = err
			}
			cancel()
			if listed != c.listed || !errors.Is(last, c.kind) {
				t.Errorf("fault %d: list yields %d keys and %v", c.fault, listed, last)
			}
		}
		if f.Calls() != 10 {
			t.Errorf("%d calls counted, want 10", f.Calls())
		}
	})
}
