package transfer

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

// PullOptions narrows a pull, and says how what stands in its way goes. The zero
// value takes everything, and replaces only what a pull has put.
type PullOptions struct {
	Include []string // patterns: only what they select
	Exclude []string // patterns: not what they select
	Force   bool     // replace what is in the way, whose ever it is
	Link    bool     // the destination is a link, switched from one tree to the next
	// Before and After are called before the destination changes and after it
	// did, if it does; either may be nil. An error of Before stops the pull, with
	// nothing changed; one of After is returned, and nothing is taken back.
	Before, After func(context.Context, Swap) error
	Progress      func(Progress) // called often, one call at a time; may be nil
}

// Swap is what a pull does to a destination.
type Swap struct {
	Dest string // the destination
	Old  string // where the tree that is replaced stands: until After returns; "" where files are changed in place
	New  string // where the new tree stands; "" where files are changed in place, until they are
}

// Pulled is what a pull did.
type Pulled struct {
	Files       int64 // now in the destination, as the version has them
	Directories int64 // empty ones
	Bytes       int64 // of those files
	KeptFiles   int64 // of those files, the ones that stood there already
	KeptBytes   int64
	Reused      int64 // of Bytes, what the destination held under another name or in another file
	Fetched     int64 // sealed bytes of chunks that were fetched
	Swapped     bool  // a whole tree took the place of the one before
	Changed     bool  // the destination is not as it was
}

// cacheBytes bounds the encoded parts that a pull keeps between its two passes.
const cacheBytes = 16 << 20

