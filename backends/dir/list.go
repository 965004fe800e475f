package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
)

// List implements [backends.Store]. It holds the names of one directory of each
// level at a time. What no key can name is passed over: see [Store.Foreign].
func (s *Store) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := backends.CheckPrefix(prefix); err != nil {
			yield(backends.Info{}, failure("list", prefix, backends.Invalid, err))
			return
		}
		if o.Limit < 0 || o.OneLevel && o.Versions {
			yield(backends.Info{}, failure("list", prefix, backends.Invalid, fmt.Errorf("options %+v", o)))
			return
		}
		n := 0
		w := walk{ctx: ctx, prefix: prefix, oneLevel: o.OneLevel, object: func(in backends.Info) bool {
			n++
			return yield(in, nil) && n != o.Limit
		}}
		base := prefix[:strings.LastIndexByte(prefix, '/')+1]
		if err := w.below(s, base); err != nil && !errors.Is(err, errStop) {
			yield(backends.Info{}, failure("list", prefix, getKind(err), err))
		}
	}
}

// errStop ends a walk whose consumer has had enough.
var errStop = errors.New("stop")

// walk visits a tree in bytewise order of keys.
type walk struct {
	ctx      context.Context
	prefix   string                      // of the keys wanted
	oneLevel bool                        // report directories instead of walking them
	object   func(in backends.Info) bool // false stops the walk
	foreign  func(path string) bool      // may be nil; likewise
}

// below walks the directory of s that base, empty or ending in '/', names.
func (w *walk) below(s *Store, base string) error {
	d, err := s.openDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		return w.ctx.Err()
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return w.dir(d, base)
}

// entry is a name in a directory, with a '/' if it is a directory itself, which
// is how it sorts among keys.
type entry struct {
	name    string
	regular bool
}

func readDir(d *os.Root) ([]entry, error) {
	f, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	des, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	out := make([]entry, len(des))
	for i, de := range des {
		out[i] = entry{de.Name(), de.Type().IsRegular()}
		if de.IsDir() {
			out[i].name += "/"
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return out, nil
}

// dir walks the directory d, whose objects' keys start with base.
func (w *walk) dir(d *os.Root, base string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := readDir(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since it was opened
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(base+e.name, w.prefix) {
			continue
		}
		if err := w.entry(d, base, e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(d *os.Root, base string, e entry) error {
	name, isDir := strings.CutSuffix(e.name, "/")
	valid := checkKey(base+name) == nil && (isDir || e.regular)
	switch {
	case base == "" && isDir && name == tempDir:
		return nil
	case !valid && w.foreign != nil:
		return w.next(w.foreign(base + e.name))
	case !valid:
		return nil
	case !isDir:
		fi, err := d.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
			return nil // erased since its name was read, or replaced by a stranger
		}
		if err != nil {
			return err
		}
		return w.next(w.object(info(base+name, fi)))
	}

	sub, err := openSubdir(d, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since its name was read, or replaced
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	if !w.oneLevel {
		return w.dir(sub, base+e.name)
	}
	some := false
	inner := walk{ctx: w.ctx, object: func(backends.Info) bool { some = true; return false }}
	if err := inner.dir(sub, base+e.name); err != nil && !errors.Is(err, errStop) {
		return err
	}
	if some {
		return w.next(w.object(backends.Info{Ref: backends.Ref{Key: base + e.name}}))
	}
	return nil
}

// next turns a consumer's answer into how the walk goes on.
func (w *walk) next(more bool) error {
	if !more {
		return errStop
	}
	return w.ctx.Err()
}

// Foreign yields the paths in the store's directory that no key names: files
// with names that are no keys, symbolic links, devices and, with a '/' at the
// end and without what is in them, directories whose names are in no key. An
// error comes last. Listings pass over all of these.
func (s *Store) Foreign(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		w := walk{
			ctx:     ctx,
			object:  func(backends.Info) bool { return true },
			foreign: func(path string) bool { return yield(path, nil) },
		}
		if err := w.below(s, ""); err != nil && !errors.Is(err, errStop) {
			yield("", failure("list", "", getKind(err), err))
		}
	}
}
