package object_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/object"
)

func TestWrongStore(t *testing.T) {
	_, ref, wrapped := alive(t, mem.New(mem.Options{}))
	for name, prepare := range map[string]func(t *testing.T, store *mem.Store){
		"empty":          func(t *testing.T, store *mem.Store) {},
		"another keeper": func(t *testing.T, store *mem.Store) { initKeeper(t, store) },
	} {
		t.Run(name, func(t *testing.T) {
			swap := &swapped{Store: mem.New(mem.Options{})}
			k := initKeeper(t, swap)
			next := mem.New(mem.Options{})
			prepare(t, next)
			swap.Store = next
			ctx := t.Context()
			_, unwrap := k.Unwrap(ctx, ref, [32]byte{1}, wrapped)
			_, wrap := k.Wrap(ctx, ref, [32]byte{1}, []byte("x"))
			_, create := k.Create(ctx, "e-1")
			_, destroy := k.Destroy(ctx, ref)
			_, status := k.Status(ctx, ref)
			_, odd := k.Status(ctx, "of-another-form")
			_, profile := k.Profile(ctx)
			var list error
			for _, list = range k.List(ctx, "") {
			}
			for what, err := range map[string]error{
				"unwrap": unwrap, "wrap": wrap, "create": create, "destroy": destroy, "status": status,
				"status of an odd ref": odd, "profile": profile, "list": list,
			} {
				if !errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrNotFound) {
					t.Errorf("%s: %v, want ErrUnavailable alone", what, err)
				}
			}
			if name == "empty" {
				if _, err := object.Open(ctx, next); !errors.Is(err, custody.ErrUnavailable) {
					t.Errorf("open: %v, want ErrUnavailable", err)
				}
			}
		})
	}
}

func TestInitRefusesALostInstance(t *testing.T) {
	store := mem.New(mem.Options{})
	alive(t, store)
	store.Remove("keeper")
	if _, err := object.Init(t.Context(), store); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("init over keys without a keeper object: %v, want ErrCorrupt", err)
	}
}

// TestTampered damages each object of a living key in turn.
func TestTampered(t *testing.T) {
	for _, kind := range []string{"k/", "s/", "keeper"} {
		for name, change := range map[string]func([]byte) []byte{
			"empty":   func(b []byte) []byte { return nil },
			"half":    func(b []byte) []byte { return b[:len(b)/2] },
			"longer":  func(b []byte) []byte { return append(b, '\n') },
			"flipped": func(b []byte) []byte { b[3] ^= 1; return b },
			"later":   func(b []byte) []byte { return bytes.Replace(b, []byte(" 1\n"), []byte(" 2\n"), 1) },
			"huge":    func(b []byte) []byte { return make([]byte, 1<<20) },
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				store := mem.New(mem.Options{})
				k, ref, wrapped := alive(t, store)
				for _, key := range store.Keys() {
					if strings.HasPrefix(key, kind) {
						store.Tamper(key, change)
					}
				}
				if kind == "keeper" {
					if _, err := object.Open(t.Context(), store); !errors.Is(err, custody.ErrCorrupt) {
						t.Errorf("open: %v, want ErrCorrupt", err)
					}
					return
				}
				_, unwrap := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped)
				_, create := k.Create(t.Context(), "e-1")
				_, status := k.Status(t.Context(), ref)
				for what, err := range map[string]error{"unwrap": unwrap, "create": create, "status": status} {
					if !errors.Is(err, custody.ErrCorrupt) || errors.Is(err, custody.ErrDestroyed) || errors.Is(err, custody.ErrNotFound) {
						t.Errorf("%s: %v, want ErrCorrupt alone", what, err)
					}
					if err != nil && strings.Contains(err.Error(), "SECRET") {
						t.Errorf("%s: the error quotes the key: %v", what, err)
					}
				}
				if d, err := k.Destroy(t.Context(), ref); err != nil || d.State != custody.Destroyed {
					t.Errorf("destroy a damaged key: %+v, %v", d, err)
				}
				if secrets := slices.DeleteFunc(store.Keys(), func(key string) bool { return !strings.HasPrefix(key, "s/") }); len(secrets) > 0 {
					t.Errorf("left: %q", secrets)
				}
			})
		}
	}
}

// TestPointerTurned: a pointer to a key that is not there hides which key was.
func TestPointerTurned(t *testing.T) {
	store := mem.New(mem.Options{})
	k, ref, wrapped := alive(t, store)
	store.Tamper("k/e-1", func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
	if _, err := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("unwrap: %v, want ErrCorrupt", err)
	}
	if d, err := k.Destroy(t.Context(), ref); err != nil || d.State != custody.Destroyed || d.Ref != ref {
		t.Errorf("destroy: %+v, %v", d, err)
	}
	if _, err := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap: %v, want ErrDestroyed", err)
	}
}

// TestPointerToAnotherLabel: two labels never share a key.
func TestPointerToAnotherLabel(t *testing.T) {
	store := mem.New(mem.Options{})
	k, ref, wrapped := alive(t, store)
	if _, err := k.Create(t.Context(), "e-2"); err != nil {
		t.Fatal(err)
	}
	b := read(t, store, "k/e-2")
	store.Tamper("k/e-1", func([]byte) []byte { return b })
	_, create := k.Create(t.Context(), "e-1")
	_, unwrap := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped)
	var list error
	n := 0
	for _, err := range k.List(t.Context(), "") {
		if list = err; err == nil {
			n++
		}
	}
	for what, err := range map[string]error{"create": create, "unwrap": unwrap, "list": list} {
		if !errors.Is(err, custody.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", what, err)
		}
	}
	if n != 1 {
		t.Errorf("list yields %d keys beside the damaged one, want 1", n)
	}
}

