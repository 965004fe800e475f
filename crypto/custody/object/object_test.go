package object_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/custody/object"
)

// initKeeper makes a keeper of any store, whose probe it spares.
func initKeeper(t *testing.T, store backends.Store) *object.Keeper {
	t.Helper()
	k, err := object.Init(t.Context(), spare(store))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func spare(store backends.Store) backends.Store {
	if s, ok := store.(*settings); ok {
		return s
	}
	return &settings{Store: store}
}

// alive returns a keeper with one key and a wrapping of "seed".
func alive(t *testing.T, store backends.Store) (k *object.Keeper, ref custody.KeyRef, wrapped []byte) {
	t.Helper()
	k = initKeeper(t, store)
	ref, err := k.Create(t.Context(), "e-1")
	if err != nil {
		t.Fatal(err)
	}
	if wrapped, err = k.Wrap(t.Context(), ref, [32]byte{1}, []byte("seed")); err != nil {
		t.Fatal(err)
	}
	return k, ref, wrapped
}

func read(t *testing.T, store backends.Store, key string) []byte {
	t.Helper()
	r, _, err := store.Get(t.Context(), backends.Ref{Key: key}, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) {
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		store := mem.New(mem.Options{})
		k, err := object.Init(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		return k, func() (custody.Keeper, error) { return object.Open(t.Context(), store) }
	})
}

func TestConformanceOfSeveralMachines(t *testing.T) {
	store := mem.New(mem.Options{})
	k := custodytest.NewAlternating(initKeeper(t, store), initKeeper(t, store), initKeeper(t, store))
	for _, c := range custodytest.Checks() {
		if !slices.Contains([]string{"create-racing", "concurrent", "destroy", "destroy-again", "profile", "list"}, c.Name) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), k); err != nil {
				t.Error(err)
			}
		})
	}
}

type swapped struct{ backends.Store }

// TestWrites pins the writes of each method and their order.
func TestWrites(t *testing.T) {
	var writes []string
	store := backendtest.NewFaulty(mem.New(mem.Options{}), func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.Put || c.Op == backendtest.Erase {
			writes = append(writes, string(c.Op)+" "+c.Key)
		}
		return backendtest.Fault{}
	})
	expect := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(writes, want) {
			t.Errorf("%s writes %q, want %q", what, writes, want)
		}
		writes = nil
	}
	k := initKeeper(t, store)
	expect("init", "put keeper")
	ref, err := k.Create(t.Context(), "e-1")
	if err != nil {
		t.Fatal(err)
	}
	expect("create", "put s/"+string(ref), "put k/e-1")
	if _, err := k.Create(t.Context(), "e-1"); err != nil {
		t.Fatal(err)
	}
	wrapped, err := k.Wrap(t.Context(), ref, [32]byte{}, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(t.Context(), ref, [32]byte{}, wrapped); err != nil {
		t.Fatal(err)
	}
	expect("using")
	if _, err := k.Destroy(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	expect("destroy", "put t/e-1", "erase s/"+string(ref), "put d/e-1")
	if _, err := k.Destroy(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	expect("destroy again")
}
