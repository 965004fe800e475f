package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// destination is a directory that a pull writes into. All access goes through
// an os.Root, so that nothing leads outside of it. What is not verified yet
// stands in a directory of its own, which no path of a manifest can name.
type destination struct {
	name     string // as the caller gave it
	root     *os.Root
	staging  string
	held     *os.File     // staging, locked; nil: there is none
	files    atomic.Int64 // ever staged
	buffered atomic.Bool  // the file system refuses direct writes
	all      bool         // walk visits what interrupted pulls left, too

	mu      sync.Mutex
	parents map[string]bool // looked at: a directory, no link; false: there is nothing
	touched map[string]bool // directories that got a new name
}

func newDestination(name string, root *os.Root) *destination {
	return &destination{
		name: name, root: root, staging: stagingPrefix + canonical.NewID().String(),
		parents: map[string]bool{".": true}, touched: make(map[string]bool),
	}
}

// stage makes the directory for what is not verified yet, and removes those that
// interrupted pulls left.
func (d *destination) stage() error {
	if d.held != nil {
		return nil
	}
	names, err := d.names(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if canLock && strings.HasPrefix(name, stagingPrefix) {
			removeAbandoned(d.root, name)
		}
	}
	if err := d.root.Mkdir(d.staging, 0o700); err != nil {
		return err
	}
	if d.held, err = d.root.Open(d.staging); err != nil {
		return errors.Join(err, d.root.Remove(d.staging))
	}
	_, _ = lock(d.held) // where there are no locks nothing is taken for abandoned
	return nil
}

// unstage removes what is staged.
func (d *destination) unstage() error {
	if d.held == nil {
		return nil
	}
	err := errors.Join(d.root.RemoveAll(d.staging), d.held.Close())
	d.held = nil
	return err
}

// close removes what is staged and adds to err what goes wrong with that.
func (d *destination) close(err error) error {
	return errors.Join(err, d.unstage(), d.root.Close())
}

// local returns the name that a path of a manifest has here.
func local(p string) (string, error) {
	if filepath.Separator == '/' {
		return p, nil
	}
	name, err := filepath.Localize(p)
	if err != nil {
		return "", fmt.Errorf("%q cannot be a name on this system: %w", p, err)
	}
	return name, nil
}

// What look finds in the place of an entry.
type place int

const (
	free    place = iota // nothing, or the directory that the entry is
	regular              // a file
	other                // something that a rename replaces
	blocked              // something that must not be replaced: a directory, or no directory above
)

// look tells what stands in the place of an entry.
func (d *destination) look(e *manifest.Entry) (place, fs.FileInfo, error) {
	above, err := d.directory(path.Dir(e.Path))
	if err != nil || above != free {
		return above, nil, err
	}
	if e.Mode == manifest.Directory {
		there, err := d.directory(e.Path)
		return there, nil, err
	}
	name, err := local(e.Path)
	if err != nil {
		return blocked, nil, err
	}
	fi, err := d.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return free, nil, nil
	case err != nil:
		return blocked, nil, fmt.Errorf("%q in %s: %w", e.Path, d.name, err)
	case fi.IsDir():
		return blocked, fi, nil
	case fi.Mode().IsRegular():
		return regular, fi, nil
	}
	return other, fi, nil
}

// directory tells whether p is a directory, no link, or can become one: free or blocked.
func (d *destination) directory(p string) (place, error) {
	there, known := d.parents[p]
	if known {
		return free, nil
	}
	above, err := d.directory(path.Dir(p))
	if err != nil || above == blocked {
		return above, err
	}
	if d.parents[path.Dir(p)] {
		name, err := local(p)
		if err != nil {
			return blocked, err
		}
		fi, err := d.root.Lstat(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return blocked, fmt.Errorf("%q in %s: %w", p, d.name, err)
		}
		if there = err == nil; there && !fi.IsDir() {
			return blocked, nil
		}
	}
	d.parents[p] = there
	return free, nil
}

// withMode returns the permissions of a file that becomes executable, or ceases
// to be.
func withMode(perm fs.FileMode, mode manifest.Mode) fs.FileMode {
	switch {
	case (perm&0o111 != 0) == (mode == manifest.Executable):
		return perm
	case mode == manifest.Executable:
		return perm | perm>>2&0o111
	}
	return perm &^ 0o111
}

// temporary returns a new name for a file that is not verified yet.
func (d *destination) temporary() string {
	return filepath.Join(d.staging, strconv.FormatInt(d.files.Add(1), 10))
}

// perm returns the permissions to create a file with; the umask narrows them.
func perm(mode manifest.Mode) fs.FileMode {
	if mode == manifest.Executable {
		return 0o777
	}
	return 0o666
}

// publish gives a verified file, synced, its name. ErrWouldOverwrite: something
// took the name since the plan said that it was free.
func (d *destination) publish(temp, p string, wasFree bool) error {
	name, err := local(p)
	if err != nil {
		return err
	}
	if err := d.mkdir(path.Dir(p)); err != nil {
		return err
	}
	if wasFree {
		if _, err := d.root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%q: %w", p, ErrWouldOverwrite), err)
		}
	}
	return d.root.Rename(temp, name)
}

// mkdir makes a directory and those above it.
func (d *destination) mkdir(p string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.touched[p] {
		return nil
	}
	if p != "." {
		name, err := local(p)
		if err != nil {
			return err
		}
		if err := d.root.MkdirAll(name, 0o777); err != nil {
			return err
		}
	}
	for ; !d.touched[p]; p = path.Dir(p) {
		d.touched[p] = true
	}
	return nil
}

// sync makes every new name durable.
func (d *destination) sync() error {
	for p := range d.touched {
		name, err := local(p)
		if err != nil {
			return err
		}
		f, err := d.root.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(syncDirectory(f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
