package transfer

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/vault/manifest"
)

// PullOptions narrows a pull. The zero value takes everything and overwrites nothing.
type PullOptions struct {
	Include  []string       // patterns: only what they select
	Exclude  []string       // patterns: not what they select
	Force    bool           // replace files that differ
	Progress func(Progress) // called often, one call at a time; may be nil
}

// Pulled is what a pull did.
type Pulled struct {
	Files       int64 // now in the destination, as the version has them
	Directories int64 // empty ones
	Bytes       int64 // of those files
	KeptFiles   int64 // of those files, the ones that stood there already
	KeptBytes   int64
}

// cacheBytes bounds the encoded parts that a pull keeps between its two passes.
const cacheBytes = 16 << 20

// Pull copies the version's files into the directory dest, which is made if it
// is not there. A file gets its name only after its SHA-256 was verified; one
// that is there already, with the same bytes, is kept. No path, and no link in
// dest, leads outside of dest.
//
// First the manifest is read, with the version digest and the references unless
// Include narrows the pull, and compared with what dest holds: ErrWouldOverwrite,
// and nothing is changed, if Force does not allow what must be replaced. After
// any later error files that were verified have their names, and no others.
func (v *Version) Pull(ctx context.Context, dest string, o PullOptions) (_ *Pulled, err error) {
	p := &pull{
		version: v, force: o.Force,
		plain: newPool(plainBuffers(), plainSize), sealed: newPool(jobs(v.Jobs), sealedSize),
		meter: meter{report: o.Progress},
	}
	if p.include, err = compileGlobs(o.Include); err != nil {
		return nil, err
	}
	if p.exclude, err = compileGlobs(o.Exclude); err != nil {
		return nil, err
	}
	if p.dest, err = openDestination(dest); err != nil {
		return nil, err
	}
	defer func() { err = p.dest.close(err) }()
	if err := p.plan(ctx); err != nil {
		return nil, err
	}
	if err := p.fetch(ctx); err != nil {
		return nil, err
	}
	return &p.done, p.dest.sync()
}

type pull struct {
	version          *Version
	include, exclude globs
	force            bool
	dest             *destination
	plain, sealed    *pool
	meter            meter
	done             Pulled

	cache    []loaded // every wanted part, or nil if they are too large
	cached   int      // bytes of parts read
	verdicts []verdicts

	mu        sync.Mutex
	conflicts []string
}

// verdicts says, of each entry of a part, what stands in its place.
type verdicts []*standing

// standing is something that stands in the place of a file. nil: nothing does.
type standing struct {
	kept bool // it is the file already
}

func (p *pull) wanted(first, last string) bool {
	return len(p.include) == 0 || p.include.mayMatch(first, last)
}

func (p *pull) selected(path string) bool {
	return (len(p.include) == 0 || p.include.match(path)) && !p.exclude.match(path)
}

// parts yields the wanted parts, from memory if they are there.
func (p *pull) parts(ctx context.Context) iter.Seq2[loaded, error] {
	if p.cache == nil {
		return p.version.parts(ctx, p.wanted)
	}
	return func(yield func(loaded, error) bool) {
		for _, l := range p.cache {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// plan reads the manifest, verifies it as a whole if all of it is wanted, and
// finds out what stands in the destination.
func (p *pull) plan(ctx context.Context) error {
	v := p.version
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(plainBuffers())
	var refs *manifest.References
	var inv *inventory
	if len(p.include) == 0 {
		inv = newInventory(v)
		g.Go(func() (err error) {
			refs, _, err = v.references(gctx)
			return err
		})
	}
	g.Go(func() error { return p.survey(gctx, g, inv) })
	if err := g.Wait(); err != nil {
		return err
	}
	if inv != nil {
		if err := inv.finish(); err != nil {
			return err
		}
		if err := inv.compare(refs); err != nil {
			return err
		}
	}
	if n := len(p.conflicts); n > 0 {
		return fmt.Errorf("pulling into %s: %d of its files: %w: %s", p.dest.name, n, ErrWouldOverwrite, strings.Join(p.conflicts[:min(n, 5)], ", "))
	}
	return nil
}

// survey is the first pass over the parts. Files that stand in the destination
// are compared in the background.
func (p *pull) survey(ctx context.Context, g *errgroup.Group, inv *inventory) error {
	cache := []loaded{}
	var last *standing
	var pieces pieces
	for l, err := range p.version.parts(ctx, p.wanted) {
		if err == nil {
			err = l.err
		}
		if err == nil && inv != nil {
			err = inv.add(&l)
		}
		if err != nil {
			return err
		}
		if p.cached += l.size; p.cached > cacheBytes {
			cache = nil
		} else {
			cache = append(cache, l)
		}
		verdict := make(verdicts, len(l.part.Entries))
		for i := range l.part.Entries {
			e := &l.part.Entries[i]
			if !p.selected(e.Path) {
				continue
			}
			if err := pieces.next(e); err != nil {
				return damaged(l.ref.Key(p.version.Artefact), err)
			}
			if e.At == 0 {
				if last, err = p.judge(ctx, g, e); err != nil {
					return err
				}
			}
			verdict[i] = last
		}
		p.verdicts = append(p.verdicts, verdict)
	}
	p.cache = cache
	if err := pieces.done(); err != nil {
		return damaged(p.version.Manifest.Key, err)
	}
	return nil
}

// pieces checks that selected files are whole, also where parts between them
// were not looked at.
type pieces struct {
	path      string
	end, size int64
}

func (s *pieces) next(e *manifest.Entry) error {
	if e.At == 0 {
		if err := s.done(); err != nil {
			return err
		}
	} else if e.Path != s.path || e.At != s.end {
		return fmt.Errorf("%w: %q goes on at %d after %q to %d", manifest.ErrMalformed, e.Path, e.At, s.path, s.end)
	}
	*s = pieces{e.Path, e.End(), e.Size}
	return nil
}

func (s *pieces) done() error {
	if s.end != s.size {
		return fmt.Errorf("%w: %q ends at %d of %d bytes", manifest.ErrMalformed, s.path, s.end, s.size)
	}
	return nil
}

// judge finds out what stands in the place of an entry.
func (p *pull) judge(ctx context.Context, g *errgroup.Group, e *manifest.Entry) (*standing, error) {
	there, fi, err := p.dest.look(e)
	switch {
	case err != nil:
		return nil, err
	case there == free:
		return nil, nil
	case there == blocked, !p.force && (there == other || fi.Size() != e.Size):
		p.conflict(e.Path)
		return new(standing), nil
	case there == other || fi.Size() != e.Size:
		return new(standing), nil
	}
	s := new(standing)
	path, mode, sum := e.Path, e.Mode, e.SHA256
	g.Go(func() error {
		same, err := p.dest.holds(ctx, path, sum)
		if err != nil {
			return err
		}
		if s.kept = same; same {
			p.meter.add(Progress{Files: 1, Bytes: fi.Size(), Reused: fi.Size()})
			p.mu.Lock()
			p.done.KeptFiles++
			p.done.KeptBytes += fi.Size()
			p.mu.Unlock()
			return p.dest.setMode(path, fi, mode)
		}
		if !p.force {
			p.conflict(path)
		}
		return nil
	})
	return s, nil
}

func (p *pull) conflict(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conflicts = append(p.conflicts, fmt.Sprintf("%q", path))
}
