package dir

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"sync"
)

// durable remembers directories that are known to be reachable from the root
// after a power failure. Each is held open: its inode cannot be used again
// meanwhile, so that the same file means the very same directory, not one made
// anew under the same name, whose maker may not have synced it yet.
type durable struct {
	mu   sync.Mutex
	dirs map[string]heldDir
}

type heldDir struct {
	f  *os.File
	fi fs.FileInfo
}

// maxHeld limits how many directories are held open.
const maxHeld = 64

func (d *durable) has(name string, fi fs.FileInfo) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	h, ok := d.dirs[name]
	return ok && os.SameFile(h.fi, fi)
}

// add takes over h.f.
func (d *durable) add(name string, h heldDir) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, ok := d.dirs[name]; ok {
		old.f.Close()
	} else if len(d.dirs) >= maxHeld {
		d.drop()
	}
	if d.dirs == nil {
		d.dirs = make(map[string]heldDir)
	}
	d.dirs[name] = h
}

// forget lets go of a directory that was removed.
func (d *durable) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h, ok := d.dirs[name]; ok {
		h.f.Close()
		delete(d.dirs, name)
	}
}

func (d *durable) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop()
}

func (d *durable) drop() {
	for _, h := range d.dirs {
		h.f.Close()
	}
	clear(d.dirs)
}

// settle makes sure that what stands under key outlives a power failure: it
// syncs the directory that holds it, and those above it up to one that is known
// to be durable. Whoever made them may not have got so far.
func (s *Store) settle(key string) error {
	if !syncsDirectories {
		return nil
	}
	opened := make(map[string]heldDir)
	err := s.climb(path.Dir(key), opened)
	for name, h := range opened {
		if err == nil {
			s.known.add(name, h)
		} else {
			h.f.Close()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // erased meanwhile, and its directory with it
	}
	return err
}

// climb syncs the directory name and those above it up to one that is known to
// be durable, and adds the others to opened.
func (s *Store) climb(name string, opened map[string]heldDir) error {
	for ; ; name = path.Dir(name) {
		f, err := s.root.Open(name)
		if err != nil {
			return err
		}
		fi, err := f.Stat()
		if err == nil {
			err = s.fsync(f)
		}
		if err != nil || name == "." || s.known.has(name, fi) {
			return errors.Join(err, f.Close())
		}
		opened[name] = heldDir{f, fi}
	}
}

// syncDir syncs the directory name, or the one nearest above it that is there.
func (s *Store) syncDir(name string) error {
	if !syncsDirectories {
		return nil
	}
	for ; ; name = path.Dir(name) {
		f, err := s.root.Open(name)
		if errors.Is(err, fs.ErrNotExist) && name != "." {
			continue
		}
		if err != nil {
			return err
		}
		return errors.Join(s.fsync(f), f.Close())
	}
}
