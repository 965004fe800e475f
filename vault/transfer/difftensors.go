package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

// TensorDifference is a tensor that a file has in one of two versions alone, or
// with another type, shape or content.
type TensorDifference struct {
	From, To *manifest.Tensor // nil: not there
}

// Tensor is the tensor as the newer version has it, or else the older one.
func (d *TensorDifference) Tensor() *manifest.Tensor {
	if d.To != nil {
		return d.To
	}
	return d.From
}

// DiffTensors returns which tensors differ in files that both versions have, in
// the order of files and names. Where the chunks of a tensor are cut alike their
// digests tell; other tensors are fetched and compared. It takes some 200 bytes of
// memory for each tensor and chunk of these files, and two chunks.
//
// ErrIntegrity: something does not verify.
func DiffTensors(ctx context.Context, from, to *Version, files []string) ([]TensorDifference, error) {
	before, err := from.weigh(ctx, files)
	if err != nil {
		return nil, err
	}
	after, err := to.weigh(ctx, files)
	if err != nil {
		return nil, err
	}
	var out []TensorDifference
	for _, path := range slices.Sorted(slices.Values(files)) {
		x, y := before.files[path], after.files[path]
		if x == nil || y == nil {
			continue
		}
		for len(x.tensors) > 0 || len(y.tensors) > 0 {
			order := 0
			switch {
			case len(y.tensors) == 0:
				order = -1
			case len(x.tensors) == 0:
				order = 1
			default:
				order = strings.Compare(x.tensors[0].Name, y.tensors[0].Name)
			}
			d := TensorDifference{}
			if order <= 0 {
				d.From, x.tensors = x.tensors[0], x.tensors[1:]
			}
			if order >= 0 {
				d.To, y.tensors = y.tensors[0], y.tensors[1:]
			}
			same := false
			if order == 0 && d.From.DType == d.To.DType && slices.Equal(d.From.Shape, d.To.Shape) && d.From.Size == d.To.Size {
				if same, err = sameTensor(ctx, before, after, d); err != nil {
					return nil, err
				}
			}
			if !same {
				out = append(out, d)
			}
		}
	}
	return out, nil
}

// weights is what a version's manifest says of the tensors of some files.
type weights struct {
	version *Version
	files   map[string]*weightFile
	opener  *chunk.Opener
	last    *manifest.Chunk // the one that was opened last
	plain   []byte          // of it
}

type weightFile struct {
	tensors  []*manifest.Tensor // in the order of names
	sections []section          // of the whole file, in order
}

// section is where a range of a file stands in a chunk.
type section struct {
	at, off, length int64
	chunk           *manifest.Chunk
}

// weigh reads the tensors of files, and where the files stand.
func (v *Version) weigh(ctx context.Context, files []string) (*weights, error) {
	w := &weights{version: v, files: make(map[string]*weightFile, len(files)), opener: chunk.NewOpener(1, sealWorkers())}
	for _, path := range files {
		w.files[path] = &weightFile{}
	}
	any := false
	for l, err := range v.tensorParts(ctx, all) {
		if err == nil {
			err = l.err
		}
		if err != nil {
			return nil, err
		}
		for i := range l.tensors.Tensors {
			if f := w.files[l.tensors.Tensors[i].File]; f != nil {
				f.tensors = append(f.tensors, &l.tensors.Tensors[i])
				any = true
			}
		}
	}
	if !any {
		return w, nil
	}
	for l, err := range v.parts(ctx, w.wants) {
		if err == nil {
			err = l.err
		}
		if err != nil {
			return nil, err
		}
		for i := range l.part.Entries {
			e := &l.part.Entries[i]
			f := w.files[e.Path]
			if f == nil || len(f.tensors) == 0 {
				continue
			}
			at := e.At
			for _, x := range e.Extents {
				f.sections = append(f.sections, section{at, x.Offset, x.Length, &l.part.Chunks[x.Chunk]})
				at += x.Length
			}
		}
	}
	return w, nil
}

// wants chooses the parts that list a file with tensors.
func (w *weights) wants(ref, next *manifest.Ref) bool {
	for path, f := range w.files {
		if len(f.tensors) > 0 && ref.First <= path && (next == nil || path <= next.First) {
			return true
		}
	}
	return false
}

// of returns where a tensor stands: sections whose at counts from its beginning.
func (w *weights) of(t *manifest.Tensor) ([]section, error) {
	var out []section
	sections := w.files[t.File].sections
	first, _ := slices.BinarySearchFunc(sections, t.At, func(s section, at int64) int {
		if s.at+s.length <= at {
			return -1
		}
		return 1
	})
	got := int64(0)
	for _, s := range sections[first:] {
		from, to := max(s.at, t.At), min(s.at+s.length, t.At+t.Size)
		if from >= to {
			break
		}
		out = append(out, section{from - t.At, s.off + from - s.at, to - from, s.chunk})
		got += to - from
	}
	if got != t.Size {
		return nil, damaged(w.version.Manifest.Key, fmt.Errorf("of tensor %.100q it has %d of %d bytes in %q", t.Name, got, t.Size, t.File))
	}
	return out, nil
}

// sameTensor compares the content of a tensor that is of one size in both.
func sameTensor(ctx context.Context, before, after *weights, d TensorDifference) (bool, error) {
	x, err := before.of(d.From)
	if err != nil {
		return false, err
	}
	y, err := after.of(d.To)
	if err != nil {
		return false, err
	}
	known, same := compareSections(x, y)
	if known {
		return same, nil
	}
	one, err := before.sum(ctx, x)
	if err != nil {
		return false, fmt.Errorf("tensor %.100q: %w", d.From.Name, err)
	}
	other, err := after.sum(ctx, y)
	if err != nil {
		return false, fmt.Errorf("tensor %.100q: %w", d.To.Name, err)
	}
	return bytes.Equal(one, other), nil
}

// compareSections reports whether two places hold the same, if digests tell.
func compareSections(x, y []section) (known, same bool) {
	if len(x) != len(y) {
		return false, false
	}
	same = true
	for i := range x {
		a, b := x[i], y[i]
		if a.length != b.length {
			return false, false
		}
		switch equal := a.chunk.Digest == b.chunk.Digest && a.chunk.Length == b.chunk.Length; {
		case equal && a.off == b.off:
		case a.off == 0 && b.off == 0 && a.length == a.chunk.Length && b.length == b.chunk.Length:
			return true, false // all of both chunks, and they differ
		default:
			same = false // perhaps
		}
	}
	return same, same
}

// sum returns the SHA-256 of what sections hold.
func (w *weights) sum(ctx context.Context, sections []section) ([]byte, error) {
	h := sha256.New()
	for _, s := range sections {
		if err := w.add(ctx, h, s); err != nil {
			return nil, err
		}
	}
	return h.Sum(nil), nil
}

func (w *weights) add(ctx context.Context, h hash.Hash, s section) error {
	if w.last == nil || w.last.Creator != s.chunk.Creator || w.last.Name != s.chunk.Name {
		sealed, err := chunk.Fetch(ctx, w.version.Store, w.version.Artefact, s.chunk, nil, w.version.Stall)
		if err != nil {
			return err
		}
		plain, err := w.opener.Open(ctx, w.plain[:0], sealed, s.chunk)
		if err == nil {
			err = chunk.VerifyPlain(s.chunk, plain)
		}
		if err != nil {
			return damaged(s.chunk.Key(w.version.Artefact), err)
		}
		w.last, w.plain = s.chunk, plain
	}
	h.Write(w.plain[s.off : s.off+s.length])
	return nil
}
