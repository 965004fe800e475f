package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/aivault/aivault/vault/manifest"
)

// loaded is a part, or why it cannot be had.
type loaded struct {
	ref     manifest.Ref
	part    *manifest.Part       // of files
	tensors *manifest.TensorPart // of tensors
	size    int                  // of its plaintext
	err     error
	in      *Placed // after place
}

// wanted chooses parts: given the reference to one, and the next one in its list
// or nil. What a part lists is not before the first, and not beyond the second.
type wanted func(ref, next *manifest.Ref) bool

func all(_, _ *manifest.Ref) bool { return true }

// paths is wanted by the first path of a part and one that is not before the
// last, "" if that is not known.
func paths(wanted func(first, last string) bool) wanted {
	return func(ref, next *manifest.Ref) bool {
		if next == nil {
			return wanted(ref.First, "")
		}
		return wanted(ref.First, next.First)
	}
}

// parts yields the parts of the manifest that list files, in order. A part or node
// that does not verify is yielded with its error; other errors end it.
func (v *Version) parts(ctx context.Context, w wanted) iter.Seq2[loaded, error] {
	return v.load(ctx, manifest.Files, v.Root.Parts, w)
}

// tensorParts yields the parts that list tensors, as parts does.
func (v *Version) tensorParts(ctx context.Context, w wanted) iter.Seq2[loaded, error] {
	return v.load(ctx, manifest.Tensors, v.Root.Tensors, w)
}

func (v *Version) load(ctx context.Context, of manifest.Of, top []manifest.Ref, w wanted) iter.Seq2[loaded, error] {
	return ahead(ctx, jobs(v.Jobs)-1, v.refs(ctx, of, top, w), func(ctx context.Context, l loaded) (loaded, error) {
		if l.err != nil {
			return l, nil
		}
		plain, err := v.read(ctx, &l.ref.Chunk)
		if err == nil {
			l.size = len(plain)
			if of == manifest.Files {
				l.part, err = manifest.DecodePart(l.ref.First, l.ref.At, plain)
			} else {
				l.tensors, err = manifest.DecodeTensors(l.ref.First, plain)
			}
		}
		return l.judge(v, err)
	})
}

// judge keeps an error that says that the part does not verify with the part.
func (l loaded) judge(v *Version, err error) (loaded, error) {
	if err == nil || !errors.Is(err, ErrIntegrity) && !errors.Is(err, manifest.ErrMalformed) {
		return l, err
	}
	l.err = fmt.Errorf("the manifest from %q on: %w", l.ref.First, damaged(l.ref.Key(v.Artefact), err))
	return l, nil
}

// refs yields references to parts.
func (v *Version) refs(ctx context.Context, of manifest.Of, top []manifest.Ref, w wanted) iter.Seq2[loaded, error] {
	if v.Root.Depth == 1 {
		return among(top, nil, w)
	}
	return func(yield func(loaded, error) bool) {
		type node struct {
			loaded
			parts []manifest.Ref
			next  *manifest.Ref
		}
		nodes := func(yield func(node, error) bool) {
			for i, ref := range top {
				next := following(top, i, nil)
				if w(&ref, next) && !yield(node{loaded: loaded{ref: ref}, next: next}, nil) {
					return
				}
			}
		}
		for n, err := range ahead(ctx, 1, nodes, func(ctx context.Context, n node) (node, error) {
			plain, err := v.read(ctx, &n.ref.Chunk)
			if err == nil {
				var decoded *manifest.Node
				if decoded, err = manifest.DecodeNode(of, n.ref.First, n.ref.At, plain); err == nil {
					n.parts = decoded.Parts
				}
			}
			n.loaded, err = n.judge(v, err)
			return n, err
		}) {
			if err != nil {
				yield(loaded{}, err)
				return
			}
			if n.err != nil {
				if !yield(n.loaded, nil) {
					return
				}
				continue
			}
			for l, err := range among(n.parts, n.next, w) {
				if !yield(l, err) {
					return
				}
			}
		}
	}
}

// among yields those of refs that are wanted; next comes after them.
func among(refs []manifest.Ref, next *manifest.Ref, w wanted) iter.Seq2[loaded, error] {
	return func(yield func(loaded, error) bool) {
		for i, ref := range refs {
			if w(&ref, following(refs, i, next)) && !yield(loaded{ref: ref}, nil) {
				return
			}
		}
	}
}

// following returns the reference after i, or next.
func following(refs []manifest.Ref, i int, next *manifest.Ref) *manifest.Ref {
	if i+1 < len(refs) {
		return &refs[i+1]
	}
	return next
}
