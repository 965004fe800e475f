package local

import (
	"bytes"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"time"
)

// world is a directory with the memory of a file system: which names are
// durable, which are not yet, and every file that ever was. A power cut keeps
// any part of what is not durable.
type world struct {
	now      map[string]*inode
	durable  map[string]*inode
	volatile []func(map[string]*inode) // changes to names since the last sync
	ever     []*inode
}

type inode struct{ b []byte }

func newWorld() *world {
	return &world{now: map[string]*inode{}, durable: map[string]*inode{}}
}

func (w *world) change(f func(map[string]*inode)) {
	f(w.now)
	w.volatile = append(w.volatile, f)
}

// powerCut loses the changes of names for which keep says no.
func (w *world) powerCut(keep func() bool) {
	for _, f := range w.volatile {
		if keep() {
			f(w.durable)
		}
	}
	w.volatile = nil
	w.now = maps.Clone(w.durable)
}

type fault uint8

const (
	noFault   fault = iota
	failEarly       // fails without effect
	failLate        // takes effect and fails
	crash           // this process does nothing from here on
)

var errDisk = errors.New("injected disk fault")

// actorDisk is a world as one process uses it.
type actorDisk struct {
	*world
	pause func() fault // before each thing that others can see
	dead  bool
}

func (d *actorDisk) step(effect func() error) error {
	if d.dead {
		return errDisk
	}
	switch d.pause() {
	case failEarly:
		return errDisk
	case failLate:
		if err := effect(); err != nil {
			return err
		}
		return errDisk
	case crash:
		d.dead = true
		return errDisk
	}
	return effect()
}

func (d *actorDisk) get(name string) (f *inode, err error) {
	err = d.step(func() error {
		if f = d.now[name]; f == nil {
			return fs.ErrNotExist
		}
		return nil
	})
	return f, err
}

// read opens and reads in two steps: the file may be overwritten in between.
func (d *actorDisk) read(name string) (b []byte, _ time.Time, err error) {
	f, err := d.get(name)
	if err == nil {
		err = d.step(func() error { b = bytes.Clone(f.b); return nil })
	}
	return b, time.Unix(1, 0), err
}

func (d *actorDisk) write(name string, b []byte) error {
	f := new(inode)
	err := d.step(func() error {
		if d.now[name] != nil {
			return fs.ErrExist
		}
		d.ever = append(d.ever, f)
		d.change(func(names map[string]*inode) { names[name] = f })
		return nil
	})
	if err == nil {
		err = d.step(func() error { f.b = bytes.Clone(b[:len(b)/2]); return nil })
	}
	if err == nil {
		err = d.step(func() error { f.b = bytes.Clone(b); return nil })
	}
	return err
}

// link looks the file up and names it in two steps, as Linux does: a file that
// lost its last name in between gets no new one.
func (d *actorDisk) link(old, name string) error {
	f, err := d.get(old)
	if err != nil {
		return err
	}
	return d.step(func() error {
		switch {
		case d.now[name] != nil:
			return fs.ErrExist
		case !slices.Contains(slices.Collect(maps.Values(d.now)), f):
			return fs.ErrNotExist
		}
		d.change(func(names map[string]*inode) { names[name] = f })
		return nil
	})
}

func (d *actorDisk) rename(old, name string) error {
	return d.step(func() error {
		f := d.now[old]
		if f == nil {
			return fs.ErrNotExist
		}
		d.change(func(names map[string]*inode) { delete(names, old); names[name] = f })
		return nil
	})
}

func (d *actorDisk) shred(name string) error {
	f, err := d.get(name)
	if err == nil {
		err = d.step(func() error { clear(f.b[:len(f.b)/2]); return nil })
	}
	if err == nil {
		err = d.step(func() error { clear(f.b); return nil })
	}
	return err
}

func (d *actorDisk) remove(name string) error {
	return d.step(func() error {
		if d.now[name] == nil {
			return fs.ErrNotExist
		}
		d.change(func(names map[string]*inode) { delete(names, name) })
		return nil
	})
}

func (d *actorDisk) names() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var names []string
		if err := d.step(func() error { names = slices.Sorted(maps.Keys(d.now)); return nil }); err != nil {
			yield("", err)
			return
		}
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (d *actorDisk) sync() error {
	return d.step(func() error {
		d.durable, d.volatile = maps.Clone(d.now), nil
		return nil
	})
}

func (d *actorDisk) close() error { return nil }
