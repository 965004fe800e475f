package object_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/object"
)

// ahead is a store in which somebody else creates each label a moment earlier.
type ahead struct {
	*mem.Store
	other *object.Keeper
}

func (a *ahead) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if label, ok := strings.CutPrefix(key, "k/"); ok {
		if _, err := a.other.Create(ctx, label); err != nil {
			return backends.Info{}, err
		}
	}
	return a.Store.Put(ctx, key, body)
}

func TestLoserErasesItsKey(t *testing.T) {
	store := mem.New(mem.Options{})
	k := initKeeper(t, &ahead{store, initKeeper(t, store)})
	ref, err := k.Create(t.Context(), "e-1")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"k/e-1", "keeper", "s/" + string(ref)}; !slices.Equal(store.Keys(), want) {
		t.Errorf("store holds %q, want %q", store.Keys(), want)
	}
}

// late is a store whose network holds every pointer up.
type late struct {
	*mem.Store
	held []func() error
}

func (l *late) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if !strings.HasPrefix(key, "k/") {
		return l.Store.Put(ctx, key, body)
	}
	body = bytes.Clone(body)
	l.held = append(l.held, func() error { _, err := l.Store.Put(context.WithoutCancel(ctx), key, body); return err })
	return backends.Info{}, &backends.Error{Op: "put", Key: key, Kind: backends.Indeterminate}
}

// TestLatePointer: a pointer that arrives after its sender gave up finds its key.
func TestLatePointer(t *testing.T) {
	store := &late{Store: mem.New(mem.Options{})}
	k := initKeeper(t, store)
	if _, err := k.Create(t.Context(), "e-1"); !errors.Is(err, custody.ErrUnavailable) {
		t.Fatalf("create: %v, want ErrUnavailable", err)
	}
	if err := store.held[0](); err != nil {
		t.Fatal(err)
	}
	ref, err := k.Create(t.Context(), "e-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Wrap(t.Context(), ref, [32]byte{}, []byte("x")); err != nil {
		t.Error(err)
	}
}

// TestEveryCallFails fails each request of a key's life in each way, once. What
// failed is repeated and then succeeds, and what it said in between was true.
func TestEveryCallFails(t *testing.T) {
	modes := map[backendtest.Op][]backendtest.Mode{
		backendtest.Put:   {backendtest.Fail, backendtest.FailLost, backendtest.FailStored},
		backendtest.Erase: {backendtest.Fail, backendtest.FailLost, backendtest.FailStored},
		backendtest.Get:   {backendtest.Fail, backendtest.Break},
		backendtest.List:  {backendtest.Fail, backendtest.Break},
	}
	for op, modes := range modes {
		for _, mode := range modes {
			for n := 1; ; n++ {
				met := false
				t.Run(fmt.Sprintf("%s mode %d number %d", op, mode, n), func(t *testing.T) { met = life(t, op, mode, n) })
				if !met {
					break
				}
				if n > 100 {
					t.Fatal("the calls do not end")
				}
			}
		}
	}
}

