package backendtest_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/aivault/aivault/backends"
	. "github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
)

// filled returns a store that holds body under the keys.
func filled(t *testing.T, body string, keys ...string) *mem.Store {
	t.Helper()
	s := mem.New(mem.Options{})
	for _, key := range keys {
		if _, err := s.Put(t.Context(), key, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func read(ctx context.Context, s backends.Store, key string) (string, error) {
	r, _, err := s.Get(ctx, backends.Ref{Key: key}, 0, -1)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func list(ctx context.Context, s backends.Store, prefix string) (keys []string, err error) {
	for in, err := range s.List(ctx, prefix, backends.ListOptions{}) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, in.Key)
	}
	return keys, nil
}

func always(m Mode) func(Call) Fault { return func(Call) Fault { return Fault{Mode: m} } }

func TestFaultyPassesConformance(t *testing.T) {
	Run(t, func(*testing.T) backends.Store { return NewFaulty(mem.New(mem.Options{}), nil) })
}

func TestFaultyPut(t *testing.T) {
	for _, c := range []struct {
		mode   Mode
		kind   backends.Kind // 0: no error
		stored string        // what is there afterwards; "": nothing
	}{
		{Pass, 0, "abcd"},
		{Fail, backends.Unavailable, ""},
		{FailLost, backends.Indeterminate, ""},
		{FailStored, backends.Indeterminate, "abcd"},
		{Corrupt, 0, "ab\x73d"},
		{Hang, backends.Indeterminate, ""},
		{Truncate, backends.Invalid, ""},
		{Break, backends.Invalid, ""},
	} {
		s := mem.New(mem.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		if c.mode == Hang {
			cancel()
		}
		body := []byte("abcd")
		_, err := NewFaulty(s, always(c.mode)).Put(ctx, "k", body)
		cancel()
		if backends.KindOf(err) != c.kind || (err == nil) != (c.kind == 0) {
			t.Errorf("mode %d: error %v, want kind %v", c.mode, err, c.kind)
		}
		got, _ := read(t.Context(), s, "k")
		if got != c.stored {
			t.Errorf("mode %d: stored %q, want %q", c.mode, got, c.stored)
		}
		if string(body) != "abcd" {
			t.Errorf("mode %d: the caller's body became %q", c.mode, body)
		}
	}
}

func TestFaultyGet(t *testing.T) {
	s := filled(t, "abcd", "k")
	for _, c := range []struct {
		mode Mode
		body string
		kind backends.Kind
	}{
		{Pass, "abcd", 0},
		{Fail, "", backends.Unavailable},
		{Break, "ab", backends.Unavailable},
		{Truncate, "ab", 0},
		{Corrupt, "ab\x73d", 0},
		{FailStored, "", backends.Invalid},
	} {
		got, err := read(t.Context(), NewFaulty(s, always(c.mode)), "k")
		if got != c.body || backends.KindOf(err) != c.kind || (err == nil) != (c.kind == 0) {
			t.Errorf("mode %d: %q, %v; want %q and kind %v", c.mode, got, err, c.body, c.kind)
		}
	}
}

func TestFaultyList(t *testing.T) {
	s := filled(t, "", "a", "b", "c", "d")
	for _, c := range []struct {
		mode Mode
		n    int
		kind backends.Kind
	}{
		{Pass, 4, 0}, {Fail, 0, backends.Unavailable}, {Break, 2, backends.Unavailable}, {Truncate, 2, 0}, {Corrupt, 0, backends.Invalid},
	} {
		got, err := list(t.Context(), NewFaulty(s, always(c.mode)), "")
		if len(got) != c.n || backends.KindOf(err) != c.kind || (err == nil) != (c.kind == 0) {
			t.Errorf("mode %d: %q, %v; want %d keys and kind %v", c.mode, got, err, c.n, c.kind)
		}
	}
}

func TestFaultyErase(t *testing.T) {
	for _, c := range []struct {
		mode Mode
		left []string
		kind backends.Kind
	}{
		{Pass, nil, 0}, {Fail, []string{"a"}, backends.Unavailable}, {FailLost, []string{"a"}, backends.Indeterminate}, {FailStored, nil, backends.Indeterminate},
	} {
		s := filled(t, "", "a")
		_, err := NewFaulty(s, always(c.mode)).Erase(t.Context(), "a")
		if backends.KindOf(err) != c.kind || (err == nil) != (c.kind == 0) || !slices.Equal(s.Keys(), c.left) {
			t.Errorf("mode %d: %v, left %q; want kind %v, left %q", c.mode, err, s.Keys(), c.kind, c.left)
		}
	}
}

func TestFaultyHangEndsWithContext(t *testing.T) {
	f := NewFaulty(filled(t, "x", "k"), always(Hang))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	for _, call := range []func() error{
		func() error { _, err := f.Put(ctx, "n", nil); return err },
		func() error { _, err := read(ctx, f, "k"); return err },
		func() error { _, err := list(ctx, f, ""); return err },
		func() error { _, err := f.Erase(ctx, "k"); return err },
		func() error { _, err := f.Probe(ctx); return err },
	} {
		go func() { done <- call() }()
	}
	cancel()
	for range 5 {
		if err := <-done; !errors.Is(err, context.Canceled) || backends.KindOf(err) == 0 {
			t.Errorf("hung call returned %v", err)
		}
	}
}

func TestFaultyDeciders(t *testing.T) {
	puts := func(decide func(Call) Fault, keys ...string) (failed []string) {
		f := NewFaulty(mem.New(mem.Options{}), decide)
		for _, key := range keys {
			if _, err := f.Put(t.Context(), key, nil); err != nil {
				if !errors.Is(err, ErrInjected) {
					t.Errorf("put %s: %v", key, err)
				}
				failed = append(failed, key)
			}
			read(t.Context(), f, key)
		}
		if f.Calls(Put) != len(keys) || f.Calls(Get) != len(keys) || f.Calls(List) != 0 {
			t.Errorf("counted %d puts, %d gets, %d lists", f.Calls(Put), f.Calls(Get), f.Calls(List))
		}
		return failed
	}
	for name, c := range map[string]struct {
		decide func(Call) Fault
		want   []string
	}{
		"nil":     {nil, nil},
		"nth":     {FailNth(Put, 2, FailStored), []string{"b/1"}},
		"crash":   {CrashAt(Put, 3, FailStored), []string{"b/2", "c"}},
		"keys":    {FailKeys(Put, "b/", Fail), []string{"b/1", "b/2"}},
		"either":  {Either(FailNth(Put, 1, Fail), FailKeys(Put, "c", Fail)), []string{"a", "c"}},
		"another": {FailNth(Erase, 1, Fail), nil},
	} {
		if got := puts(c.decide, "a", "b/1", "b/2", "c"); !slices.Equal(got, c.want) {
			t.Errorf("%s: failed %q, want %q", name, got, c.want)
		}
	}

	full := &backends.Error{Op: "put", Kind: backends.Full}
	_, err := NewFaulty(mem.New(mem.Options{}), func(Call) Fault { return Fault{Mode: Fail, Err: full} }).Put(t.Context(), "k", nil)
	if !errors.Is(err, backends.Full) {
		t.Errorf("an error of one's own: %v", err)
	}
}
