package transfer

import (
	"context"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// Base is a stored version that a push may borrow from. It says nothing about
// whether the version is live, which is for the caller to know.
type Base struct {
	digest    canonical.Digest
	salt, cut manifest.Secret
	chunks    map[manifest.Digest]manifest.Chunk
}

// OpenBase reads the whole manifest of a version. It does not look at the chunks:
// what is borrowed is what their manifest says of them. ErrIntegrity: the
// manifest does not verify.
func OpenBase(ctx context.Context, s Source) (*Base, error) {
	v, err := Open(ctx, s)
	if err != nil {
		return nil, err
	}
	b := &Base{digest: s.Digest, salt: v.Root.Salt, cut: v.Root.Cut, chunks: make(map[manifest.Digest]manifest.Chunk)}
	for _, list := range [][]manifest.Ref{v.Root.Parts, v.Root.Tensors} {
		for _, ref := range list {
			b.chunks[ref.Digest] = ref.Chunk
		}
	}
	inv := newInventory(v)
	if err := inv.readTensors(ctx, func(l *loaded) { b.chunks[l.ref.Digest] = l.ref.Chunk }); err != nil {
		return nil, err
	}
	for l, err := range v.parts(ctx, all) {
		if err == nil {
			err = l.err
		}
		if err != nil {
			return nil, err
		}
		if err := inv.add(&l); err != nil {
			return nil, err
		}
		b.chunks[l.ref.Digest] = l.ref.Chunk
		for _, c := range l.part.Chunks {
			b.chunks[c.Digest] = c
		}
	}
	if err := inv.finish(); err != nil {
		return nil, err
	}
	return b, nil
}

// MustChange makes every push differ from the base: the version it makes is
// described in another way.
func (b *Base) MustChange() { b.digest = canonical.Digest{} }
