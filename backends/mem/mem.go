// Package mem is a store in memory, for tests. It can play a bucket with
// versions and with a default retention, and a test can tamper with what it holds.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aivault/aivault/backends"
)

// Options says what kind of bucket a Store plays.
type Options struct {
	Versioned bool             // objects have versions, and Delete leaves a marker
	Retain    time.Duration    // every object is locked for so long
	Now       func() time.Time // storage time; nil: time.Now
}

// Store is a [backends.Store] in memory. Versions are named v00000001,
// v00000002, … in the order of writes.
type Store struct {
	o Options

	mu      sync.RWMutex
	objects map[string][]version // oldest first; never empty
	keys    []string             // of objects, sorted
	writes  int
}

type version struct {
	info backends.Info
	body []byte
}

var _ backends.Store = (*Store)(nil)

// New returns an empty store.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{o: o, objects: make(map[string][]version)}
}

// add appends a version to key. The caller holds mu.
func (s *Store) add(key string, body []byte, marker bool) backends.Info {
	s.writes++
	in := backends.Info{Ref: backends.Ref{Key: key}, Size: int64(len(body)), Modified: s.o.Now(), Marker: marker}
	if s.o.Versioned {
		in.Version = fmt.Sprintf("v%08d", s.writes)
	}
	if s.o.Retain > 0 && !marker {
		in.RetainUntil = in.Modified.Add(s.o.Retain)
	}
	if i, found := slices.BinarySearch(s.keys, key); !found {
		s.keys = slices.Insert(s.keys, i, key)
	}
	s.objects[key] = append(s.objects[key], version{in, body})
	return in
}

// set replaces the versions of key. The caller holds mu.
func (s *Store) set(key string, versions []version) {
	if len(versions) > 0 {
		s.objects[key] = versions
		return
	}
	delete(s.objects, key)
	if i, found := slices.BinarySearch(s.keys, key); found {
		s.keys = slices.Delete(s.keys, i, i+1)
	}
}

// current returns the newest version of key, unless that is a marker. The
// caller holds mu.
func (s *Store) current(key string) (version, bool) {
	vs := s.objects[key]
	if len(vs) == 0 || vs[len(vs)-1].info.Marker {
		return version{}, false
	}
	return vs[len(vs)-1], true
}

func failure(op, key string, kind backends.Kind, err error) error {
	return &backends.Error{Op: op, Key: key, Kind: kind, Err: err}
}

// Put implements [backends.Store].
func (s *Store) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if err := backends.CheckKey(key); err != nil {
		return backends.Info{}, failure("put", key, backends.Invalid, err)
	}
	if len(body) > backends.MaxObject {
		return backends.Info{}, failure("put", key, backends.Invalid, fmt.Errorf("%d bytes", len(body)))
	}
	if err := ctx.Err(); err != nil {
		return backends.Info{}, failure("put", key, backends.Unavailable, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.current(key); ok {
		return backends.Info{}, failure("put", key, backends.Exists, nil)
	}
	return s.add(key, bytes.Clone(body), false), nil
}

// Get implements [backends.Store].
func (s *Store) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if err := backends.CheckKey(ref.Key); err != nil {
		return nil, backends.Info{}, failure("get", ref.Key, backends.Invalid, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, backends.Info{}, failure("get", ref.Key, backends.Unavailable, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.current(ref.Key)
	if ref.Version != "" {
		i := slices.IndexFunc(s.objects[ref.Key], func(v version) bool { return v.info.Version == ref.Version })
		if ok = i >= 0 && !s.objects[ref.Key][i].info.Marker; ok {
			v = s.objects[ref.Key][i]
		}
	}
	if !ok {
		return nil, backends.Info{}, failure("get", ref.Key, backends.NotExist, nil)
	}
	size := int64(len(v.body))
	if off < 0 || off > size {
		return nil, backends.Info{}, failure("get", ref.Key, backends.Invalid, fmt.Errorf("offset %d of %d bytes", off, size))
	}
	if n < 0 || n > size-off {
		n = size - off
	}
	return &reader{ctx, ref.Key, v.body[off : off+n]}, v.info, nil
}

// reader yields the rest of an object. Bodies are never changed in place.
type reader struct {
	ctx  context.Context
	key  string
	rest []byte
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if err := r.ctx.Err(); err != nil {
		return 0, failure("get", r.key, backends.Unavailable, err)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *reader) Close() error { return nil }

// List implements [backends.Store], as of the moment the iteration starts.
func (s *Store) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := backends.CheckPrefix(prefix); err != nil {
			yield(backends.Info{}, failure("list", prefix, backends.Invalid, err))
			return
		}
		if o.Limit < 0 || o.OneLevel && o.Versions {
			yield(backends.Info{}, failure("list", prefix, backends.Invalid, fmt.Errorf("options %+v", o)))
			return
		}
		infos := s.collect(prefix, o)
		for _, in := range infos {
			if err := ctx.Err(); err != nil {
				yield(backends.Info{}, failure("list", prefix, backends.Unavailable, err))
				return
			}
			if !yield(in, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil && len(infos) == 0 {
			yield(backends.Info{}, failure("list", prefix, backends.Unavailable, err))
		}
	}
}

func (s *Store) collect(prefix string, o backends.ListOptions) []backends.Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []backends.Info
	i, _ := slices.BinarySearch(s.keys, prefix)
	for i < len(s.keys) && strings.HasPrefix(s.keys[i], prefix) && (o.Limit == 0 || len(out) < o.Limit) {
		key := s.keys[i]
		i++
		cur, ok := s.current(key)
		switch slash := strings.IndexByte(key[len(prefix):], '/'); {
		case o.Versions:
			for _, v := range slices.Backward(s.objects[key]) {
				out = append(out, v.info)
			}
		case !ok:
		case o.OneLevel && slash >= 0:
			dir := key[:len(prefix)+slash+1]
			out = append(out, backends.Info{Ref: backends.Ref{Key: dir}})
			i, _ = slices.BinarySearch(s.keys, dir[:len(dir)-1]+"0") // '0' follows '/'
		default:
			out = append(out, cur.info)
		}
	}
	if o.Limit > 0 {
		out = out[:min(len(out), o.Limit)]
	}
	return out
}

// Erase implements [backends.Store]. Locked versions stay, as do the keys they are of.
func (s *Store) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	for _, key := range keys {
		if err := backends.CheckKey(key); err != nil {
			return nil, failure("erase", key, backends.Invalid, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, failure("erase", fmt.Sprintf("%d keys", len(keys)), backends.Unavailable, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	var rem []backends.Remnant
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		kept := slices.DeleteFunc(slices.Clone(s.objects[key]), func(v version) bool { return !v.info.RetainUntil.After(now) })
		s.set(key, kept)
		for _, v := range kept {
			rem = append(rem, backends.Remnant{Ref: v.info.Ref, Until: v.info.RetainUntil, Why: "retention lock"})
		}
	}
	return rem, nil
}

// Probe implements [backends.Store].
func (s *Store) Probe(ctx context.Context) (backends.Capabilities, error) {
	c, err := backends.ProbeStore(ctx, s, s.o.Now)
	c.Versioned, c.Locked = s.o.Versioned, s.o.Retain > 0
	c.RefusesBadHash, c.RefusesAnonymous = true, true
	return c, err
}