// Pull copies the files of versions into the directory dest, which is made if it
// is not there: of one version, or of a system and its parts, as one tree, which
// is then that of the artefact of the first. A file gets its name only after its SHA-256 was verified; one
// that is there already, with the same bytes, is kept, and what dest holds under
// other names or in older files is not fetched again. No path, and no link in
// dest, leads outside of dest.
//
// First the manifest is read, with the version digest and the references unless
// Include narrows the pull, and compared with what dest holds. Then the files
// are written in place if that replaces and removes none.
//
// If dest holds other versions of the artefact, put there by pulls, and
// everything is wanted, a new tree is built beside dest out of what dest holds
// and what is fetched, and the two are exchanged at once: dest is the old tree or
// the new one, whole, whatever happens. The old tree is removed. Without Force
// nothing that no pull has put is replaced or removed, nor what was changed
// since: ErrWouldOverwrite names it. ErrNoExchange: dest is a mount point, or the
// system cannot exchange; with Force files are then replaced in place, one by
// one, and what is not of the version stays. So they are wherever dest is not as
// pulls left it: it holds what was there before them, or other artefacts.
//
// With Link dest is a link to a tree beside it, which is switched.
//
// After an error in place files that were verified have their names, and no
// others. What is left of a pull that was killed the next one removes.
func Pull(ctx context.Context, dest string, placed []Placed, o PullOptions) (_ *Pulled, err error) {
	v := placed[0].Version
	p := &pull{
		placed: placed, artefact: v.Artefact, options: o, exact: o.Link || len(o.Include)+len(o.Exclude) == 0,
		plain: newPool(plainBuffers(), plainSize), sealed: newFlow(v.Store, v.Jobs, time.Now),
		opener: chunk.NewOpener(coders(), sealWorkers()), hands: make(chan struct{}, writers), meter: meter{report: o.Progress},
	}
	if p.include, err = compileGlobs(o.Include); err != nil {
		return nil, err
	}
	if p.exclude, err = compileGlobs(o.Exclude); err != nil {
		return nil, err
	}
	if p.site, err = openSite(dest, o.Link); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.site.close()) }()
	if err := p.open(); err != nil {
		return nil, err
	}
	defer func() { err = p.close(err) }()
	if p.held, err = p.old.holdings(ctx); err != nil {
		return nil, err
	}
	if err := p.plan(ctx); err != nil {
		return nil, err
	}
	if err := p.decide(ctx); err != nil {
		return nil, err
	}
	if p.next != nil {
		err = p.swap(ctx)
	} else {
		err = p.inPlace(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &p.done, nil
}

type pull struct {
	placed           []Placed
	artefact         canonical.Digest // whose tree the destination is
	options          PullOptions
	exact            bool // the destination is to hold nothing else
	include, exclude globs
	site             *site
	old              *destination // what stands there
	held             *holdings
	dest             *destination // what is written: old, or the new tree
	next             *next        // that tree; nil: old is written
	plain            *pool
	sealed           *flow // the store as well
	opener           *chunk.Opener
	hands            chan struct{} // bounds files that are brought over at once
	meter            meter
	done             Pulled
	names            names
	record           *record // of what the version has
	noClone          atomic.Bool

	cache    []loaded // every wanted part, or nil if they are too large
	cached   int      // bytes of parts read
	verdicts []verdicts

	mu      sync.Mutex
	differ  []string // stand in the way of a file, and may be replaced one by one
	blocked []string // stand in the way, and may not
	missing int64    // files and directories that are not there as they should be
}

// verdicts says, of each entry of a part, what stands in its place.
type verdicts []*standing

// standing is what the destination holds of a file. nil: nothing.
type standing struct {
	free bool     // there is nothing in its place
	kept *holding // the file itself, in its place
	from *holding // the same bytes, under another name
	near *nearby  // where some of its bytes may be
}

// nothing is what stands in most places of a new destination.
var nothing = standing{free: true}

func (p *pull) selected(path string) bool {
	return (len(p.include) == 0 || p.include.match(path)) && !p.exclude.match(path)
}

// parts yields the wanted parts, from memory if they are there.
func (p *pull) parts(ctx context.Context) iter.Seq2[loaded, error] {
	if p.cache == nil {
		return p.reload(ctx)
	}
	return func(yield func(loaded, error) bool) {
		for _, l := range p.cache {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// reload yields the wanted parts, read once more.
func (p *pull) reload(ctx context.Context) iter.Seq2[loaded, error] {
	return func(yield func(loaded, error) bool) {
		for i := range p.placed {
			pl := &p.placed[i]
			for l, err := range pl.Version.parts(ctx, paths(pl.wanted(p.include))) {
				if err == nil && l.err == nil {
					l.place(pl)
				}
				if !yield(l, err) {
					return
				}
			}
		}
	}
}

// plan reads the manifests, verifies them as a whole if all of them is wanted, and
// finds out what the destination holds of it.
func (p *pull) plan(ctx context.Context) error {
	p.record = newRecord(p.artefact)
	if p.ours() {
		p.record = p.site.record.next()
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(plainBuffers())
	whole := len(p.include) == 0
	refs, invs := make([]*manifest.References, len(p.placed)), make([]*inventory, len(p.placed))
	if whole {
		for i := range p.placed {
			invs[i] = newInventory(p.placed[i].Version)
			g.Go(func() (err error) {
				refs[i], _, err = p.placed[i].Version.references(gctx)
				return err
			})
		}
	}
	g.Go(func() error { return p.survey(gctx, g, invs) })
	if err := g.Wait(); err != nil || !whole {
		return err
	}
	for i, inv := range invs {
		if err := inv.finish(); err != nil {
			return err
		}
		if err := inv.compare(refs[i]); err != nil {
			return err
		}
	}
	return nil
}

// survey is the first pass over the parts. Files that stand in the destination
// are compared in the background.
func (p *pull) survey(ctx context.Context, g *errgroup.Group, invs []*inventory) error {
	p.cache = []loaded{}
	for i := range p.placed {
		if err := p.surveyOne(ctx, g, expect(p.placed, i), invs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *pull) surveyOne(ctx context.Context, g *errgroup.Group, expect *expected, inv *inventory) error {
	pl := expect.placed
	if inv != nil {
		if err := inv.readTensors(ctx, nil); err != nil {
			return err
		}
	}
	var last *standing
	var pieces pieces
	for l, err := range pl.Version.parts(ctx, paths(pl.wanted(p.include))) {
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
		if p.cached += l.size; p.cached > cacheBytes {
			p.cache = nil
		} else {
			p.cache = append(p.cache, l)
		}
		verdict := make(verdicts, len(l.part.Entries))
		for i := range l.part.Entries {
			e := &l.part.Entries[i]
			if !p.selected(e.Path) {
				continue
			}
			if err := pieces.next(e); err != nil {
				return damaged(l.ref.Key(pl.Version.Artefact), err)
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
	if err := pieces.done(); err != nil {
		return damaged(pl.Version.Manifest.Key, err)
	}
	if inv == nil {
		return nil
	}
	return expect.done()
}

// judge finds out what the destination holds of an entry. Files are read in the
// background.
func (p *pull) judge(ctx context.Context, g *errgroup.Group, e *manifest.Entry) (*standing, error) {
	p.record.plan(e.Path, e.SHA256)
	if err := p.names.add(e.Path); err != nil {
		return nil, err
	}
	there, fi, err := p.old.look(e)
	if err != nil {
		return nil, err
	}
	if e.Mode == manifest.Directory {
		switch {
		case there == blocked:
			p.conflict(&p.blocked, e.Path)
		case !p.old.parents[e.Path]:
			p.conflict(nil, e.Path)
		}
		delete(p.held.empty, e.Path)
		return nil, nil
	}
	here := p.held.files[e.Path]
	if here != nil {
		here.listed = true
	}
	s := &nothing
	if there != free || len(p.held.files) > 0 {
		s = &standing{free: there == free}
	}
	compare := there == regular && here != nil && here.stamp == stampOf(fi) && fi.Size() == e.Size
	switch {
	case there == blocked:
		p.conflict(&p.blocked, e.Path)
	case !s.free && !compare:
		p.conflict(&p.differ, e.Path)
	case s.free:
		p.conflict(nil, e.Path)
	}
	if len(p.held.files) == 0 {
		return s, nil
	}
	path, size, sum := e.Path, e.Size, e.SHA256
	g.Go(func() error {
		if compare {
			got, err := p.held.digest(ctx, here)
			if err != nil {
				return err
			}
			if got == sum {
				s.kept = here
				p.kept(here)
				return nil
			}
			p.conflict(&p.differ, path)
		}
		if s.from = p.held.find(ctx, size, sum); s.from == nil {
			s.near = p.held.near(path, size)
		}
		return nil
	})
	return s, nil
}

func (p *pull) kept(h *holding) {
	h.kept = true
	p.meter.add(Progress{Files: 1, Bytes: h.stamp.size, Reused: h.stamp.size})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.KeptFiles++
	p.done.KeptBytes += h.stamp.size
}

// conflict notes that a file or directory is not there as it should be, and what
// kind of thing is in its place.
func (p *pull) conflict(list *[]string, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.missing++
	if list != nil {
		*list = append(*list, path)
	}
}
