// Package dir is a store in a directory of a local file system, shared by any
// number of processes and, where the file system itself is shared correctly,
// of machines.
//
// An object is a regular file whose path is its key. Put writes a file in
// ".aivault_tmp", a name that no key can have, syncs it, and makes it appear
// under its final name with link(2), which fails where something is there; then
// it syncs every directory that may have changed. So an object is there whole
// or not at all, whenever a process or the machine dies. It can be seen a moment
// before Put has made sure that it outlives a power failure.
//
// Erase unlinks. It does not overwrite, because that erases nothing on SSDs and
// on file systems that copy on write, and it does not reach into snapshots and
// backups. Directories left empty are removed.
//
// No key can be used while it is a path prefix of another, or another of it:
// Put says Invalid. All access goes through [os.Root], so that a symbolic link
// planted in the tree leads nowhere outside of it.
package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
)

// Permissions of what a store creates: its owner's alone.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Store is a [backends.Store] in a directory. Objects have no versions.
type Store struct {
	root  *os.Root
	now   func() time.Time
	known durable

	// The two system calls that decide whether a Put has happened.
	link  func(oldname, newname string) error
	fsync func(*os.File) error
}

var _ backends.Store = (*Store)(nil)

// Open returns the store in the directory path, which must exist. It removes
// what writers that died left in the temporary directory more than a day ago.
// Now is this machine's clock, for Probe. The caller closes the store.
func Open(path string, now func() time.Time) (*Store, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, &backends.Error{Op: "open", Key: path, Kind: kindOf(err), Err: err}
	}
	s := &Store{root: root, now: now, link: root.Link, fsync: (*os.File).Sync}
	s.sweep()
	return s, nil
}

// Create is Open for a directory that need not exist: it and its parents are
// made with permission 0700.
func Create(path string, now func() time.Time) (*Store, error) {
	if err := mkdirAll(path); err != nil {
		return nil, &backends.Error{Op: "open", Key: path, Kind: kindOf(err), Err: err}
	}
	return Open(path, now)
}

// mkdirAll makes path and its parents, durably.
func mkdirAll(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	var missing []string
	for p := path; ; p = filepath.Dir(p) {
		_, err := os.Stat(p)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			return err
		}
		missing = append(missing, p)
	}
	for _, p := range slices.Backward(missing) {
		if err := os.Mkdir(p, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !syncsDirectories {
			continue
		}
		parent, err := os.Open(filepath.Dir(p))
		if err != nil {
			return err
		}
		if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the directory. Calls in progress fail.
func (s *Store) Close() error {
	s.known.close()
	return s.root.Close()
}

// openDir opens the directory name, with or without a '/' at the end; empty is
// the root. It follows no symbolic link: what is not a directory, or below
// something that is not one, does not exist.
func (s *Store) openDir(name string) (*os.Root, error) {
	d, err := s.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for seg := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		if seg == "" || seg == "." {
			break
		}
		sub, err := openSubdir(d, seg)
		d.Close()
		if err != nil {
			return nil, err
		}
		d = sub
	}
	return d, nil
}

// openSubdir opens the directory name in d, if it is one.
func openSubdir(d *os.Root, name string) (*os.Root, error) {
	fi, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s is not a directory: %w", name, fs.ErrNotExist)
	}
	return d.OpenRoot(name)
}

// failure wraps err as an error of the given kind, or of the one that err
// stands for if kind is 0.
func failure(op, key string, kind backends.Kind, err error) error {
	if kind == 0 {
		kind = kindOf(err)
	}
	return &backends.Error{Op: op, Key: key, Kind: kind, Err: err}
}

// kindOf classifies an error, of the system or our own, about something that was
// certainly not applied.
func kindOf(err error) backends.Kind {
	if k := backends.KindOf(err); k != 0 {
		return k
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return backends.NotExist
	case isFull(err):
		return backends.Full
	case errors.Is(err, fs.ErrPermission), isReadOnly(err):
		return backends.Denied
	case isNotDirectory(err):
		return backends.Invalid
	}
	return backends.Unavailable
}

// checkKey is [backends.CheckKey], and on Windows refuses what that system
// would take for a device or for another name.
func checkKey(key string) error {
	if err := backends.CheckKey(key); err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		return nil
	}
	if !filepath.IsLocal(filepath.FromSlash(key)) || strings.HasSuffix(key, ".") || strings.Contains(key, "./") {
		return fmt.Errorf("key %q: not a file name on Windows: %w", key, backends.Invalid)
	}
	return nil
}
