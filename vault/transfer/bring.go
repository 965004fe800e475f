package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// bring makes a file out of one with the same bytes that the destination holds:
// by sharing its blocks, else in a new tree by a hard link, else by copying it.
// What is shared or linked was hashed, and is still what was hashed.
func (t *target) bring(ctx context.Context, from *holding) error {
	p := t.pull
	mode := perm(t.mode)
	if from.kept {
		mode = withMode(from.perm, t.mode)
	}
	err := errors.ErrUnsupported
	if !p.noClone.Load() {
		if err = t.share(from, mode); errors.Is(err, errors.ErrUnsupported) {
			p.noClone.Store(true)
		}
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = t.hardLink(from, mode)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = t.copy(ctx, from, mode)
	}
	if err != nil {
		return fmt.Errorf("bringing %q over: %w", from.path, err)
	}
	return p.publish(t)
}

// share makes the file share the blocks of from. errors.ErrUnsupported: it cannot,
// and the file is not there.
func (t *target) share(from *holding, mode fs.FileMode) error {
	p := t.pull
	src, err := p.old.open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	f, err := p.dest.root.OpenFile(t.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if err := clone(f, src); err != nil {
		return errors.Join(err, f.Close(), p.dest.root.Remove(t.temp))
	}
	if err := from.same(src); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

// hardLink makes the file a link to from, once, and only if the old tree does not
// stay. errors.ErrUnsupported: it cannot.
func (t *target) hardLink(from *holding, mode fs.FileMode) error {
	p := t.pull
	if p.next == nil || (from.perm&0o111 != 0) != (mode&0o111 != 0) || !from.link() {
		return errors.ErrUnsupported
	}
	temp := filepath.Join(p.next.name, t.temp)
	if err := p.site.parent.Link(filepath.Join(p.standing(), from.path), temp); err != nil {
		return errors.ErrUnsupported // too many links, another's file, no links here
	}
	fi, err := p.dest.root.Lstat(t.temp)
	if err == nil && (!fi.Mode().IsRegular() || stampOf(fi) != from.stamp) {
		err = ErrChanged
	}
	return err
}

// copy copies from, and verifies the copy.
func (t *target) copy(ctx context.Context, from *holding, mode fs.FileMode) error {
	p := t.pull
	src, err := p.old.open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	f, err := p.dest.root.OpenFile(t.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if t.size > smallFile {
		err = preallocate(f, t.size)
	}
	sum := sha256.New()
	if err == nil {
		_, err = io.CopyBuffer(io.MultiWriter(f, sum), untilDone{ctx, src}, make([]byte, 256<<10))
	}
	if err == nil && canonical.Digest(sum.Sum(nil)) != t.sum {
		err = ErrChanged
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// take hands what the destination holds of a file to a goroutine, one of a few.
func (p *pull) take(ctx context.Context, do func() error) (func() error, error) {
	select {
	case p.hands <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return func() error {
		defer func() { <-p.hands }()
		return do()
	}, nil
}

// keep leaves a file where it is, with the version's mode.
func (p *pull) keep(e *manifest.Entry, h *holding) error {
	p.record.put(e.Path, e.SHA256, h.stamp)
	mode := withMode(h.perm, e.Mode)
	if mode == h.perm {
		return nil
	}
	p.done.Changed = true
	name, err := local(e.Path)
	if err != nil {
		return err
	}
	return p.dest.root.Chmod(name, mode)
}

// publish gives a verified file its name.
func (p *pull) publish(t *target) error {
	fi, err := p.dest.root.Lstat(t.temp)
	if err != nil {
		return err
	}
	if err := p.dest.publish(t.temp, t.path, t.wasFree); err != nil {
		return err
	}
	p.record.put(t.path, t.sum, stampOf(fi))
	return nil
}
