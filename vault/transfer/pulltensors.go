package transfer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

// TensorOptions says which tensors a pull takes.
type TensorOptions struct {
	Names    []string       // see [Version.Tensors]
	Include  []string       // patterns: only of the files they select
	Exclude  []string       // patterns: not of the files they select
	Force    bool           // replace a file that differs
	Progress func(Progress) // called often, one call at a time; may be nil
}

// PullTensors writes tensors as one safetensors file, TensorFile, into the
// directory dest, which is made if it is not there. It fetches the chunks that
// hold them, and of the manifest the parts that list them; every chunk is
// verified before the file gets its name. A tensor whose type safetensors lacks,
// or whose shape is not known, is written as bytes, with its type and shape in
// the metadata under its name. If several files have a tensor of a name, it is
// written as the file's path, a colon, and the name.
//
// A file that is there with the same bytes is kept. ErrWouldOverwrite: one with
// other bytes is there, and Force does not allow to replace it. ErrNoTensor:
// there is nothing of a name. After an error what dest held is as it was.
func (v *Version) PullTensors(ctx context.Context, dest string, o TensorOptions) (_ *Pulled, err error) {
	tensors, err := v.Tensors(ctx, o.Names, o.Include, o.Exclude)
	if err != nil {
		return nil, err
	}
	file, err := newTensorFile(tensors)
	if err != nil {
		return nil, err
	}
	p := &tensorPull{
		version: v, file: file, force: o.Force, fetches: make(map[object]*tensorFetch),
		plain: newPool(plainBuffers(), plainSize), sealed: newFlow(v.Store, v.Jobs, time.Now),
		opener: chunk.NewOpener(coders(), sealWorkers()), meter: meter{report: o.Progress},
	}
	if err := os.MkdirAll(dest, 0o777); err != nil {
		return nil, err
	}
	if p.root, err = os.OpenRoot(dest); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.root.Close()) }()
	if err := p.compareHead(); err != nil {
		return nil, err
	}
	if err := p.find(ctx); err != nil {
		return nil, err
	}
	staging := stagingPrefix + canonical.NewID().String()
	if err := p.root.Mkdir(staging, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.root.RemoveAll(staging)) }()
	return p.write(ctx, filepath.Join(staging, TensorFile))
}

type tensorPull struct {
	version *Version
	file    *tensorFile
	force   bool
	root    *os.Root // the destination: nothing leads outside of it
	plain   *pool
	sealed  *flow // the store as well
	opener  *chunk.Opener
	meter   meter
	fetches map[object]*tensorFetch
}

// tensorFetch is a chunk, and where its bytes go.
type tensorFetch struct {
	chunk  *manifest.Chunk
	copies []tensorCopy
}

type tensorCopy struct {
	slot       *slot
	off, n, at int64 // in the chunk; in the file that is written
}

// compareHead refuses, without Force, what cannot be the file already.
func (p *tensorPull) compareHead() (err error) {
	fi, err := p.root.Lstat(TensorFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if fi.IsDir() {
		return fmt.Errorf("%q is a directory: %w", TensorFile, ErrWouldOverwrite)
	}
	if p.force {
		return nil
	}
	if !fi.Mode().IsRegular() || fi.Size() != p.file.size {
		return fmt.Errorf("%q: %w", TensorFile, ErrWouldOverwrite)
	}
	f, err := p.root.Open(TensorFile)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, len(p.file.head))
	if _, err := io.ReadFull(f, head); err != nil {
		return err
	}
	if !bytes.Equal(head, p.file.head) {
		return fmt.Errorf("%q: %w", TensorFile, ErrWouldOverwrite)
	}
	return nil
}

// find finds the chunks that hold the tensors, by the parts that list them.
func (p *tensorPull) find(ctx context.Context) error {
	files := make(map[string][]*slot)
	for i := range p.file.slots {
		if s := &p.file.slots[i]; s.Size > 0 {
			files[s.File] = append(files[s.File], s)
		}
	}
	for path, slots := range files {
		slices.SortFunc(slots, func(a, b *slot) int { return cmp.Compare(a.Tensor.At, b.Tensor.At) })
		for i := 1; i < len(slots); i++ {
			if a, b := slots[i-1], slots[i]; a.Tensor.At+a.Size > b.Tensor.At {
				return damaged(p.version.Manifest.Key, fmt.Errorf("tensors %.100q and %.100q of %q overlap", a.Name, b.Name, path))
			}
		}
	}
	holds := func(ref, next *manifest.Ref) bool {
		for i := range p.file.slots { // beside entry, which counts in them
			s := &p.file.slots[i]
			if s.Size > 0 && ref.Before(s.File, s.Tensor.At+s.Size) && (next == nil || !next.Before(s.File, s.Tensor.At+1)) {
				return true
			}
		}
		return false
	}
	for l, err := range p.version.parts(ctx, holds) {
		if err == nil {
			err = l.err
		}
		if err != nil {
			return err
		}
		for i := range l.part.Entries {
			e := &l.part.Entries[i]
			p.entry(l.part, e, files[e.Path])
		}
	}
	for i := range p.file.slots {
		if s := &p.file.slots[i]; s.got != s.Size {
			return damaged(p.version.Manifest.Key, fmt.Errorf("of tensor %.100q the manifest has %d of %d bytes in %q", s.Name, s.got, s.Size, s.File))
		}
	}
	return nil
}

