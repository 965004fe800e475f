package vault

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"sync"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault/ledger"
)

// Cache keeps sealed objects on this machine, see ledger.Cache.
type Cache = ledger.Cache

const (
	// maxCached bounds one cached object, and maxHeld what one command holds back for the cache, in bytes.
	maxCached = 20 << 20
	maxHeld   = 64 << 20
)

// cacheable matches the small objects that a reader needs again and again.
// Nothing in a vault is ever overwritten, so a copy cannot be out of date.
var cacheable = regexp.MustCompile(`^(log/[0-9a-f]{16}|doc/[0-9a-f]{64}|grp/[0-9a-f]{32}-[0-9a-f]{32}|wit/[0-9a-f]{16}-[0-9a-f]{32}|a/[0-9a-f]{64}/(log/[0-9a-f]{16}|g/[^/]+|e/[0-9a-f]{32}/[^/]+|v/[0-9a-f]{32}/(k-|m-|r-)[^/]+))$`)

// cachedStore answers whole reads of cacheable objects from the cache. What it
// fetches is held back until keep says that everything read verified: an object
// that does not verify must not outlive the command that found it.
type cachedStore struct {
	backends.Store
	cache Cache

	mu   sync.Mutex
	held map[string][]byte
	size int
}

func newCachedStore(s backends.Store, c Cache) *cachedStore {
	return &cachedStore{Store: s, cache: c, held: map[string][]byte{}}
}

// Get reads through the cache.
func (s *cachedStore) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if off != 0 || n >= 0 || ref.Version != "" || !cacheable.MatchString(ref.Key) {
		return s.Store.Get(ctx, ref, off, n)
	}
	if b, ok := s.cache.Get(ref.Key); ok {
		return io.NopCloser(bytes.NewReader(b)), backends.Info{Ref: ref, Size: int64(len(b))}, nil
	}
	r, info, err := s.Store.Get(ctx, ref, off, n)
	if err != nil || info.Size > maxCached {
		return r, info, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxCached+1))
	if err != nil {
		return nil, info, err
	}
	s.hold(ref.Key, b)
	return io.NopCloser(bytes.NewReader(b)), info, nil
}

// Put stores and remembers: a writer's own entry is what it reads next.
func (s *cachedStore) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	info, err := s.Store.Put(ctx, key, body)
	if err == nil && len(body) <= maxCached && cacheable.MatchString(key) {
		s.hold(key, bytes.Clone(body))
	}
	return info, err
}

func (s *cachedStore) hold(key string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+len(b) <= maxHeld {
		s.held[key] = b
		s.size += len(b)
	}
}

// keep hands what was read to the cache.
func (s *cachedStore) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, b := range s.held {
		s.cache.Put(k, b)
	}
	clear(s.held)
	s.size = 0
}
