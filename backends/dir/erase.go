package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/aivault/aivault/backends"
)

// Erase implements [backends.Store]. Nothing is ever retained.
func (s *Store) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return nil, failure("erase", key, backends.Invalid, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, failure("erase", fmt.Sprintf("%d keys", len(keys)), backends.Unavailable, err)
	}
	temps, err := s.temps()
	if err != nil {
		return nil, failure("erase", tempDir, eraseKind(err), err)
	}
	changed := make(map[string]bool)
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return nil, failure("erase", key, backends.Indeterminate, errors.Join(err, s.tidy(changed)))
		}
		gone, err := s.eraseOne(key, temps)
		if gone {
			changed[path.Dir(key)] = true
		}
		if err != nil {
			return nil, failure("erase", key, eraseKind(err), errors.Join(err, s.tidy(changed)))
		}
	}
	if err := s.tidy(changed); err != nil {
		return nil, failure("erase", fmt.Sprintf("%d keys", len(keys)), backends.Indeterminate, err)
	}
	return nil, nil
}

// eraseKind is kindOf for an Erase, for which absence is no error.
func eraseKind(err error) backends.Kind {
	if k := kindOf(err); k == backends.Denied {
		return k
	}
	return backends.Indeterminate
}

// eraseOne removes the file at key and reports whether there was one. A writer
// that died after its link has left a second name of the same file among temps;
// that goes first.
func (s *Store) eraseOne(key string, temps map[string]fs.FileInfo) (bool, error) {
	d, err := s.openDir(path.Dir(key))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer d.Close()
	fi, err := d.Lstat(path.Base(key))
	if errors.Is(err, fs.ErrNotExist) || err == nil && fi.IsDir() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for name, temp := range temps {
		if os.SameFile(fi, temp) {
			if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
		}
	}
	if err := d.Remove(path.Base(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

// tidy removes those of the directories that are empty, and the ones above them
// that thereby become so, and syncs what remains.
func (s *Store) tidy(changed map[string]bool) error {
	var errs []error
	for dir := range changed {
		for name := dir; name != "."; name = path.Dir(name) {
			// With a '/' at the end it is a directory that goes, or nothing.
			if err := s.root.Remove(name + "/"); err != nil && !errors.Is(err, fs.ErrNotExist) {
				break
			}
			s.known.forget(name)
		}
	}
	synced := make(map[string]bool)
	for dir := range changed {
		for ; dir != "."; dir = path.Dir(dir) {
			if _, err := s.root.Lstat(dir); err == nil {
				break
			}
		}
		if !synced[dir] {
			synced[dir] = true
			errs = append(errs, s.syncDir(dir))
		}
	}
	return errors.Join(errs...)
}
