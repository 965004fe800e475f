package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/aivault/aivault/backends"
)

// Object is a key and the bytes that were once put there.
type Object struct {
	Key  string
	Body []byte
}

// WriteOnce watches that nothing in a store is ever overwritten, and remembers
// every object ever written, erased ones too: what an adversary holds who kept
// all of storage. It fails its test when
//
//   - the store accepts a second Put of a key that was not erased between;
//   - a client puts other bytes under a key than those it holds, unless the key
//     is one for which writers compete. A file key seals exactly one byte
//     string: a retry sends the same bytes or takes a new key.
//
// It should stand next to the store, behind a [Faulty] one, so as to see what
// storage sees. It is safe for concurrent use.
type WriteOnce struct {
	store     backends.Store
	t         testing.TB
	contended func(key string) bool

	mu      sync.Mutex
	history []Object
	held    map[string]*holding
}

// holding is what is known of one key.
type holding struct {
	body    []byte // of the Put that was accepted; nil: none, or not known
	erasing int    // erases of it in progress
	erases  int    // erases of it begun
}

var _ backends.Store = (*WriteOnce)(nil)

// NewWriteOnce returns s, watched. Contended tells for which keys different
// bytes may compete, as they do for the slots of a journal; nil means none.
func NewWriteOnce(t testing.TB, s backends.Store, contended func(key string) bool) *WriteOnce {
	if contended == nil {
		contended = func(string) bool { return false }
	}
	return &WriteOnce{store: s, t: t, contended: contended, held: make(map[string]*holding)}
}

// History returns every object that was, or may have been, stored since
// NewWriteOnce, in the order of the answers. The bytes must not be changed.
func (w *WriteOnce) History() []Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.history)
}

// holding returns what is known of key. The caller holds mu.
func (w *WriteOnce) holding(key string) *holding {
	h := w.held[key]
	if h == nil {
		h = new(holding)
		w.held[key] = h
	}
	return h
}

// Put implements [backends.Store].
func (w *WriteOnce) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	sent := append([]byte{}, body...)
	w.mu.Lock()
	before := *w.holding(key)
	w.mu.Unlock()
	in, err := w.store.Put(ctx, key, body)

	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil || errors.Is(err, backends.Indeterminate) {
		w.history = append(w.history, Object{key, sent})
	}
	h := w.holding(key)
	if h.erasing > 0 || h.erases != before.erases {
		h.body = nil // nobody knows which came first
		return in, err
	}
	if h.body != nil && err == nil {
		w.t.Errorf("put %s: the store accepted a second object of %d bytes over one of %d", key, len(sent), len(h.body))
	}
	if h.body != nil && !bytes.Equal(h.body, sent) && !w.contended(key) {
		w.t.Errorf("put %s: a client sent %d bytes that are not the %d it holds", key, len(sent), len(h.body))
	}
	if err == nil {
		h.body = sent
	}
	return in, err
}

// Get implements [backends.Store].
func (w *WriteOnce) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	return w.store.Get(ctx, ref, off, n)
}

// List implements [backends.Store].
func (w *WriteOnce) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return w.store.List(ctx, prefix, o)
}

// Erase implements [backends.Store].
func (w *WriteOnce) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	w.mu.Lock()
	for _, key := range keys {
		h := w.holding(key)
		h.erases++
		h.erasing++
		h.body = nil
	}
	w.mu.Unlock()
	rem, err := w.store.Erase(ctx, keys...)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		w.holding(key).erasing--
	}
	return rem, err
}

// Probe implements [backends.Store].
func (w *WriteOnce) Probe(ctx context.Context) (backends.Capabilities, error) {
	return w.store.Probe(ctx)
}
