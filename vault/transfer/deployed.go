package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/vault/manifest"
)

// What a directory may have that a version has not, or otherwise.
const (
	Changed    = "changed"    // a file with other bytes
	Missing    = "missing"    // a file or empty directory that is not there
	Extra      = "extra"      // a file, empty directory or anything else that the version lacks
	Mode       = "mode"       // a file that is executable and should not be, or the reverse
	Kind       = "kind"       // a link, a directory or a device in the place of a file, or the reverse
	Unreadable = "unreadable" // a file that this user may not read
)

// Discrepancy is one thing in which a directory is not as a version has it.
type Discrepancy struct {
	Path string // as in a manifest
	What string // Changed, Missing, Extra, Mode, Kind or Unreadable
	Why  string // in words; may be ""
}

// Deployed is what a comparison of a directory with a version found.
type Deployed struct {
	Files         int64 // of the version, that should be in the directory
	Bytes         int64 // of those
	Discrepancies []Discrepancy
}

// DeployedOptions narrows what should be in a directory to what a pull with the
// same patterns puts there.
type DeployedOptions struct {
	Include  []string // patterns: only what they select
	Exclude  []string // patterns: not what they select
	Progress func(Progress)
}

// CompareDeployed compares all that stands in a directory with versions as Pull
// places them: every file's bytes, mode and kind. Of the store it reads the
// manifests, which it verifies as a whole unless Include narrows them. Nothing in the directory excuses a file that
// the versions lack, no IgnoreFile and no name. Links below it are not followed;
// itself it may be a link. On Windows files have no modes to compare.
//
// fs.ErrNotExist: there is no such directory. ErrChanged: it was exchanged
// meanwhile. ErrIntegrity: the manifest does not verify.
func CompareDeployed(ctx context.Context, dir string, placed []Placed, o DeployedOptions) (_ *Deployed, err error) {
	c := &comparison{found: make(map[string]*found), meter: meter{report: o.Progress}}
	if c.include, err = compileGlobs(o.Include); err != nil {
		return nil, err
	}
	if c.exclude, err = compileGlobs(o.Exclude); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	c.dest = newDestination(dir, root)
	c.dest.all, c.held.dest = true, c.dest
	defer func() { err = c.dest.close(err) }()
	if err := c.dest.walk(ctx, ".", c.see); err != nil {
		return nil, fmt.Errorf("looking at what %s holds: %w", dir, err)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(plainBuffers())
	g.Go(func() error {
		for i := range placed {
			if err := c.expect(gctx, g, expect(placed, i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	c.rest()
	if err := c.standsStill(); err != nil {
		return nil, err
	}
	slices.SortFunc(c.done.Discrepancies, func(a, b Discrepancy) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.What, b.What))
	})
	return &c.done, nil
}

type comparison struct {
	include, exclude globs
	dest             *destination
	held             holdings
	found            map[string]*found
	meter            meter

	mu   sync.Mutex
	done Deployed
}

// found is something in the directory.
type found struct {
	mode   fs.FileMode
	empty  bool     // a directory with nothing in it
	file   *holding // nil: it is no regular file
	listed bool     // the version has something of this name
}

func (c *comparison) see(p string, fi fs.FileInfo, empty bool) error {
	if len(c.found) == maxHoldings {
		return fmt.Errorf("it holds more than %d files", maxHoldings)
	}
	f := &found{mode: fi.Mode(), empty: empty}
	if fi.Mode().IsRegular() {
		f.file = &holding{path: p, stamp: stampOf(fi), perm: fi.Mode().Perm()}
	}
	c.found[p] = f
	return nil
}

func (c *comparison) selected(p string) bool {
	return (len(c.include) == 0 || c.include.match(p)) && !c.exclude.match(p)
}

// expect goes through a manifest, and compares what should be there. Files are
// read in the background.
func (c *comparison) expect(ctx context.Context, g *errgroup.Group, expect *expected) error {
	pl, v := expect.placed, expect.placed.Version
	var inv *inventory
	if len(c.include) == 0 {
		inv = newInventory(v)
		if err := inv.readTensors(ctx, nil); err != nil {
			return err
		}
	}
	var pieces pieces
	for l, err := range v.parts(ctx, paths(pl.wanted(c.include))) {
		if err == nil {
			err = l.err
		}
		if err == nil {
			err = expect.part(&l)
		}
		if err == nil && inv != nil {
			err = inv.add(&l)
		}
		if err != nil {
			return err
		}
		l.place(pl)
		for i := range l.part.Entries {
			e := &l.part.Entries[i]
			if !c.selected(e.Path) {
				continue
			}
			if err := pieces.next(e); err != nil {
				return damaged(l.ref.Key(v.Artefact), err)
			}
			if e.At == 0 {
				c.entry(ctx, g, e)
			}
		}
	}
	if err := pieces.done(); err != nil {
		return damaged(v.Manifest.Key, err)
	}
	if inv == nil {
		return nil
	}
	return errors.Join(inv.finish(), expect.done())
}

// entry compares what stands in the place of one entry.
func (c *comparison) entry(ctx context.Context, g *errgroup.Group, e *manifest.Entry) {
	f := c.found[e.Path]
	if f != nil {
		f.listed = true
	}
	if e.Mode == manifest.Directory {
		switch {
		case f == nil:
			c.note(e.Path, Missing, "an empty directory")
		case !f.mode.IsDir():
			c.note(e.Path, Kind, nameOf(f.mode)+" instead of a directory")
		}
		return
	}
	c.mu.Lock()
	c.done.Files++
	c.done.Bytes += e.Size
	c.mu.Unlock()
	switch {
	case f == nil:
		c.note(e.Path, Missing, "")
		return
	case f.file == nil:
		c.note(e.Path, Kind, nameOf(f.mode)+" instead of a file")
		return
	}
	if should := e.Mode == manifest.Executable; runtime.GOOS != "windows" && should != (f.file.perm&0o111 != 0) {
		c.note(e.Path, Mode, map[bool]string{true: "it is not executable", false: "it is executable"}[should])
	}
	if f.file.stamp.size != e.Size {
		c.note(e.Path, Changed, fmt.Sprintf("%d bytes instead of %d", f.file.stamp.size, e.Size))
		return
	}
	p, size, sum := e.Path, e.Size, e.SHA256
	g.Go(func() error {
		got, err := c.held.digest(ctx, f.file)
		c.meter.add(Progress{Files: 1, Bytes: size})
		switch {
		case errors.Is(err, fs.ErrPermission):
			c.note(p, Unreadable, "")
		case errors.Is(err, fs.ErrNotExist):
			c.note(p, Missing, "it went while it was looked at")
		case errors.Is(err, ErrChanged):
			c.note(p, Changed, "by somebody, while it was read")
		case err != nil:
			return err
		case got != sum:
			c.note(p, Changed, "other bytes")
		}
		return nil
	})
}

// rest notes what the version lacks.
func (c *comparison) rest() {
	for p, f := range c.found {
		switch {
		case f.listed || f.mode.IsDir() && !f.empty:
		case f.file != nil:
			c.note(p, Extra, "")
		default:
			c.note(p, Extra, nameOf(f.mode))
		}
	}
}

func (c *comparison) note(p, what, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done.Discrepancies = append(c.done.Discrepancies, Discrepancy{p, what, why})
}

// standsStill checks that the directory's name leads to what was looked at.
func (c *comparison) standsStill() error {
	is, err := c.dest.root.Stat(".")
	if err != nil {
		return err
	}
	now, err := os.Stat(c.dest.name)
	if err != nil || !os.SameFile(is, now) {
		return errors.Join(fmt.Errorf("%s: %w: somebody exchanged it", c.dest.name, ErrChanged), err)
	}
	return nil
}

// nameOf says what something other than a regular file is.
func nameOf(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "a file"
	case m.IsDir():
		return "a directory"
	case m.Type() == fs.ModeSymlink:
		return "a link"
	}
	return "a " + kind(m)
}
