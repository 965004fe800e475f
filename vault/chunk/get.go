package chunk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// Fetch appends to dst, which grows if it must, the sealed bytes of a chunk of
// the artefact aid. Their number is checked, and nothing else. A store that
// gives no clear answer is asked again, until ctx ends or nothing has succeeded
// for stall (0: no limit). ErrIntegrity: the object is missing, or has another
// size.
func Fetch(ctx context.Context, store backends.Store, aid canonical.Digest, c *manifest.Chunk, dst []byte, stall time.Duration) ([]byte, error) {
	return fetch(ctx, store, c.Key(aid), c.SealedSize, c.SealedSize, dst, stall)
}

// Head returns the first n bytes of a chunk of the artefact aid, under the
// conditions of [Fetch].
func Head(ctx context.Context, store backends.Store, aid canonical.Digest, c *manifest.Chunk, n int64, stall time.Duration) ([]byte, error) {
	return fetch(ctx, store, c.Key(aid), min(n, c.SealedSize), c.SealedSize, nil, stall)
}

// Get returns the sealed bytes of an object that an entry binds by digest, under
// the conditions of [Fetch]. ErrIntegrity: also for another digest.
func Get(ctx context.Context, store backends.Store, key string, sum canonical.Digest, stall time.Duration) ([]byte, error) {
	b, err := fetch(ctx, store, key, -1, -1, nil, stall)
	if err != nil {
		return nil, err
	}
	if got := canonical.Sum(b); got != sum {
		return nil, fmt.Errorf("%s: %w: its SHA-256 is %s, not %s", key, ErrIntegrity, got, sum)
	}
	return b, nil
}

// fetch appends the first n bytes of an object, or all of it if n is negative.
// If size is not negative it is that of the whole object.
func fetch(ctx context.Context, store backends.Store, key string, n, size int64, dst []byte, stall time.Duration) ([]byte, error) {
	b := backoff{stall: stall}
	defer b.stop()
	for {
		out, err := attempt(ctx, store, key, n, size, dst)
		switch {
		case err == nil:
			return out, nil
		case errors.Is(err, backends.NotExist), errors.Is(err, backends.Corrupt):
			return nil, fmt.Errorf("%s: %w: %w", key, ErrIntegrity, err)
		case !transient(err):
			return nil, fmt.Errorf("reading %s: %w", key, err)
		}
		if err := b.pause(ctx, err); err != nil {
			return nil, fmt.Errorf("reading %s: %w", key, err)
		}
	}
}

// attempt is one attempt at fetch.
func attempt(ctx context.Context, store backends.Store, key string, n, size int64, dst []byte) (_ []byte, err error) {
	r, info, err := store.Get(ctx, backends.Ref{Key: key}, 0, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if size >= 0 && info.Size != size {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrIntegrity, info.Size, size)
	}
	if n < 0 {
		n = info.Size
	}
	if n < 0 || n > backends.MaxObject {
		return nil, fmt.Errorf("%w: %d bytes", ErrIntegrity, n)
	}
	start := len(dst)
	dst = slices.Grow(dst, int(n))[:start+int(n)]
	switch got, err := io.ReadFull(r, dst[start:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: it ends after %d of %d bytes", ErrIntegrity, got, n)
	case err != nil:
		return nil, err
	}
	var more [1]byte
	switch got, err := r.Read(more[:]); {
	case got > 0:
		return nil, fmt.Errorf("%w: it goes on after %d bytes", ErrIntegrity, n)
	case err != nil && err != io.EOF:
		return nil, err
	}
	return dst, nil
}
