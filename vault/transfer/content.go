package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

// stretch is a run of extents, in the order of files, that lie in one chunk.
type stretch struct {
	chunk *manifest.Chunk
	steps []step
	plain []byte // of the chunk, from the pool; nil if it does not verify
	err   error
}

// step is one extent on the way through a file.
type step struct {
	entry *manifest.Entry
	part  string // key of the part that lists it
	at    int64
	off   int64
	n     int64
}

// content reads every file, in order, chunks ahead of it.
func (c *checker) content(ctx context.Context) error {
	v := c.version
	// ahead has at most n+1 stretches under way, so each gets its buffer: the one
	// that is waited for does not wait for one that comes after it.
	n := jobs(v.Jobs) - 1
	plain, sealed := newPool(n+1, plainSize), newPool(plainBuffers(), sealedSize)
	opener := chunk.NewOpener(coders(), sealWorkers())
	known := make(map[string]error) // problems that were found before; fetches run beside this goroutine
	for key, p := range c.problems {
		known[key] = p.Err
	}
	var file reading
	for s, err := range ahead(ctx, n, stretches(v.parts(ctx, all), v.Artefact, false), func(ctx context.Context, s stretch) (stretch, error) {
		if err := known[s.chunk.Key(v.Artefact)]; err != nil {
			s.err = err
			return s, nil
		}
		buf, err := v.readInto(ctx, s.chunk, plain, sealed, opener)
		if errors.Is(err, ErrIntegrity) {
			s.err = err
			return s, nil
		}
		s.plain = buf
		return s, err
	}) {
		if err != nil {
			return err
		}
		c.meter.add(Progress{Transferred: s.chunk.SealedSize})
		for _, st := range s.steps {
			if s.err != nil {
				c.fault(s.chunk.Key(v.Artefact), damaged(s.chunk.Key(v.Artefact), s.err), st.entry.Path)
			}
			c.step(&file, st, s.plain)
		}
		if s.plain != nil {
			plain.put(s.plain)
		}
	}
	return nil
}

// readInto returns the verified plaintext of a chunk in a buffer of the pool.
func (v *Version) readInto(ctx context.Context, c *manifest.Chunk, plain, sealed *pool, opener *chunk.Opener) ([]byte, error) {
	b, err := sealed.get(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { sealed.put(b) }()
	got, err := chunk.Fetch(ctx, v.Store, v.Artefact, c, b, v.Stall)
	if err != nil {
		return nil, err
	}
	if err := chunk.Verify(c, got); err != nil {
		return nil, err
	}
	buf, err := plain.get(ctx)
	if err != nil {
		return nil, err
	}
	out, err := opener.Open(ctx, buf, got, c)
	if err == nil {
		err = chunk.VerifyPlain(c, out)
	}
	if err != nil {
		plain.put(buf)
		return nil, err
	}
	return out, nil
}

// reading is the file whose bytes come next.
type reading struct {
	path string
	hash hash.Hash
	at   int64
	lost bool // some of it could not be read
}

// step takes the next extent of a file. plain is nil if the chunk does not verify.
func (c *checker) step(f *reading, st step, plain []byte) {
	e := st.entry
	if st.at == 0 {
		*f = reading{path: e.Path, hash: sha256.New()}
	}
	if f.path != e.Path || f.at != st.at {
		return // the part before does not verify, and is reported
	}
	f.at += st.n
	if plain == nil {
		f.lost = true
	}
	if f.lost {
		return
	}
	f.hash.Write(plain[st.off : st.off+st.n])
	c.meter.add(Progress{Bytes: st.n})
	if f.at < e.Size {
		return
	}
	if sum := canonical.Digest(f.hash.Sum(nil)); sum != e.SHA256 {
		c.fault(st.part, damaged(st.part, fmt.Errorf("the SHA-256 of %q is %s, not %s", e.Path, sum, e.SHA256)), e.Path)
		return
	}
	c.files++
	c.bytes += e.Size
	c.meter.add(Progress{Files: 1})
}

// stretches yields the extents of all files in order, those in one chunk together.
// Parts that do not verify are passed over. With empty, entries without extents are
// steps as well, of length 0; a stretch of nothing else has no chunk.
func stretches(parts func(func(loaded, error) bool), aid canonical.Digest, empty bool) func(func(stretch, error) bool) {
	return func(yield func(stretch, error) bool) {
		var s stretch
		for l, err := range parts {
			if err != nil {
				yield(stretch{}, err)
				return
			}
			if l.err != nil {
				continue
			}
			for i := range l.part.Entries {
				e := &l.part.Entries[i]
				at := e.At
				if empty && len(e.Extents) == 0 {
					s.steps = append(s.steps, step{entry: e})
				}
				for _, x := range e.Extents {
					c := &l.part.Chunks[x.Chunk]
					switch {
					case s.chunk == nil:
						s.chunk = c
					case c.Creator != s.chunk.Creator || c.Name != s.chunk.Name:
						if !yield(s, nil) {
							return
						}
						s = stretch{chunk: c}
					}
					s.steps = append(s.steps, step{e, l.ref.Key(aid), at, x.Offset, x.Length})
					at += x.Length
				}
			}
		}
		if s.chunk != nil || len(s.steps) > 0 {
			yield(s, nil)
		}
	}
}