// entry notes what of an entry's extents belongs to slots, which are in order.
func (p *tensorPull) entry(part *manifest.Part, e *manifest.Entry, slots []*slot) {
	at := e.At
	for _, x := range e.Extents {
		end := at + x.Length
		first, _ := slices.BinarySearchFunc(slots, at, func(s *slot, at int64) int { return cmp.Compare(s.Tensor.At+s.Size, at+1) })
		for _, s := range slots[first:] {
			from, to := max(at, s.Tensor.At), min(end, s.Tensor.At+s.Size)
			if from >= to {
				break
			}
			c := &part.Chunks[x.Chunk]
			key := object{c.Creator, c.Name}
			f, ok := p.fetches[key]
			if !ok {
				f = &tensorFetch{chunk: c}
				p.fetches[key] = f
			}
			f.copies = append(f.copies, tensorCopy{s, x.Offset + from - at, to - from, s.at + from - s.Tensor.At})
			s.got += to - from
		}
		at = end
	}
}

// write writes the file, and gives it its name.
func (p *tensorPull) write(ctx context.Context, temp string) (_ *Pulled, err error) {
	f, err := p.root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(p.file.head); err != nil {
		return nil, err
	}
	if err := f.Truncate(p.file.size); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(MaxJobs) // and sealed bounds them
	for _, fetch := range p.fetches {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return p.fetch(gctx, fetch, f) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	done := &Pulled{Files: 1, Bytes: p.file.size}
	for _, fetch := range p.fetches {
		done.Fetched += fetch.chunk.SealedSize
	}
	same, err := p.same(ctx, f)
	if err != nil {
		return nil, err
	}
	if same {
		done.KeptFiles, done.KeptBytes = 1, p.file.size
		return done, nil
	}
	done.Changed = true
	if err := p.root.Rename(temp, TensorFile); err != nil {
		return nil, err
	}
	p.meter.add(Progress{Files: 1})
	dir, err := p.root.Open(".")
	if err != nil {
		return nil, err
	}
	return done, errors.Join(syncDirectory(dir), dir.Close())
}

// fetch fetches a chunk and copies to f what belongs there.
func (p *tensorPull) fetch(ctx context.Context, t *tensorFetch, f *os.File) error {
	plain, err := p.open(ctx, t.chunk)
	if err != nil {
		return fmt.Errorf("%s: tensor %.100q: %w", t.chunk.Key(p.version.Artefact), t.copies[0].slot.Name, err)
	}
	defer p.plain.put(plain)
	for _, c := range t.copies {
		if _, err := f.WriteAt(plain[c.off:c.off+c.n], c.at); err != nil {
			return err
		}
		p.meter.add(Progress{Bytes: c.n})
	}
	return nil
}

// open returns the plaintext of a chunk, verified by its BLAKE3, in a buffer of
// the pool.
func (p *tensorPull) open(ctx context.Context, c *manifest.Chunk) ([]byte, error) {
	v := p.version
	b, err := p.sealed.get(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { p.sealed.put(b) }()
	got, err := chunk.Fetch(ctx, p.sealed, v.Artefact, c, b, v.Stall)
	if err != nil {
		return nil, err
	}
	p.meter.add(Progress{Transferred: c.SealedSize})
	buf, err := p.plain.get(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := p.opener.Open(ctx, buf, got, c)
	if err == nil {
		err = chunk.VerifyPlain(c, plain)
	}
	if err != nil {
		p.plain.put(buf)
		return nil, err
	}
	return plain, nil
}

// same reports whether the file that is there holds what was written.
// ErrWouldOverwrite: it does not, and must not be replaced.
func (p *tensorPull) same(ctx context.Context, written *os.File) (bool, error) {
	fi, err := p.root.Lstat(TensorFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() && p.force {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !fi.Mode().IsRegular() {
		return false, fmt.Errorf("%q: %w", TensorFile, ErrWouldOverwrite)
	}
	there, err := p.root.Open(TensorFile)
	if err != nil {
		return false, err
	}
	defer there.Close()
	one, other := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); ; {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		n, err := written.ReadAt(one, at)
		if err != nil && err != io.EOF {
			return false, err
		}
		m, err := there.ReadAt(other, at)
		if err != nil && err != io.EOF {
			return false, err
		}
		if !bytes.Equal(one[:n], other[:m]) {
			if !p.force {
				return false, fmt.Errorf("%q: %w", TensorFile, ErrWouldOverwrite)
			}
			return false, nil
		}
		if at += int64(n); n < len(one) {
			return true, nil
		}
	}
}
