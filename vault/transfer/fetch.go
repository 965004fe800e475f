package transfer

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

// writers is how many files of one chunk are written at once: syncing is mostly waiting.
const writers = 8

// use is a range of a chunk's plaintext and its place in a file.
type use struct {
	target *target
	at     int64 // in the file
	off    int64 // in the chunk
	length int64
}

// fetch is the second pass over the parts: it fetches the chunks that are needed
// and writes the files.
func (p *pull) fetch(ctx context.Context) error {
	if err := p.dest.stage(); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.dispatch(gctx, g) })
	return g.Wait()
}

func (p *pull) dispatch(ctx context.Context, g *errgroup.Group) error {
	n := 0
	var last *target
	for l, err := range p.parts(ctx) {
		if err == nil {
			err = l.err
		}
		if err != nil {
			return err
		}
		uses := make([][]use, len(l.part.Chunks))
		for i := range l.part.Entries {
			e, standing := &l.part.Entries[i], p.verdicts[n][i]
			if !p.selected(e.Path) {
				continue
			}
			if e.At == 0 {
				if last, err = p.begin(ctx, g, e, standing); err != nil {
					return err
				}
			}
			if last == nil {
				continue
			}
			at := e.At
			for _, x := range e.Extents {
				uses[x.Chunk] = append(uses[x.Chunk], use{last, at, x.Offset, x.Length})
				at += x.Length
			}
		}
		n++
		for i := range uses {
			if len(uses[i]) == 0 {
				continue
			}
			buf, err := p.sealed.get(ctx)
			if err != nil {
				return err
			}
			g.Go(func() error { return p.deliver(ctx, &l.part.Chunks[i], uses[i], buf) })
		}
	}
	return nil
}

// begin counts an entry. It returns a target if the entry is a file with bytes to
// be fetched.
func (p *pull) begin(ctx context.Context, g *errgroup.Group, e *manifest.Entry, s *standing) (*target, error) {
	if e.Mode == manifest.Directory {
		p.done.Directories++
		return nil, p.dest.mkdir(e.Path)
	}
	p.done.Files++
	p.done.Bytes += e.Size
	if s != nil && s.kept {
		return nil, nil
	}
	t := newTarget(p, e, s == nil)
	if e.Size > 0 {
		return t, nil
	}
	g.Go(func() error { return t.whole(ctx, nil) })
	return nil, nil
}

// deliver fetches a chunk and writes its parts to the files that need them.
func (p *pull) deliver(ctx context.Context, c *manifest.Chunk, uses []use, sealed []byte) error {
	plain, err := p.open(ctx, c, sealed)
	if err != nil {
		return fmt.Errorf("%s: %w", filesOf(uses), err)
	}
	defer p.plain.put(plain)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for _, u := range uses {
		g.Go(func() error {
			data := plain[u.off : u.off+u.length]
			var err error
			if u.length == u.target.size {
				err = u.target.whole(ctx, data)
			} else {
				err = u.target.piece(ctx, data, u.at)
			}
			if errors.Is(err, ErrIntegrity) {
				err = fmt.Errorf("%s: %w", c.Key(p.version.Artefact), err)
			}
			return err
		})
	}
	return g.Wait()
}

// open fetches a chunk into sealed, which it gives back, and opens it into a
// buffer of the pool. The SHA-256 of the files it belongs to verifies it.
func (p *pull) open(ctx context.Context, c *manifest.Chunk, sealed []byte) ([]byte, error) {
	defer func() { p.sealed.put(sealed) }()
	v := p.version
	b, err := chunk.Fetch(ctx, v.Store, v.Artefact, c, sealed, v.Stall)
	if err != nil {
		return nil, err
	}
	p.meter.add(Progress{Transferred: int64(len(b))})
	buf, err := p.plain.get(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := chunk.Open(buf, b, c, sealWorkers())
	if err != nil {
		p.plain.put(buf)
		return nil, damaged(c.Key(v.Artefact), err)
	}
	return plain, nil
}

// filesOf names the files that a chunk belongs to.
func filesOf(uses []use) string {
	first := fmt.Sprintf("%q", uses[0].target.path)
	if n := len(uses); n > 1 {
		return fmt.Sprintf("%s and %d more", first, n-1)
	}
	return first
}
