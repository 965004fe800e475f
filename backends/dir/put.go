package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/aivault/aivault/backends"
)

// writeSlice is how much is written between two looks at the context.
const writeSlice = 1 << 20

// maxLinks limits how often Put makes a directory again that an Erase found
// empty and removed.
const maxLinks = 100

// Put implements [backends.Store]. Until the link it is Unavailable when
// cancelled; from then on it no longer looks.
func (s *Store) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if err := checkKey(key); err != nil {
		return backends.Info{}, failure("put", key, backends.Invalid, err)
	}
	if len(body) > backends.MaxObject {
		return backends.Info{}, failure("put", key, backends.Invalid, fmt.Errorf("%d bytes", len(body)))
	}
	if err := ctx.Err(); err != nil {
		return backends.Info{}, failure("put", key, backends.Unavailable, err)
	}
	if _, err := s.root.Lstat(key); err == nil {
		return backends.Info{}, s.occupied(key)
	}
	f, temp, err := s.temp()
	if err != nil {
		return backends.Info{}, failure("put", key, putKind(err), err)
	}
	defer s.root.Remove(temp)
	fi, err := s.fill(ctx, f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		return backends.Info{}, failure("put", key, putKind(err), err)
	}
	if err := s.publish(ctx, temp, fi, key); err != nil {
		return backends.Info{}, err
	}
	return backends.Info{Ref: backends.Ref{Key: key}, Size: fi.Size(), Modified: fi.ModTime()}, nil
}

// putKind is kindOf for a Put that was not applied: that a file is gone which
// was there says nothing about the key.
func putKind(err error) backends.Kind {
	if k := kindOf(err); k != backends.NotExist {
		return k
	}
	return backends.Unavailable
}

// fill writes body to f and syncs it.
func (s *Store) fill(ctx context.Context, f *os.File, body []byte) (fs.FileInfo, error) {
	for len(body) > 0 {
		n := min(len(body), writeSlice)
		if _, err := f.Write(body[:n]); err != nil {
			return nil, err
		}
		body = body[n:]
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if err := s.fsync(f); err != nil {
		return nil, err
	}
	return f.Stat()
}

// publish links the file temp, which is fi, to key.
func (s *Store) publish(ctx context.Context, temp string, fi fs.FileInfo, key string) error {
	var err error
	for range maxLinks {
		if err := ctx.Err(); err != nil {
			return failure("put", key, backends.Unavailable, err)
		}
		if err := s.mkdirs(key); err != nil {
			return failure("put", key, putKind(err), err)
		}
		if err = s.link(temp, key); err == nil || s.isLinked(fi, key) {
			if err := s.settle(key); err != nil {
				return failure("put", key, backends.Indeterminate, err)
			}
			return nil
		}
		switch {
		case errors.Is(err, fs.ErrExist):
			return s.occupied(key)
		case errors.Is(err, fs.ErrNotExist):
			if _, gone := s.root.Lstat(temp); gone != nil {
				return failure("put", key, backends.Unavailable, fmt.Errorf("temporary file: %w", gone))
			}
		case kindOf(err) == backends.Unavailable:
			return failure("put", key, backends.Indeterminate, err)
		default:
			return failure("put", key, 0, err)
		}
	}
	return failure("put", key, backends.Unavailable, err)
}

// isLinked reports whether key is the file fi. Where the answer to a link was
// lost on the way from a file server and the link repeated, it says that the
// name exists: it is our own.
func (s *Store) isLinked(fi fs.FileInfo, key string) bool {
	there, err := s.root.Lstat(key)
	return err == nil && os.SameFile(there, fi)
}

// occupied returns the error for a key at which something is. That it stays
// there is made sure of, since a caller may find its own bytes in it, left by a
// Put that died before it could.
func (s *Store) occupied(key string) error {
	fi, err := s.root.Lstat(key)
	if err == nil && fi.IsDir() {
		return failure("put", key, backends.Invalid, errors.New("the key is a path prefix of others"))
	}
	if err := s.settle(key); err != nil {
		return failure("put", key, backends.Unavailable, err)
	}
	return failure("put", key, backends.Exists, nil)
}

// mkdirs makes the directories above key.
func (s *Store) mkdirs(key string) error {
	for i, c := range key {
		if c != '/' {
			continue
		}
		err := s.root.Mkdir(key[:i], dirMode)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed again by an erase; the link will fail and say so
			}
			return err
		}
		if err == nil {
			continue
		}
		if fi, err := s.root.Lstat(key[:i]); err == nil && !fi.IsDir() {
			what := "an object"
			if !fi.Mode().IsRegular() {
				what = fmt.Sprintf("a foreign file (%v)", fi.Mode().Type())
			}
			return fmt.Errorf("%s is %s: no key can lie below it: %w", key[:i], what, backends.Invalid)
		}
	}
	return nil
}
