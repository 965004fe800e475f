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
	inTurn bool // everything before it in the file was handed out before
}

// fetch is the second pass over the parts: it fetches the chunks that are needed
// and writes the files.
func (p *pull) fetch(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.dispatch(gctx, g) })
	return g.Wait()
}

func (p *pull) dispatch(ctx context.Context, g *errgroup.Group) error {
	n := 0
	var last *target
	turn := make(chan struct{}) // of the next chunk to get a buffer for its plaintext
	close(turn)
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
				uses[x.Chunk] = append(uses[x.Chunk], use{target: last, at: at, off: x.Offset, length: x.Length})
				at += x.Length
			}
		}
		n++
		for i := range uses {
			if len(uses[i]) == 0 {
				continue
			}
			for k := range uses[i] {
				u := &uses[i][k]
				u.inTurn = u.target.reserve(u.at, u.length)
			}
			buf, err := p.sealed.get(ctx)
			if err != nil {
				return err
			}
			mine, after := turn, make(chan struct{})
			turn = after
			g.Go(func() error { return p.deliver(ctx, l.in.Version, &l.part.Chunks[i], uses[i], buf, mine, after) })
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
	if s.kept != nil && p.next == nil {
		return nil, p.keep(e, s.kept)
	}
	t := newTarget(p, e, s)
	do := func() error { return t.whole(ctx, nil) }
	switch {
	case s.kept != nil:
		do = func() error { return t.bring(ctx, s.kept) }
	case s.from != nil:
		do = func() error {
			if err := t.bring(ctx, s.from); err != nil {
				return err
			}
			p.reused(t.size)
			p.meter.add(Progress{Files: 1, Bytes: t.size, Reused: t.size})
			return nil
		}
	case e.Size > 0:
		return t, nil
	}
	do, err := p.take(ctx, do)
	if err != nil {
		return nil, err
	}
	g.Go(do)
	return nil, nil
}

func (p *pull) reused(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.Reused += n
}

// deliver finds or fetches a chunk and writes its parts to the files that need
// them. It gives sealed back. Chunks get buffers for their plaintext in the order
// in which they were handed out, each after mine is closed, and closes after: so
// the one that others wait for never waits for a buffer itself.
func (p *pull) deliver(ctx context.Context, v *Version, c *manifest.Chunk, uses []use, sealed []byte, mine <-chan struct{}, after chan<- struct{}) error {
	plain := p.find(c, uses, sealed)
	if plain != nil {
		defer p.sealed.put(sealed)
		if err := wait(ctx, mine); err != nil {
			return err
		}
		close(after)
		return p.spread(ctx, v, c, uses, plain)
	}
	got, err := p.get(ctx, v, c, sealed)
	if err == nil {
		err = wait(ctx, mine)
	}
	var buf []byte
	if err == nil {
		buf, err = p.plain.get(ctx)
	}
	if err != nil {
		p.sealed.put(sealed)
		return fmt.Errorf("%s: %w", filesOf(uses), err)
	}
	close(after)
	defer p.plain.put(buf)
	into := int(uses[0].at-uses[0].off) & (block - 1) // as far into a block as it stands in the file
	opened, err := p.opener.Open(ctx, buf[:into], got, c)
	p.sealed.put(sealed)
	if err != nil {
		return fmt.Errorf("%s: %w", filesOf(uses), damaged(c.Key(v.Artefact), err))
	}
	return p.spread(ctx, v, c, uses, opened[into:])
}

func wait(ctx context.Context, turn <-chan struct{}) error {
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// find looks for a chunk in what the destination holds.
func (p *pull) find(c *manifest.Chunk, uses []use, buf []byte) []byte {
	for _, u := range uses {
		if u.target.near == nil || u.length != c.Length {
			continue
		}
		data := u.target.near.find(c, u.at, buf[:cap(buf)])
		if data == nil {
			return nil
		}
		for _, u := range uses {
			p.reused(u.length)
			p.meter.add(Progress{Reused: u.length})
		}
		return data
	}
	return nil
}

// get fetches a chunk. The SHA-256 of the files it belongs to verifies it.
func (p *pull) get(ctx context.Context, v *Version, c *manifest.Chunk, buf []byte) ([]byte, error) {
	b, err := chunk.Fetch(ctx, p.sealed, v.Artefact, c, buf, v.Stall)
	if err != nil {
		return nil, err
	}
	p.meter.add(Progress{Transferred: int64(len(b))})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.Fetched += int64(len(b))
	return b, nil
}

// spread writes a chunk to its files.
func (p *pull) spread(ctx context.Context, v *Version, c *manifest.Chunk, uses []use, plain []byte) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for _, u := range uses {
		g.Go(func() error {
			data := plain[u.off : u.off+u.length]
			var err error
			if u.length == u.target.size {
				err = u.target.whole(ctx, data)
			} else {
				err = u.target.piece(ctx, data, u.at, u.inTurn)
			}
			if errors.Is(err, ErrIntegrity) {
				err = fmt.Errorf("%s: %w", c.Key(v.Artefact), err)
			}
			return err
		})
	}
	return g.Wait()
}

// filesOf names the files that a chunk belongs to.
func filesOf(uses []use) string {
	first := fmt.Sprintf("%q", uses[0].target.path)
	if n := len(uses); n > 1 {
		return fmt.Sprintf("%s and %d more", first, n-1)
	}
	return first
}