// endless is a store whose keys have no end.
type endless struct {
	backends.Store
	t *testing.T
}

func (e *endless) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	r, in, err := e.Store.Get(ctx, ref, off, n)
	if err == nil && strings.HasPrefix(ref.Key, "s/") {
		return &flood{t: e.t}, in, r.Close()
	}
	return r, in, err
}

type flood struct {
	t *testing.T
	n int
}

func (f *flood) Read(p []byte) (int, error) {
	if f.n += len(p); f.n > 1<<20 {
		f.t.Error("reads more than 1 MiB of a key")
		return 0, io.EOF
	}
	return len(p), nil
}

func (f *flood) Close() error { return nil }

func TestEndlessKey(t *testing.T) {
	store := mem.New(mem.Options{})
	_, ref, wrapped := alive(t, store)
	k, err := object.Open(t.Context(), &endless{store, t})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("unwrap: %v, want ErrCorrupt", err)
	}
}

// TestSwappedKeys: a key under another's name is nobody's.
func TestSwappedKeys(t *testing.T) {
	store := mem.New(mem.Options{})
	k, ref, wrapped := alive(t, store)
	other, err := k.Create(t.Context(), "e-2")
	if err != nil {
		t.Fatal(err)
	}
	b := read(t, store, "s/"+string(other))
	store.Tamper("s/"+string(ref), func([]byte) []byte { return b })
	if _, err := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("unwrap: %v, want ErrCorrupt", err)
	}
}

func TestForgedTombstones(t *testing.T) {
	for name, body := range map[string]string{
		"garbage": "destroyed", "of another key": "aivault keeper tombstone 1\nref: e-1." + strings.Repeat("0", 32) + "\n",
		"of another label": "aivault keeper tombstone 1\nref: e-2." + strings.Repeat("0", 32) + "\n",
		"of a later time":  "aivault keeper tombstone 2\nref: e-1." + strings.Repeat("0", 32) + "\n",
	} {
		store := mem.New(mem.Options{})
		k, ref, wrapped := alive(t, store)
		if _, err := store.Put(t.Context(), "t/e-1", []byte(body)); err != nil {
			t.Fatal(err)
		}
		_, unwrap := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped)
		_, create := k.Create(t.Context(), "e-1")
		_, status := k.Status(t.Context(), ref)
		for what, err := range map[string]error{"unwrap": unwrap, "create": create, "status": status} {
			if !errors.Is(err, custody.ErrCorrupt) || errors.Is(err, custody.ErrDestroyed) {
				t.Errorf("%s, %s: %v, want ErrCorrupt", name, what, err)
			}
		}
	}
}

// TestRestoredKeyStaysDead: bytes that come back are refused, reported, and
// erased again.
func TestRestoredKeyStaysDead(t *testing.T) {
	store := mem.New(mem.Options{})
	k, ref, wrapped := alive(t, store)
	ctx := t.Context()
	b := read(t, store, "s/"+string(ref))
	first, err := k.Destroy(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(ctx, "s/"+string(ref), b); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(ctx, ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap: %v, want ErrDestroyed", err)
	}
	if s, err := k.Status(ctx, ref); err != nil || s.State != custody.Pending {
		t.Errorf("status: %+v, %v, want Pending", s, err)
	}
	again, err := k.Destroy(ctx, ref)
	if err != nil || again.State != custody.Destroyed || string(again.Evidence) != string(first.Evidence) {
		t.Errorf("destroy again: %+v, %v, want the first acknowledgement", again, err)
	}
	if s, err := k.Status(ctx, ref); err != nil || s.State != custody.Destroyed || !s.Since.Equal(first.At) {
		t.Errorf("status: %+v, %v, want Destroyed since %v", s, err, first.At)
	}
}

// TestForgedAcknowledgements: what is not this key's acknowledgement by this
// keeper is damage.
func TestForgedAcknowledgements(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"garbage":            func(s string) string { return "destroyed\n" },
		"of another key":     func(s string) string { return strings.Replace(s, "\nref: e-1.", "\nref: e-2.", 1) },
		"of another keeper":  func(s string) string { return strings.Replace(s, "instance: object-", "instance: object-0", 1) },
		"dated by a machine": func(s string) string { return strings.Replace(s, "\nnote:", "\nat: 2026-11-23T21:00:00Z\nnote:", 1) },
	} {
		store := mem.New(mem.Options{})
		k, ref, _ := alive(t, store)
		if _, err := k.Destroy(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		store.Tamper("d/e-1", func(b []byte) []byte { return []byte(change(string(b))) })
		_, destroy := k.Destroy(t.Context(), ref)
		_, status := k.Status(t.Context(), ref)
		for what, err := range map[string]error{"destroy": destroy, "status": status} {
			if !errors.Is(err, custody.ErrCorrupt) {
				t.Errorf("%s, %s: %v, want ErrCorrupt", name, what, err)
			}
		}
	}
}
