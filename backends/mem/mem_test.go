package mem_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
)

func TestConformance(t *testing.T) {
	for name, o := range map[string]mem.Options{
		"plain":     {},
		"versioned": {Versioned: true},
		"locked":    {Versioned: true, Retain: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := mem.New(o)
			backendtest.Run(t, func(*testing.T) backends.Store { return s })
			if keys := s.Keys(); len(keys) > 0 && o.Retain == 0 {
				t.Errorf("the suite left %d keys behind, the first is %s", len(keys), keys[0])
			}
		})
	}
}

// clock is storage time that moves only when told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func put(t *testing.T, s backends.Store, key, body string) backends.Info {
	t.Helper()
	in, err := s.Put(t.Context(), key, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func get(t *testing.T, s backends.Store, ref backends.Ref) (string, error) {
	t.Helper()
	r, _, err := s.Get(t.Context(), ref, 0, -1)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), r.Close()
}

func list(t *testing.T, s backends.Store, o backends.ListOptions) []string {
	t.Helper()
	var out []string
	for in, err := range s.List(t.Context(), "", o) {
		if err != nil {
			t.Fatal(err)
		}
		s := in.Key
		if o.Versions {
			s = fmt.Sprintf("%s@%s marker=%v", in.Key, in.Version, in.Marker)
		}
		out = append(out, s)
	}
	return out
}

func TestVersionsAndMarkers(t *testing.T) {
	s := mem.New(mem.Options{Versioned: true, Now: newClock().now})
	one := put(t, s, "k", "one")
	s.Delete("k")
	if _, err := get(t, s, backends.Ref{Key: "k"}); !errors.Is(err, backends.NotExist) {
		t.Errorf("get under a marker: %v", err)
	}
	if got, err := get(t, s, one.Ref); got != "one" || err != nil {
		t.Errorf("get of the version below the marker: %q, %v", got, err)
	}
	if got := list(t, s, backends.ListOptions{}); got != nil {
		t.Errorf("a key under a marker is listed: %q", got)
	}
	if got := list(t, s, backends.ListOptions{OneLevel: true}); got != nil {
		t.Errorf("a key under a marker is listed in one level: %q", got)
	}
	put(t, s, "k", "two")
	put(t, s, "l", "three")
	want := []string{"k@v00000003 marker=false", "k@v00000002 marker=true", "k@v00000001 marker=false", "l@v00000004 marker=false"}
	if got := list(t, s, backends.ListOptions{Versions: true}); !slices.Equal(got, want) {
		t.Errorf("versions %q, want %q", got, want)
	}
	if got := list(t, s, backends.ListOptions{Versions: true, Limit: 2}); !slices.Equal(got, want[:2]) {
		t.Errorf("first two versions %q, want %q", got, want[:2])
	}
	if _, err := get(t, s, backends.Ref{Key: "k", Version: "v00000002"}); !errors.Is(err, backends.NotExist) {
		t.Errorf("get of a marker: %v", err)
	}
	if _, err := s.Erase(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got := list(t, s, backends.ListOptions{Versions: true}); !slices.Equal(got, want[3:]) {
		t.Errorf("versions after erase %q, want %q", got, want[3:])
	}
}

func TestRetention(t *testing.T) {
	c := newClock()
	s := mem.New(mem.Options{Versioned: true, Retain: time.Hour, Now: c.now})
	in := put(t, s, "k", "one")
	until := c.t.Add(time.Hour)
	if !in.RetainUntil.Equal(until) {
		t.Errorf("retained until %v, want %v", in.RetainUntil, until)
	}
	s.Delete("k")
	rem, err := s.Erase(t.Context(), "k", "absent")
	if err != nil || len(rem) != 1 || rem[0].Ref != in.Ref || !rem[0].Until.Equal(until) || rem[0].Why == "" {
		t.Fatalf("erase of a locked object: %+v, %v", rem, err)
	}
	if got, err := get(t, s, in.Ref); got != "one" || err != nil {
		t.Errorf("locked version after erase: %q, %v", got, err)
	}
	c.t = until
	if rem, err := s.Erase(t.Context(), "k"); err != nil || len(rem) > 0 {
		t.Fatalf("erase after the lock ended: %+v, %v", rem, err)
	}
	if _, err := get(t, s, in.Ref); !errors.Is(err, backends.NotExist) {
		t.Errorf("get after the erase: %v", err)
	}
}

func TestProbeTellsWhatItIs(t *testing.T) {
	for _, o := range []mem.Options{{}, {Versioned: true}, {Versioned: true, Retain: time.Hour}, {Retain: time.Hour}} {
		// Storage time is the probe's clock as well, so there is no skew.
		o.Now = newClock().now
		c, err := mem.New(o).Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if bad := c.Refusals(); len(bad) > 0 {
			t.Errorf("%+v: refused: %q", o, bad)
		}
		if c.Versioned != o.Versioned || c.Locked != (o.Retain > 0) || c.ClockSkew != 0 {
			t.Errorf("%+v: %+v", o, c)
		}
	}
}

func TestTampering(t *testing.T) {
	s := mem.New(mem.Options{})
	put(t, s, "a", "one")
	put(t, s, "b", "two")
	r, _, err := s.Get(t.Context(), backends.Ref{Key: "a"}, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Tamper("a", func(b []byte) []byte { b[0] ^= 1; return append(b, '!') }) {
		t.Error("tamper: no such key")
	}
	if open, _ := io.ReadAll(r); string(open) != "one" {
		t.Errorf("tampering reached an open reader: %q", open)
	}
	if got, _ := get(t, s, backends.Ref{Key: "a"}); got != "nne!" {
		t.Errorf("tampered object: %q", got)
	}
	for in, err := range s.List(t.Context(), "a", backends.ListOptions{}) {
		if err != nil || in.Size != 4 {
			t.Errorf("tampered object: %+v, %v", in, err)
		}
	}
	if s.Tamper("c", func(b []byte) []byte { return b }) || s.Remove("c") {
		t.Error("tampered with a key that is not there")
	}
	if !s.Remove("a") || !slices.Equal(s.Keys(), []string{"b"}) {
		t.Errorf("after remove: %q", s.Keys())
	}
	s.Delete("b")
	if len(s.Keys()) != 0 {
		t.Errorf("after delete: %q", s.Keys())
	}
}

func TestListIsASnapshot(t *testing.T) {
	s := mem.New(mem.Options{})
	for i := range 5 {
		put(t, s, fmt.Sprint("k", i), "")
	}
	n := 0
	for in, err := range s.List(t.Context(), "k", backends.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, in.Key+"-later", "")
		if _, err := s.Erase(context.Background(), "k4"); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 5 {
		t.Errorf("%d results, want the 5 that were there at the start", n)
	}
}
