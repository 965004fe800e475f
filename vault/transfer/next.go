package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// next is a new tree beside a destination. Until it is in its place it is
// locked: nobody takes it for abandoned.
type next struct {
	site   *site
	name   string
	dest   *destination
	dir    *os.File
	placed bool
}

// newNext makes an empty tree. ErrNoExchange: nothing may be written beside the
// destination.
func newNext(s *site) (*next, error) {
	prefix := nextPrefix
	if s.link {
		prefix = treePrefix
	}
	for {
		n := &next{site: s, name: s.temporary(prefix)}
		err := s.parent.Mkdir(n.name, 0o777)
		if denied(err) {
			return nil, fmt.Errorf("%s: %w: nothing may be written beside it: %w", s.name, ErrNoExchange, err)
		}
		if err != nil {
			return nil, err
		}
		mine, err := n.hold()
		if err != nil {
			return nil, errors.Join(err, n.close())
		}
		if mine {
			return n, nil
		}
		if err := n.close(); err != nil {
			return nil, err
		}
	}
}

// hold opens and locks the tree. It reports false if somebody who cleans up was
// faster.
func (n *next) hold() (bool, error) {
	root, err := n.site.parent.OpenRoot(n.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n.dest = newDestination(n.site.name, root)
	if n.dir, err = root.Open("."); err != nil {
		return false, err
	}
	if free, err := lock(n.dir); err == nil && !free {
		return false, nil
	}
	is, err := n.site.stands(n.name, n.dir)
	return is, err
}

// stands reports whether the open directory stands beside the destination under
// this name.
func (s *site) stands(name string, d *os.File) (bool, error) {
	here, err := s.parent.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	open, err := d.Stat()
	return err == nil && os.SameFile(here, open), err
}

// close removes the tree, unless it is in its place.
func (n *next) close() error {
	var errs []error
	if n.dest != nil {
		errs = append(errs, n.dest.close(nil))
	}
	if !n.placed {
		errs = append(errs, n.site.parent.RemoveAll(n.name))
	}
	if n.dir != nil {
		errs = append(errs, n.dir.Close())
	}
	return errors.Join(errs...)
}

// probe finds out whether directories can be exchanged here: ErrNoExchange.
func (n *next) probe() error {
	if err := n.dest.stage(); err != nil {
		return err
	}
	for _, name := range []string{"a", "b"} {
		if err := n.dest.root.Mkdir(filepath.Join(n.dest.staging, name), 0o700); err != nil {
			return err
		}
	}
	err := exchange(n.dest.held, "a", "b")
	if errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%s: %w: this file system or system cannot: %w", n.site.name, ErrNoExchange, err)
	}
	return err
}

// path is where the destination is.
func (s *site) path() string { return s.beside(s.base) }

// beside is where a name beside the destination is; "" of "".
func (s *site) beside(name string) string {
	switch {
	case name == "":
		return ""
	case s.parent == nil:
		return s.abs
	}
	return filepath.Join(s.parent.Name(), name)
}

// sync makes the names beside the destination durable.
func (s *site) sync() error {
	d, err := s.parent.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(syncDirectory(d), d.Close())
}
