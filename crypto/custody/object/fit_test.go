package object_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/object"
)

// settings is a store whose probe is made up: of a fit store, then changed.
type settings struct {
	backends.Store
	change func(*backends.Capabilities) // may be nil
}

func (s *settings) Probe(context.Context) (backends.Capabilities, error) {
	c := backends.Capabilities{
		PutIfAbsent: true, ReadAfterWrite: true, BytesIntact: true, OrderedList: true,
		EraseWorks: true, RefusesBadHash: true, RefusesAnonymous: true,
	}
	if s.change != nil {
		s.change(&c)
	}
	return c, nil
}

func TestUnfitStoresAreRefused(t *testing.T) {
	for name, change := range map[string]func(*backends.Capabilities){
		"versioned":       func(c *backends.Capabilities) { c.Versioned = true },
		"locked":          func(c *backends.Capabilities) { c.Locked = true },
		"soft delete":     func(c *backends.Capabilities) { c.SoftDelete = true },
		"replicated":      func(c *backends.Capabilities) { c.Replicated = true },
		"expiry":          func(c *backends.Capabilities) { c.ExpiryRule = true },
		"overwrites":      func(c *backends.Capabilities) { c.PutIfAbsent = false },
		"stale":           func(c *backends.Capabilities) { c.ReadAfterWrite = false },
		"does not erase":  func(c *backends.Capabilities) { c.EraseWorks = false },
		"anonymous":       func(c *backends.Capabilities) { c.RefusesAnonymous = false },
		"changes bytes":   func(c *backends.Capabilities) { c.BytesIntact = false },
		"disorderly":      func(c *backends.Capabilities) { c.OrderedList = false },
		"takes bad bytes": func(c *backends.Capabilities) { c.RefusesBadHash = false },
	} {
		base := mem.New(mem.Options{})
		_, err := object.Init(t.Context(), &settings{base, change})
		unfit, ok := errors.AsType[*object.UnfitError](err)
		if !ok || len(unfit.Reasons) == 0 || !errors.Is(err, custody.ErrUnfit) {
			t.Errorf("%s: %v, want an UnfitError with reasons", name, err)
		}
		if keys := base.Keys(); len(keys) != 0 {
			t.Errorf("%s: refused, yet it wrote %q", name, keys)
		}
	}
	for name, o := range map[string]mem.Options{"versioned": {Versioned: true}, "locked": {Retain: time.Hour}} {
		if _, err := object.Init(t.Context(), mem.New(o)); !errors.Is(err, custody.ErrUnfit) {
			t.Errorf("%s bucket: %v, want ErrUnfit", name, err)
		}
	}
}

// TestSettingsChangedSince: a store that was fit when the keeper was made and is
// not when a key is destroyed kills the key, but nothing acknowledges that no
// copy is left.
func TestSettingsChangedSince(t *testing.T) {
	for name, change := range map[string]func(*backends.Capabilities){
		"soft delete":    func(c *backends.Capabilities) { c.SoftDelete = true },
		"replicated":     func(c *backends.Capabilities) { c.Replicated = true },
		"does not erase": func(c *backends.Capabilities) { c.EraseWorks = false },
	} {
		t.Run(name, func(t *testing.T) {
			store := &settings{Store: mem.New(mem.Options{})}
			_, ref, wrapped := alive(t, store)
			open := func() *object.Keeper {
				k, err := object.Open(t.Context(), store)
				if err != nil {
					t.Fatal(err)
				}
				return k
			}
			store.change = change
			k := open()
			d, err := k.Destroy(t.Context(), ref)
			if err != nil || d.State != custody.Pending || !d.Until.IsZero() || !strings.Contains(string(d.Evidence), "measured: ") {
				t.Errorf("destroy: %+v, %v, want Pending with a reason", d, err)
			}
			if s, err := k.Status(t.Context(), ref); err != nil || s.State != custody.Pending {
				t.Errorf("status: %+v, %v, want Pending", s, err)
			}
			if _, err := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrDestroyed) {
				t.Errorf("unwrap: %v, want ErrDestroyed", err)
			}
			store.change = nil
			if d, err := open().Destroy(t.Context(), ref); err != nil || d.State != custody.Destroyed {
				t.Errorf("destroy once the store is fit again: %+v, %v", d, err)
			}
		})
	}
}

// locking is a store that locks keys, and may show it in one place only.
type locking struct {
	*mem.Store
	until   time.Time // zero: does not lock
	silent  bool      // Erase returns no remnants
	hidden  bool      // listings do not show what is retained
	unknown bool      // Erase returns another remnant, of unknown end
	markers bool      // listings show a marker for what was erased
}

