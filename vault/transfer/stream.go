package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

// Survey reads the whole manifest, verifies it with the version digest and the
// references, and calls each for every file and empty directory, in bytewise
// order of their paths, before it is known whether the manifest verifies: only
// when Survey returns nil does what each has seen count.
func (v *Version) Survey(ctx context.Context, each func(*manifest.Entry) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var refs *manifest.References
	g.Go(func() (err error) {
		refs, _, err = v.references(ctx)
		return err
	})
	inv := newInventory(v)
	g.Go(func() error {
		for l, err := range v.parts(ctx, all) {
			if err = errors.Join(err, l.err); err == nil {
				err = inv.add(&l)
			}
			if err != nil {
				return err
			}
			for i := range l.part.Entries {
				if e := &l.part.Entries[i]; e.At == 0 {
					if err := each(e); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if err := inv.finish(); err != nil {
		return err
	}
	return inv.compare(refs)
}

// Sink takes the content of a version, one call at a time.
type Sink interface {
	// Begin begins a file or an empty directory.
	Begin(*manifest.Entry) error
	// Write takes the next bytes of the file. They are the sink's until it returns.
	Write([]byte) (int, error)
}

// Stream gives a sink every file, in bytewise order of their paths. What it gets
// is verified chunk by chunk; that a file's bytes have its SHA-256 is known when
// the last of them was written, so that what the sink has made of it counts only
// if Stream returns nil. Nothing touches a disk. ErrIntegrity: something does not
// verify; those of the sink and the store.
func (v *Version) Stream(ctx context.Context, to Sink, progress func(Progress)) error {
	n := jobs(v.Jobs) - 1
	plain, sealed := newPool(n+1, plainSize), newPool(plainBuffers(), sealedSize) // see checker.content
	opener := chunk.NewOpener(coders(), sealWorkers())
	f := poured{version: v, sink: to, meter: meter{report: progress}}
	sound := func(yield func(loaded, error) bool) {
		for l, err := range v.parts(ctx, all) {
			if err = errors.Join(err, l.err); !yield(l, err) || err != nil {
				return
			}
		}
	}
	for s, err := range ahead(ctx, n, stretches(sound, v.Artefact, true), func(ctx context.Context, s stretch) (stretch, error) {
		if s.chunk == nil {
			return s, nil
		}
		var err error
		if s.plain, err = v.readInto(ctx, s.chunk, plain, sealed, opener); errors.Is(err, ErrIntegrity) {
			err = fmt.Errorf("%q: %w", s.steps[0].entry.Path, damaged(s.chunk.Key(v.Artefact), err))
		}
		return s, err
	}) {
		if err != nil {
			return err
		}
		for _, st := range s.steps {
			if err := f.step(st, s.plain); err != nil {
				return err
			}
		}
		if s.plain != nil {
			f.meter.add(Progress{Transferred: s.chunk.SealedSize})
			plain.put(s.plain)
		}
	}
	return f.end()
}

// poured is the file whose bytes go to the sink.
type poured struct {
	version *Version
	sink    Sink
	meter   meter
	entry   *manifest.Entry
	hash    hash.Hash
	at      int64
}

func (f *poured) step(st step, plain []byte) error {
	if st.at == 0 {
		if err := f.end(); err != nil {
			return err
		}
		f.entry, f.hash, f.at = st.entry, sha256.New(), 0
		if err := f.sink.Begin(st.entry); err != nil {
			return err
		}
	}
	if f.entry == nil || f.entry.Path != st.entry.Path || f.at != st.at {
		return damaged(f.version.Manifest.Key, fmt.Errorf("%w: %q goes on at %d", manifest.ErrMalformed, st.entry.Path, st.at))
	}
	b := plain[st.off : st.off+st.n]
	f.at += st.n
	f.hash.Write(b)
	f.meter.add(Progress{Bytes: st.n})
	if len(b) == 0 {
		return nil
	}
	_, err := f.sink.Write(b)
	return err
}

// end checks the file that was written.
func (f *poured) end() error {
	e := f.entry
	if e == nil || e.Mode == manifest.Directory {
		return nil
	}
	if sum := canonical.Digest(f.hash.Sum(nil)); f.at != e.Size || sum != e.SHA256 {
		return damaged(f.version.Manifest.Key, fmt.Errorf("%q has %d bytes with the SHA-256 %s, not %d with %s", e.Path, f.at, sum, e.Size, e.SHA256))
	}
	f.meter.add(Progress{Files: 1})
	return nil
}
