package handover

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Out is a file that gets its name only when it is whole.
type Out struct {
	*os.File
	name string
}

// Create begins a file beside the place that it is to have. fs.ErrExist: something
// stands there.
func Create(name string) (*Out, error) {
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(&fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}, err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return nil, err
	}
	return &Out{File: f, name: name}, nil
}

// Commit makes the file durable and gives it its name. fs.ErrExist: something has
// taken the name meanwhile, and stays.
func (o *Out) Commit() error {
	if err := errors.Join(o.Sync(), o.Close()); err != nil {
		return errors.Join(err, os.Remove(o.Name()))
	}
	err := os.Link(o.Name(), o.name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return errors.Join(err, os.Remove(o.Name()))
	}
	// A file system without links.
	if _, err := os.Lstat(o.name); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(&fs.PathError{Op: "create", Path: o.name, Err: fs.ErrExist}, err, os.Remove(o.Name()))
	}
	return os.Rename(o.Name(), o.name)
}

// Discard removes what was written.
func (o *Out) Discard() error { return errors.Join(o.Close(), os.Remove(o.Name())) }
