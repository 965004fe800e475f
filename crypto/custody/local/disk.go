package local

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// disk is a directory, by the steps that the protocol is made of. Names have no
// separators. Contents are durable when a method returns; names are when sync
// does.
type disk interface {
	read(name string) (b []byte, modified time.Time, err error) // fs.ErrNotExist
	write(name string, b []byte) error                          // of a new file: fs.ErrExist
	link(old, name string) error                                // fs.ErrExist, fs.ErrNotExist
	rename(old, name string) error                              // over name; fs.ErrNotExist
	shred(name string) error                                    // overwrites the file in place
	remove(name string) error                                   // fs.ErrNotExist
	names() iter.Seq2[string, error]
	sync() error
	close() error
}

// rootDisk is a disk on the operating system. Nothing it does can leave the
// directory, whatever links stand in it.
type rootDisk struct{ root *os.Root }

func openDisk(dir string) (disk, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil {
		err = checkMode(dir, info)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return rootDisk{root}, nil
}

func (d rootDisk) close() error { return d.root.Close() }

// openFile opens a regular file and nothing else: a link would make what is
// destroyed another thing than what was used, a pipe would hang.
func (d rootDisk) openFile(name string, flag int) (*os.File, fs.FileInfo, error) {
	for range attempts {
		before, err := d.root.Lstat(name)
		if err != nil {
			return nil, nil, err
		}
		if !before.Mode().IsRegular() {
			return nil, nil, fmt.Errorf("%s is not a regular file: %w", name, custody.ErrCorrupt)
		}
		f, err := d.root.OpenFile(name, flag, 0)
		if err != nil {
			return nil, nil, err
		}
		info, err := f.Stat()
		if err == nil && os.SameFile(before, info) {
			return f, info, nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, nil, err
		}
		// Another file was renamed over it meanwhile.
	}
	return nil, nil, fmt.Errorf("%s changed each of %d times that it was opened", name, attempts)
}

func (d rootDisk) read(name string) ([]byte, time.Time, error) {
	f, info, err := d.openFile(name, os.O_RDONLY)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, keyfile.MaxFile+1))
	return b, info.ModTime(), err
}

func (d rootDisk) write(name string, b []byte) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, d.root.Remove(name))
	}
	return nil
}

func (d rootDisk) link(old, name string) error   { return d.root.Link(old, name) }
func (d rootDisk) rename(old, name string) error { return d.root.Rename(old, name) }
func (d rootDisk) remove(name string) error      { return d.root.Remove(name) }

func (d rootDisk) shred(name string) error {
	f, info, err := d.openFile(name, os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.Reader, info.Size())
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d rootDisk) names() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f, err := d.root.Open(".")
		if err != nil {
			yield("", err)
			return
		}
		defer f.Close()
		for {
			entries, err := f.ReadDir(256)
			for _, e := range entries {
				if !yield(e.Name(), nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				yield("", err)
				return
			}
		}
	}
}

func (d rootDisk) sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(syncNames(f), f.Close())
}

// makeDir makes dir and its missing parents, durably, for the owner alone.
func makeDir(dir string) error {
	parent := filepath.Dir(dir)
	err := os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist) && parent != dir:
		if err := makeDir(parent); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	case err != nil:
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(syncNames(f), f.Close())
}
