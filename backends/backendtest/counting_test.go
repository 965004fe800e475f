package backendtest_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/aivault/aivault/backends"
	. "github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
)

func TestCountingPassesConformance(t *testing.T) {
	Run(t, func(*testing.T) backends.Store { return NewCounting(mem.New(mem.Options{})) })
}

func TestCountingRecords(t *testing.T) {
	c := NewCounting(mem.New(mem.Options{}))
	c.Put(t.Context(), "a/1", nil)
	c.Put(t.Context(), "b/1", nil)
	c.Put(t.Context(), "a/1", nil) // refused, and still a request
	read(t.Context(), c, "a/1")
	list(t.Context(), c, "a/")
	list(t.Context(), c, "nothing/")
	c.Erase(t.Context(), "b/1", "a/1")
	c.Erase(t.Context())
	c.Probe(t.Context())

	want := []string{"put a/1", "put b/1", "put a/1", "get a/1", "list a/", "list nothing/", "erase b/1", "probe "}
	var got []string
	for _, r := range c.Requests() {
		got = append(got, fmt.Sprintf("%s %s", r.Op, r.Key))
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	for _, n := range []struct {
		op     Op
		prefix string
		want   int
	}{{Put, "", 3}, {Put, "a/", 2}, {Get, "b", 0}, {List, "", 2}, {Erase, "a/", 1}, {"", "", 8}, {"", "a/", 5}} {
		if got := c.Count(n.op, n.prefix); got != n.want {
			t.Errorf("count of %q under %q is %d, want %d", n.op, n.prefix, got, n.want)
		}
	}
	if c.Reset(); len(c.Requests()) != 0 {
		t.Error("record not empty after reset")
	}
}

func TestCountingPages(t *testing.T) {
	s := mem.New(mem.Options{})
	var keys []string
	for i := range 2001 {
		keys = append(keys, fmt.Sprintf("k%04d", i))
		if _, err := s.Put(t.Context(), keys[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		prefix string
		limit  int
		want   int
	}{{"", 0, 3}, {"k0", 0, 1}, {"k1", 0, 1}, {"", 1000, 1}, {"", 1001, 2}, {"", 2000, 2}, {"none", 0, 1}} {
		count := NewCounting(s)
		for range count.List(t.Context(), c.prefix, backends.ListOptions{Limit: c.limit}) {
			continue
		}
		if got := count.Count(List, ""); got != c.want {
			t.Errorf("listing of %q with limit %d is %d requests, want %d", c.prefix, c.limit, got, c.want)
		}
	}
	count := NewCounting(s)
	for range count.List(t.Context(), "", backends.ListOptions{}) {
		break
	}
	if got := count.Count(List, ""); got != 1 {
		t.Errorf("a listing stopped at once is %d requests, want 1", got)
	}
	if _, err := count.Erase(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if got, last := count.Count(Erase, ""), count.Count(Erase, "k2000"); got != 3 || last != 1 {
		t.Errorf("erase of 2001 keys is %d requests, %d with the last key; want 3 and 1", got, last)
	}
}

func TestCountingConcurrently(t *testing.T) {
	c := NewCounting(mem.New(mem.Options{}))
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { c.Put(t.Context(), fmt.Sprint("k", i), nil) })
		wg.Go(func() { c.Count("", "k") })
	}
	wg.Wait()
	if got := c.Count(Put, "k"); got != 50 {
		t.Errorf("%d puts counted, want 50", got)
	}
}
