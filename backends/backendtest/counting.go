package backendtest

import (
	"context"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/aivault/aivault/backends"
)

// page is how many results a listing, and how many keys an erase, get for one
// request, as on S3.
const page = 1000

// Request is one request that a store such as S3 would have been sent.
type Request struct {
	Op   Op
	Key  string   // key or prefix; of an erase the first key
	Keys []string // of an erase, all keys of this request
}

// Counting records the requests made of a store. It is safe for concurrent use;
// requests stand in the order in which they began.
type Counting struct {
	store backends.Store

	mu       sync.Mutex
	requests []Request
}

var _ backends.Store = (*Counting)(nil)

// NewCounting returns s with a record.
func NewCounting(s backends.Store) *Counting { return &Counting{store: s} }

func (c *Counting) record(r Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
}

// Requests returns the record so far.
func (c *Counting) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// Reset forgets the record.
func (c *Counting) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = nil
}

// Count tells how many requests of op touched a key with the prefix; an empty
// op counts them all.
func (c *Counting) Count(op Op, prefix string) int {
	n := 0
	for _, r := range c.Requests() {
		if op != "" && r.Op != op {
			continue
		}
		if strings.HasPrefix(r.Key, prefix) || slices.ContainsFunc(r.Keys, func(k string) bool { return strings.HasPrefix(k, prefix) }) {
			n++
		}
	}
	return n
}

// Put implements [backends.Store].
func (c *Counting) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	c.record(Request{Op: Put, Key: key})
	return c.store.Put(ctx, key, body)
}

// Get implements [backends.Store].
func (c *Counting) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	c.record(Request{Op: Get, Key: ref.Key})
	return c.store.Get(ctx, ref, off, n)
}

// List implements [backends.Store]. It is one request, and one more for every
// 1,000 results that more results follow.
func (c *Counting) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		c.record(Request{Op: List, Key: prefix})
		n := 0
		for in, err := range c.store.List(ctx, prefix, o) {
			if n > 0 && n%page == 0 {
				c.record(Request{Op: List, Key: prefix})
			}
			n++
			if !yield(in, err) {
				return
			}
		}
	}
}

// Erase implements [backends.Store]. It is a request for every 1,000 keys.
func (c *Counting) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	for batch := range slices.Chunk(keys, page) {
		c.record(Request{Op: Erase, Key: batch[0], Keys: slices.Clone(batch)})
	}
	return c.store.Erase(ctx, keys...)
}

// Probe implements [backends.Store]. It is recorded as one request.
func (c *Counting) Probe(ctx context.Context) (backends.Capabilities, error) {
	c.record(Request{Op: Probe})
	return c.store.Probe(ctx)
}
