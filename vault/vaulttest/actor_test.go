package vaulttest

import (
	"context"
	"errors"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault/ledger"
)

func TestActorFates(t *testing.T) {
	for _, c := range []struct {
		fate    Fate
		stored  bool
		kind    error // of the put
		crashed bool
	}{
		{Pass, true, nil, false},
		{Lost, false, backends.Indeterminate, false},
		{Kept, true, backends.Indeterminate, false},
		{Crash, false, ErrCrashed, true},
		{CrashKept, true, ErrCrashed, true},
		{Corrupt, true, nil, false},
	} {
		s := mem.New(mem.Options{})
		a := NewActor("a")
		var first, second error
		a.Start(t.Context(), func(ctx context.Context) error {
			_, first = a.Store(s).Put(ctx, "k", []byte("body"))
			_, second = a.Store(s).Put(ctx, "l", nil)
			return ctx.Err()
		})
		if a.Pending == nil || a.Pending.Op != "put" || a.Pending.Key != "k" || len(s.Keys()) != 0 {
			t.Fatalf("fate %d: the put does not wait", c.fate)
		}
		a.Proceed(c.fate)
		if !errors.Is(first, c.kind) || (first == nil) != (c.kind == nil) {
			t.Errorf("fate %d: %v", c.fate, first)
		}
		b, _ := ledger.ReadObject(t.Context(), s, "k", 0)
		if (b != nil) != c.stored || c.stored && (string(b) == "body") == (c.fate == Corrupt) {
			t.Errorf("fate %d: %q is stored", c.fate, b)
		}
		if a.Crashed() != c.crashed || (a.Pending == nil) != c.crashed {
			t.Errorf("fate %d: crashed %v, then waits for %v", c.fate, a.Crashed(), a.Pending)
		}
		if c.crashed {
			if !errors.Is(second, ErrCrashed) || !errors.Is(a.Err, context.Canceled) {
				t.Errorf("fate %d: after the crash %v, %v", c.fate, second, a.Err)
			}
			continue
		}
		a.Proceed(Pass)
		if a.Pending != nil || a.Err != nil || second != nil {
			t.Errorf("fate %d: it does not end well: %v", c.fate, a.Err)
		}
	}
}

func TestActorErasesInPart(t *testing.T) {
	s := mem.New(mem.Options{})
	for _, k := range []string{"a", "b", "c", "d"} {
		_, err := s.Put(t.Context(), k, nil)
		must(t, err)
	}
	a := NewActor("a")
	a.Start(t.Context(), func(ctx context.Context) error {
		_, err := a.Store(s).Erase(ctx, "a", "b", "c", "d")
		return err
	})
	a.Proceed(Part)
	if !errors.Is(a.Err, backends.Indeterminate) || len(s.Keys()) != 2 {
		t.Errorf("%v are left: %v", s.Keys(), a.Err)
	}
}

func TestActorKeeper(t *testing.T) {
	k := custodytest.NewMem((&Clock{}).Now, 0)
	a := NewActor("a")
	var ref custody.KeyRef
	create := func(ctx context.Context) (err error) {
		ref, err = a.Keeper(k).Create(ctx, "label")
		return err
	}
	a.Start(t.Context(), create)
	a.Proceed(Kept)
	if !errors.Is(a.Err, custody.ErrUnavailable) || ref != "" || len(k.CurrentState()) != 1 {
		t.Errorf("a call that was kept returns %q, %v", ref, a.Err)
	}
	a.Start(t.Context(), create)
	a.Proceed(Pass)
	if a.Err != nil || ref == "" || len(k.CurrentState()) != 1 {
		t.Errorf("again: %q, %v", ref, a.Err)
	}
	if _, err := a.Keeper(k).Destroy(t.Context(), ref); err != nil {
		t.Errorf("a call without code that runs: %v", err)
	}
}
