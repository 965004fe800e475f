package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
)

// ours reports whether pulls of this artefact alone filled the destination.
func (p *pull) ours() bool {
	return p.site.record != nil && p.site.record.artefact == p.artefact
}

// decide makes the new tree if there must be one; otherwise the destination is
// written in place. Nothing else has changed yet.
func (p *pull) decide(ctx context.Context) error {
	if !p.exact || !p.ours() && !p.site.link {
		return p.allowed(nil)
	}
	foreign, gone, err := p.compare(ctx)
	if err != nil {
		return err
	}
	if p.site.link {
		if p.next == nil && p.missing == 0 && gone == 0 {
			return nil
		}
	} else if len(p.differ)+len(p.blocked)+gone == 0 {
		return nil
	}
	if len(foreign) > 0 && !p.options.Force {
		return p.overwrite(foreign)
	}
	if p.next != nil {
		return nil
	}
	if err := p.obstacle(); err != nil {
		return p.allowed(err)
	}
	if p.next, err = newNext(p.site); err != nil {
		return p.allowed(err)
	}
	if !p.site.link {
		if err := p.next.probe(); err != nil {
			return p.allowed(err)
		}
	}
	return nil
}

// allowed reports whether the destination may be written in place. obstacle is
// why it cannot be exchanged, if it should be.
func (p *pull) allowed(obstacle error) error {
	if obstacle != nil && (p.site.link || !errors.Is(obstacle, ErrNoExchange)) {
		return obstacle
	}
	if p.next != nil {
		if err := p.next.close(); err != nil {
			return err
		}
		p.next = nil
	}
	var err error
	switch {
	case obstacle != nil && !p.options.Force:
		return obstacle
	case len(p.blocked) > 0:
		err = p.overwrite(p.blocked)
	case p.options.Force:
	case len(p.differ) > 0:
		err = p.overwrite(p.differ)
	}
	if mount, _ := p.isMount(); err != nil && mount && p.exact {
		err = fmt.Errorf("%w: %w: it is a mount point", err, ErrNoExchange)
	}
	return err
}

func (p *pull) overwrite(paths []string) error {
	slices.Sort(paths)
	var names []string
	for _, path := range paths[:min(len(paths), 5)] {
		names = append(names, fmt.Sprintf("%q", path))
	}
	return fmt.Errorf("pulling into %s: %d of its files: %w: %s", p.site.name, len(paths), ErrWouldOverwrite, strings.Join(names, ", "))
}

// compare finds what no pull has put, and how many files and empty directories
// that pulls did put are not of the version.
func (p *pull) compare(ctx context.Context) (foreign []string, gone int, err error) {
	foreign = slices.Clone(p.held.others)
	r := p.site.record
	if r == nil {
		r = newRecord(p.artefact)
	}
	for path, h := range p.held.files {
		if h.kept {
			continue
		}
		known := r.knows(path, h.stamp)
		if !known {
			sum, err := p.held.digest(ctx, h)
			if err != nil {
				return nil, 0, err
			}
			known = r.knowsContent(path, sum)
		}
		switch {
		case !known:
			foreign = append(foreign, path)
		case !h.listed:
			gone++
		}
	}
	for path := range p.held.empty {
		if r.knowsContent(path, canonical.Sum(nil)) {
			gone++
		}
	}
	return foreign, gone, nil
}

// obstacle says why a destination that is no link cannot be exchanged.
func (p *pull) obstacle() error {
	if p.site.link {
		return nil
	}
	if p.site.parent == nil {
		return fmt.Errorf("%s: %w: nothing may be written beside it", p.site.name, ErrNoExchange)
	}
	mount, err := p.isMount()
	if err != nil {
		return err
	}
	if mount {
		return fmt.Errorf("%s: %w: it is a mount point", p.site.name, ErrNoExchange)
	}
	here, err := os.Stat(".")
	if err != nil {
		return err
	}
	there, err := p.old.root.Stat(".")
	if err != nil {
		return err
	}
	if os.SameFile(here, there) {
		return fmt.Errorf("%s: %w: it is the working directory", p.site.name, ErrNoExchange)
	}
	return nil
}

func (p *pull) isMount() (bool, error) {
	d, err := p.old.root.Open(".")
	if err != nil {
		return false, err
	}
	defer d.Close()
	return isMount(d)
}

// owned reports whether the destination, once the version is in it, holds nothing
// but what pulls of this artefact put.
func (p *pull) owned() (bool, error) {
	if mount, err := p.isMount(); err != nil || mount && !p.site.link {
		return false, err
	}
	if p.ours() {
		return true, nil
	}
	for _, h := range p.held.files {
		if !h.listed {
			return false, nil
		}
	}
	return len(p.held.others) == 0, nil
}

// inPlace writes into the destination as it is.
func (p *pull) inPlace(ctx context.Context) error {
	p.dest = p.old
	own, err := p.owned()
	if err != nil {
		return err
	}
	before := p.site.record
	if p.missing > 0 {
		if err := p.dest.stage(); err != nil {
			return err
		}
		if err := p.names.check(p.dest); err != nil {
			return err
		}
		switch {
		case !own:
			err = p.site.dropRecord()
		case p.ours():
			p.record.union(before)
			err = p.site.writeRecord(p.record)
		default:
			err = p.site.writeRecord(p.record)
		}
		if err == nil {
			err = p.hook(ctx, p.options.Before, "", "")
		}
		if err != nil {
			return err
		}
	}
	if err := p.fetch(ctx); err != nil {
		return err
	}
	if err := errors.Join(p.dest.unstage(), p.dest.sync(), p.standsStill()); err != nil {
		return err
	}
	if own && (p.missing > 0 || before == nil) {
		if err := p.site.writeRecord(p.record); err != nil {
			return err
		}
	}
	if p.missing == 0 {
		return nil
	}
	p.done.Changed = true
	return p.hook(ctx, p.options.After, "", "")
}

func (p *pull) hook(ctx context.Context, f func(context.Context, Swap) error, old, new string) error {
	if f == nil {
		return nil
	}
	return f(ctx, Swap{Dest: p.site.path(), Old: p.site.beside(old), New: p.site.beside(new)})
}

// denied reports whether err says that nothing may be written there.
func denied(err error) bool { return errors.Is(err, fs.ErrPermission) || isReadOnly(err) }
