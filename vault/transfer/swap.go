package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/aivault/aivault/crypto/canonical"
)

// open opens what stands at the destination. Where a link will stand and nothing
// does, that is the new tree, empty.
func (p *pull) open() (err error) {
	s := p.site
	switch {
	case !s.link && s.parent == nil:
		root, err := os.OpenRoot(s.abs)
		if err != nil {
			return err
		}
		p.old = newDestination(s.name, root)
		return nil
	case s.theirs && !p.options.Force:
		return fmt.Errorf("pulling into %s: %w: it is a link that no pull has made", s.name, ErrWouldOverwrite)
	case s.link && s.tree == "":
		if p.next, err = newNext(s); err != nil {
			return err
		}
		p.old = p.next.dest
		return nil
	}
	root, err := s.parent.OpenRoot(p.standing())
	if err != nil {
		return err
	}
	p.old = newDestination(s.name, root)
	return nil
}

// standing is the name of the tree that stands at the destination.
func (p *pull) standing() string {
	if p.site.link {
		return p.site.tree
	}
	return p.site.base
}

// close lets go of everything, removes what has no name, and adds to err what
// goes wrong with that.
func (p *pull) close(err error) error {
	if p.next != nil {
		err = errors.Join(err, p.next.close())
		if p.old == p.next.dest {
			return err
		}
	}
	return p.old.close(err)
}

// swap builds the new tree, puts it in the place of the old one, and removes that.
// Whatever happens on the way, the destination is one or the other, whole, and
// the record knows the files of both:
//
//  1. files, synced; their directories, synced
//  2. the record of both trees
//  3. the exchange, synced: from here on the destination is the new tree
//  4. the old tree is removed, then the record of the new one alone stands
func (p *pull) swap(ctx context.Context) error {
	p.dest = p.next.dest
	if err := p.dest.stage(); err != nil {
		return err
	}
	if err := p.names.check(p.dest); err != nil {
		return err
	}
	if err := p.fetch(ctx); err != nil {
		return err
	}
	if err := p.likeOld(); err != nil {
		return err
	}
	if err := errors.Join(p.dest.unstage(), p.dest.sync()); err != nil {
		return err
	}
	old := p.standing()
	if old != "" {
		if err := p.recordBoth(); err != nil {
			return err
		}
	}
	if err := p.hook(ctx, p.options.Before, old, p.next.name); err != nil {
		return err
	}
	if err := p.unchanged(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := p.place(); err != nil {
		return err
	}
	p.done.Swapped, p.done.Changed = true, true
	// From here on nothing can be taken back: everything is done, whatever fails.
	ctx = context.WithoutCancel(ctx)
	err := p.site.sync()
	where := old
	if old != "" && !p.site.link {
		where = p.next.name
	}
	placed := p.next.name
	if !p.site.link {
		placed = p.site.base
	}
	err = errors.Join(err, p.hook(ctx, p.options.After, where, placed))
	if where != "" {
		err = errors.Join(err, p.removeOld(ctx, where))
	}
	return errors.Join(err, p.site.writeRecord(p.record))
}

// likeOld gives the new tree the permissions and the owner of the old one.
func (p *pull) likeOld() error {
	if p.old == p.dest {
		return nil
	}
	fi, err := p.old.root.Stat(".")
	if err != nil {
		return err
	}
	if err := p.next.dir.Chmod(fi.Mode().Perm() | fi.Mode()&(fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	return sameOwner(p.next.dir, fi)
}

func (p *pull) recordBoth() error {
	both := p.record.next()
	both.union(p.record)
	if p.ours() {
		both.union(p.site.record)
	}
	return p.site.writeRecord(both)
}

// unchanged checks once more that the old tree is what was looked at: ErrChanged.
func (p *pull) unchanged(ctx context.Context) error {
	if err := p.standsStill(); err != nil || p.old == p.dest {
		return err
	}
	return p.stranger(ctx)
}

// standsStill checks that the destination is what it was when the pull began, no
// other directory and no other link: ErrChanged.
func (p *pull) standsStill() error {
	s := p.site
	if s.parent == nil {
		return nil
	}
	if !s.link {
		return p.sameDirectory(s.base)
	}
	target, err := s.parent.Readlink(s.base)
	switch {
	case s.target == "" && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil || target != s.target:
		return errors.Join(fmt.Errorf("%s: %w: somebody switched it during the pull", s.name, ErrChanged), err)
	}
	return nil
}

// sameDirectory checks that the old tree stands under a name.
func (p *pull) sameDirectory(name string) error {
	d, err := p.old.root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	same, err := p.site.stands(name, d)
	if err == nil && !same {
		err = fmt.Errorf("%s: %w: somebody replaced it during the pull", p.site.name, ErrChanged)
	}
	return err
}

// stranger finds what somebody changed or added in the old tree since it was
// looked at: ErrChanged. With Force nobody asks.
func (p *pull) stranger(ctx context.Context) error {
	if p.options.Force {
		return nil
	}
	return p.old.walk(ctx, ".", func(path string, fi fs.FileInfo, _ bool) error {
		if fi.IsDir() {
			return nil
		}
		if h := p.held.files[path]; h == nil || h.stamp != stampOf(fi) {
			return fmt.Errorf("%s: %q: %w: by somebody during the pull", p.site.name, path, ErrChanged)
		}
		return nil
	})
}

// place puts the new tree in its place, at once.
func (p *pull) place() error {
	s, n := p.site, p.next
	if s.link {
		return n.placeLink()
	}
	d, err := s.parent.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := exchange(d, n.name, s.base); err != nil {
		if isBusy(err) {
			err = fmt.Errorf("%s: %w: it is a mount point: %w", s.name, ErrNoExchange, err)
		}
		return err
	}
	n.placed = true
	err = p.sameDirectory(n.name)
	if err != nil { // what came back is not the old tree: it goes where it was
		if back := exchange(d, n.name, s.base); back != nil {
			return errors.Join(err, back)
		}
		n.placed = false
	}
	return err
}

// placeLink makes the destination a link to the new tree.
func (n *next) placeLink() error {
	s := n.site
	temp := s.temporary(tempPrefix)
	if err := s.parent.Symlink(n.name, temp); err != nil {
		return err
	}
	if err := s.parent.Rename(temp, s.base); err != nil {
		return errors.Join(err, s.parent.Remove(temp))
	}
	n.placed = true
	return nil
}

// removeOld removes the old tree. If somebody changed or added something there
// at the last moment it gets a name that is seen, and stays: ErrChanged.
func (p *pull) removeOld(ctx context.Context, name string) error {
	err := p.stranger(ctx)
	if err == nil {
		return p.site.parent.RemoveAll(name)
	}
	kept := p.site.base + ".replaced-" + canonical.NewID().String()[:8]
	return errors.Join(fmt.Errorf("what was replaced stands in %s: %w", kept, err), p.site.parent.Rename(name, kept))
}
