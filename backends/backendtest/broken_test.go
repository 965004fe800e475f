package backendtest_test

import (
	"context"
	"io"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	. "github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
)

// broken is a store in memory with methods that a case may replace.
type broken struct {
	*mem.Store
	put   func(ctx context.Context, key string, body []byte) (backends.Info, error)
	get   func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error)
	list  func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error]
	erase func(ctx context.Context, keys ...string) ([]backends.Remnant, error)
	probe func(ctx context.Context) (backends.Capabilities, error)
}

func newBroken(breakIt func(*broken)) *broken {
	b := &broken{Store: mem.New(mem.Options{Versioned: true})}
	b.put, b.get, b.list, b.erase = b.Store.Put, b.Store.Get, b.Store.List, b.Store.Erase
	b.probe = func(ctx context.Context) (backends.Capabilities, error) {
		c, err := backends.ProbeStore(ctx, b, time.Now)
		c.RefusesBadHash, c.RefusesAnonymous = true, true
		return c, err
	}
	breakIt(b)
	return b
}

func (b *broken) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	return b.put(ctx, key, body)
}

func (b *broken) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	return b.get(ctx, ref, off, n)
}

func (b *broken) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return b.list(ctx, prefix, o)
}

func (b *broken) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	return b.erase(ctx, keys...)
}

func (b *broken) Probe(ctx context.Context) (backends.Capabilities, error) { return b.probe(ctx) }

// relist passes listings through edit, which gets all the results and may
// change, reorder or drop some.
func (b *broken) relist(edit func(prefix string, o backends.ListOptions, infos []backends.Info) []backends.Info) {
	list := b.list
	b.list = func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
		return func(yield func(backends.Info, error) bool) {
			var infos []backends.Info
			for in, err := range list(ctx, prefix, o) {
				if err != nil {
					yield(backends.Info{}, err)
					return
				}
				infos = append(infos, in)
			}
			for _, in := range edit(prefix, o, infos) {
				if err := ctx.Err(); err != nil {
					yield(backends.Info{}, err)
					return
				}
				if !yield(in, nil) {
					return
				}
			}
		}
	}
}

// heavy checks are run only against the stores that should fail them.
var heavy = []string{"cancel-put", "probe-clean", "put-atomic", "put-largest", "put-too-large"}

type brokenCase struct {
	name    string
	breakIt func(*broken)
	want    []string // the checks that fail, sorted
}

func TestBrokenStoresFail(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range slices.Concat(brokenPuts(), brokenGets(), brokenLists(), brokenErases(), brokenContexts()) {
		for _, name := range c.want {
			seen[name] = true
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var failed []string
			for _, check := range Checks() {
				if slices.Contains(heavy, check.Name) && !slices.Contains(c.want, check.Name) {
					continue
				}
				if err := check.Run(t.Context(), newBroken(c.breakIt)); err != nil {
					t.Logf("%s: %v", check.Name, err)
					failed = append(failed, check.Name)
				}
			}
			if slices.Sort(failed); !slices.Equal(failed, c.want) {
				t.Errorf("failed %q, want %q", failed, c.want)
			}
		})
	}
	for _, check := range Checks() {
		if !seen[check.Name] {
			t.Errorf("no broken store fails %s", check.Name)
		}
	}
}

func TestChecksAreNamed(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range Checks() {
		if c.Name == "" || c.Rule == "" || c.Run == nil || seen[c.Name] {
			t.Errorf("check %q: name, rule or function missing, or name used twice", c.Name)
		}
		seen[c.Name] = true
	}
}

// TestChecksCleanUp also covers a check that fails half way.
func TestChecksCleanUp(t *testing.T) {
	for _, c := range Checks() {
		for n := 1; n <= 3; n++ {
			s := mem.New(mem.Options{Versioned: true})
			c.Run(t.Context(), NewFaulty(s, FailNth(Put, n, FailStored)))
			if keys := s.Keys(); len(keys) > 0 {
				t.Errorf("%s with put %d failing left %d keys, the first is %s", c.Name, n, len(keys), keys[0])
			}
		}
	}
}