// life creates, uses and destroys a key over a store that fails once, and says
// whether it did.
func life(t *testing.T, op backendtest.Op, mode backendtest.Mode, n int) (met bool) {
	base := mem.New(mem.Options{})
	initKeeper(t, base)
	calls := 0
	store := backendtest.NewFaulty(base, func(c backendtest.Call) backendtest.Fault {
		if c.Op == op {
			if calls++; calls == n {
				met = true
				return backendtest.Fault{Mode: mode}
			}
		}
		return backendtest.Fault{}
	})
	again := func(what string, f func() error) {
		t.Helper()
		err := f()
		if err != nil && (mode == backendtest.FailLost || mode == backendtest.FailStored) {
			t.Errorf("%s: %v: one unclear answer should be cleared up", what, err)
		}
		if err != nil && (!errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrNotFound) || errors.Is(err, custody.ErrDestroyed) || errors.Is(err, custody.ErrCorrupt)) {
			t.Errorf("%s: %v, want ErrUnavailable alone", what, err)
		}
		if err != nil {
			err = f()
		}
		if err != nil {
			t.Fatalf("%s, repeated: %v", what, err)
		}
	}
	var k *object.Keeper
	var ref, second custody.KeyRef
	var wrapped []byte
	ctx := t.Context()
	again("open", func() (err error) { k, err = object.Open(ctx, spare(store)); return err })
	again("create", func() (err error) { ref, err = k.Create(ctx, "e-1"); return err })
	again("create again", func() (err error) { second, err = k.Create(ctx, "e-1"); return err })
	if second != ref {
		t.Errorf("one label has keys %s and %s", ref, second)
	}
	again("wrap", func() (err error) { wrapped, err = k.Wrap(ctx, ref, [32]byte{1}, []byte("seed")); return err })
	again("unwrap", func() error { _, err := k.Unwrap(ctx, ref, [32]byte{1}, wrapped); return err })
	again("list", func() error {
		for _, err := range k.List(ctx, "e") {
			if err != nil {
				return err
			}
		}
		return nil
	})
	again("destroy", func() error {
		d, err := k.Destroy(ctx, ref)
		if err == nil && d.State != custody.Destroyed {
			t.Errorf("destroy: %+v", d)
		}
		return err
	})
	again("status", func() error {
		s, err := k.Status(ctx, ref)
		if err == nil && s.State != custody.Destroyed {
			t.Errorf("status: %+v", s)
		}
		return err
	})
	for _, key := range base.Keys() {
		if strings.HasPrefix(key, "s/") {
			t.Errorf("%s is left", key)
		}
	}
	return met
}

// TestErrorKinds: what the store refuses keeps its meaning.
func TestErrorKinds(t *testing.T) {
	for _, c := range []struct {
		err  *backends.Error
		want error
	}{
		{&backends.Error{Kind: backends.Denied}, custody.ErrDenied},
		{&backends.Error{Kind: backends.Denied, Expired: true}, custody.ErrDenied},
		{&backends.Error{Kind: backends.Unavailable}, custody.ErrUnavailable},
		{&backends.Error{Kind: backends.Unavailable, RetryAfter: time.Second}, custody.ErrRateLimited},
		{&backends.Error{Kind: backends.Corrupt}, custody.ErrCorrupt},
		{&backends.Error{Kind: backends.Full}, custody.ErrUnavailable},
		{&backends.Error{Kind: backends.Archived}, custody.ErrUnavailable},
	} {
		base := mem.New(mem.Options{})
		_, ref, wrapped := alive(t, base)
		k, err := object.Open(t.Context(), base)
		if err != nil {
			t.Fatal(err)
		}
		failing := &swapped{base}
		k2, err := object.Open(t.Context(), failing)
		if err != nil {
			t.Fatal(err)
		}
		failing.Store = backendtest.NewFaulty(base, func(backendtest.Call) backendtest.Fault {
			return backendtest.Fault{Mode: backendtest.Fail, Err: c.err}
		})
		_, unwrap := k2.Unwrap(t.Context(), ref, [32]byte{1}, wrapped)
		_, create := k2.Create(t.Context(), "e-2")
		_, destroy := k2.Destroy(t.Context(), ref)
		for what, err := range map[string]error{"unwrap": unwrap, "create": create, "destroy": destroy} {
			if !errors.Is(err, c.want) || !errors.Is(err, c.err.Kind) {
				t.Errorf("%s with %v: %v, want %v", what, c.err.Kind, err, c.want)
			}
		}
		if s, err := k.Status(t.Context(), ref); err != nil || s.State != custody.Alive {
			t.Errorf("afterwards: %+v, %v", s, err)
		}
	}
}

// TestInterruptedIsNotUnavailable: what fails because its caller gave up says
// so, whatever the store makes of it.
func TestInterruptedIsNotUnavailable(t *testing.T) {
	base := mem.New(mem.Options{})
	_, ref, wrapped := alive(t, base)
	store := &swapped{base}
	k, err := object.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	store.Store = backendtest.NewFaulty(base, func(backendtest.Call) backendtest.Fault {
		cancel()
		return backendtest.Fault{Mode: backendtest.Fail}
	})
	_, err = k.Unwrap(ctx, ref, [32]byte{1}, wrapped)
	if !errors.Is(err, context.Canceled) || errors.Is(err, custody.ErrUnavailable) {
		t.Errorf("unwrap: %v, want context.Canceled and not ErrUnavailable", err)
	}
}