func (l *locking) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	if l.until.IsZero() {
		return l.Store.Erase(ctx, keys...)
	}
	var r []backends.Remnant
	for _, key := range keys {
		if !l.silent {
			r = append(r, backends.Remnant{Ref: backends.Ref{Key: key}, Until: l.until, Why: "retention lock"})
		}
		if l.unknown {
			r = append(r, backends.Remnant{Ref: backends.Ref{Key: key, Version: "soft"}, Why: "soft delete"})
		}
	}
	return r, nil
}

func (l *locking) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if l.markers && strings.HasPrefix(prefix, "s/") && !yield(backends.Info{Ref: backends.Ref{Key: prefix, Version: "m"}, Marker: true}, nil) {
			return
		}
		for in, err := range l.Store.List(ctx, prefix, o) {
			if strings.HasPrefix(in.Key, "s/") {
				in.RetainUntil = l.until
				if l.hidden {
					continue
				}
			}
			if !yield(in, err) {
				return
			}
		}
	}
}

func TestLockedKeyIsPending(t *testing.T) {
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		store           locking
		says            string // in the evidence
		destroy, status time.Time
	}{
		"locked":            {locking{}, "until 2027-01-01T00:00:00Z: retention lock", until, until},
		"erase is silent":   {locking{silent: true}, "object versions found 1, left 1", until, until},
		"listing is silent": {locking{hidden: true}, "until 2027-01-01T00:00:00Z: retention lock", until, time.Time{}},
		"one end unknown":   {locking{hidden: true, unknown: true}, "until an unknown date: soft delete", time.Time{}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			store := &c.store
			store.Store = mem.New(mem.Options{})
			k, ref, wrapped := alive(t, store)
			other, err := k.Create(t.Context(), "e-2")
			if err != nil {
				t.Fatal(err)
			}
			store.until = until
			d, err := k.Destroy(t.Context(), ref)
			if err != nil || d.State != custody.Pending || !d.Until.Equal(c.destroy) || d.At.IsZero() {
				t.Errorf("destroy: %+v, %v, want Pending until %v", d, err, c.destroy)
			}
			if !strings.Contains(string(d.Evidence), c.says) {
				t.Errorf("evidence %q does not say %q", d.Evidence, c.says)
			}
			if s, err := k.Status(t.Context(), ref); err != nil || s.State != custody.Pending || !s.Until.Equal(c.status) {
				t.Errorf("status: %+v, %v, want Pending until %v", s, err, c.status)
			}
			if _, err := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrDestroyed) {
				t.Errorf("unwrap: %v, want ErrDestroyed", err)
			}
			if _, err := k.Create(t.Context(), "e-1"); !errors.Is(err, custody.ErrDestroyed) {
				t.Errorf("create: %v, want ErrDestroyed", err)
			}
			if s, err := k.Status(t.Context(), other); err != nil || s.State != custody.Alive {
				t.Errorf("another key: %+v, %v", s, err)
			}
			store.until, store.markers = time.Time{}, true
			if d, err := k.Destroy(t.Context(), ref); err != nil || d.State != custody.Destroyed {
				t.Errorf("destroy after the lock: %+v, %v", d, err)
			}
			if s, err := k.Status(t.Context(), ref); err != nil || s.State != custody.Destroyed {
				t.Errorf("status after the lock: %+v, %v", s, err)
			}
		})
	}
}

// TestVersionedSince: versioning that somebody switched on after Init does not
// keep a key alive, since every version is erased.
func TestVersionedSince(t *testing.T) {
	store := mem.New(mem.Options{Versioned: true})
	k, ref, _ := alive(t, store)
	secret := store.Keys()[slices.IndexFunc(store.Keys(), func(key string) bool { return strings.HasPrefix(key, "s/") })]
	store.Delete(secret) // leaves a marker over the key
	if _, err := k.Wrap(t.Context(), ref, [32]byte{}, []byte("x")); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("wrap under a deleted key: %v, want ErrCorrupt", err)
	}
	if d, err := k.Destroy(t.Context(), ref); err != nil || d.State != custody.Destroyed {
		t.Fatalf("destroy: %+v, %v", d, err)
	}
	for in, err := range store.List(t.Context(), "s/", backends.ListOptions{Versions: true}) {
		t.Errorf("%s version %q is left (%v)", in.Key, in.Version, err)
	}
}
