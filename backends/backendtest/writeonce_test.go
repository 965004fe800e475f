package backendtest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aivault/aivault/backends"
	. "github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
)

// recorder is a testing.TB that keeps what would have failed the test.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	failed []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

// overwriting accepts every put, as a store does that ignores conditions.
type overwriting struct{ *mem.Store }

func (o overwriting) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	o.Remove(key)
	return o.Store.Put(ctx, key, body)
}

func TestWriteOncePassesConformance(t *testing.T) {
	contended := func(string) bool { return true }
	Run(t, func(t *testing.T) backends.Store { return NewWriteOnce(t, mem.New(mem.Options{}), contended) })
}

func TestWriteOnceFails(t *testing.T) {
	type step struct{ key, body string } // body "-" erases
	log := func(key string) bool { return strings.HasPrefix(key, "log/") }
	for name, c := range map[string]struct {
		lax   bool // the store overwrites
		steps []step
		want  []string // fragments of what fails
	}{
		"once":                 {false, []step{{"a", "1"}, {"b", "2"}}, nil},
		"same bytes again":     {false, []step{{"a", "1"}, {"a", "1"}}, nil},
		"other bytes":          {false, []step{{"a", "1"}, {"a", "22"}}, []string{"put a: a client sent 2 bytes"}},
		"empty, then not":      {false, []step{{"a", ""}, {"a", "1"}}, []string{"put a: a client sent 1 bytes"}},
		"a slot":               {false, []step{{"log/1", "1"}, {"log/1", "2"}}, nil},
		"erased between":       {false, []step{{"a", "1"}, {"a", "-"}, {"a", "2"}}, nil},
		"accepted twice":       {true, []step{{"a", "1"}, {"a", "1"}}, []string{"put a: the store accepted a second"}},
		"a slot, twice":        {true, []step{{"log/1", "1"}, {"log/1", "2"}}, []string{"put log/1: the store accepted a second"}},
		"accepted and changed": {true, []step{{"a", "1"}, {"a", "2"}}, []string{"the store accepted", "a client sent"}},
	} {
		var s backends.Store = mem.New(mem.Options{})
		if c.lax {
			s = overwriting{mem.New(mem.Options{})}
		}
		r := &recorder{TB: t}
		w := NewWriteOnce(r, s, log)
		for _, st := range c.steps {
			if st.body == "-" {
				w.Erase(t.Context(), st.key)
			} else {
				w.Put(t.Context(), st.key, []byte(st.body))
			}
		}
		ok := len(r.failed) == len(c.want)
		for i := range min(len(c.want), len(r.failed)) {
			ok = ok && strings.Contains(r.failed[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: failed with %q, want %q", name, r.failed, c.want)
		}
	}
}

func TestWriteOnceHistory(t *testing.T) {
	s := NewFaulty(mem.New(mem.Options{}), Either(FailKeys(Put, "lost", FailStored), FailKeys(Put, "failed", Fail)))
	w := NewWriteOnce(t, s, func(key string) bool { return key == "slot" })
	body := []byte("one")
	w.Put(t.Context(), "a", body)
	copy(body, "xxx") // the caller may use its slice again
	w.Put(t.Context(), "slot", []byte("first"))
	w.Put(t.Context(), "slot", []byte("second")) // refused: never stored
	w.Erase(t.Context(), "a")
	w.Put(t.Context(), "a", []byte("two"))
	w.Put(t.Context(), "lost", []byte("maybe"))
	w.Put(t.Context(), "failed", []byte("never"))

	var got []string
	for _, o := range w.History() {
		got = append(got, o.Key+"="+string(o.Body))
	}
	if want := []string{"a=one", "slot=first", "a=two", "lost=maybe"}; !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
}

func TestWriteOnceConcurrently(t *testing.T) {
	w := NewWriteOnce(t, mem.New(mem.Options{}), func(string) bool { return true })
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 20 {
				w.Put(t.Context(), fmt.Sprint("k", j), []byte{byte(i)})
				if i%4 == 0 {
					w.Erase(t.Context(), fmt.Sprint("k", j))
				}
			}
		})
	}
	wg.Wait()
	if n := len(w.History()); n < 20 {
		t.Errorf("history of %d objects, want at least 20", n)
	}
}
