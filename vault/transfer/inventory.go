package transfer

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// inventory is what a manifest, read part by part, says as a whole.
type inventory struct {
	version *Version
	seq     *manifest.Sequence
	objects map[object]*coverage
}

type object struct {
	creator canonical.ID
	name    string
}

// coverage is how much of a chunk the version's files account for. It is borrowed
// whole or not at all: all of its plaintext must belong to this version.
type coverage struct {
	size    int64 // of the object
	length  int64 // of the plaintext
	covered int64 // of that, from the beginning
}

func newInventory(v *Version) *inventory {
	inv := &inventory{version: v, seq: manifest.NewSequence(v.Root), objects: make(map[object]*coverage)}
	for _, list := range [][]manifest.Ref{v.Root.Parts, v.Root.Tensors} {
		for i := range list {
			inv.addRef(&list[i])
		}
	}
	return inv
}

// readTensors reads the parts that list tensors, which must be done before any
// part of files is added, and shows them to see, if that is not nil.
func (inv *inventory) readTensors(ctx context.Context, see func(*loaded)) error {
	for l, err := range inv.version.tensorParts(ctx, all) {
		if err == nil {
			err = inv.addTensors(&l)
		}
		if err != nil {
			return err
		}
		if see != nil {
			see(&l)
		}
	}
	return nil
}

func (inv *inventory) addTensors(l *loaded) error {
	inv.addRef(&l.ref)
	if l.err != nil {
		return l.err
	}
	if err := inv.seq.AddTensors(l.ref.At, l.tensors); err != nil {
		return damaged(l.ref.Key(inv.version.Artefact), err)
	}
	return nil
}

// addRef adds the object of a part or a node.
func (inv *inventory) addRef(ref *manifest.Ref) {
	c := inv.chunk(&ref.Chunk)
	c.covered = c.length
}

func (inv *inventory) chunk(c *manifest.Chunk) *coverage {
	key := object{c.Creator, c.Name}
	known, ok := inv.objects[key]
	if !ok {
		known = &coverage{size: c.SealedSize, length: c.Length}
		inv.objects[key] = known
	}
	return known
}

// add adds the next part.
func (inv *inventory) add(l *loaded) error {
	inv.addRef(&l.ref)
	key := l.ref.Key(inv.version.Artefact)
	if err := inv.seq.Add(l.part); err != nil {
		return damaged(key, err)
	}
	table, err := inv.addChunks(l.part)
	if err != nil {
		return damaged(key, err)
	}
	for i := range l.part.Entries {
		for _, x := range l.part.Entries[i].Extents {
			if c := table[x.Chunk]; x.Offset <= c.covered {
				c.covered = max(c.covered, x.Offset+x.Length)
			}
		}
	}
	return nil
}

// addChunks adds the objects that a part names.
func (inv *inventory) addChunks(p *manifest.Part) ([]*coverage, error) {
	table := make([]*coverage, len(p.Chunks))
	for i := range p.Chunks {
		c := &p.Chunks[i]
		table[i] = inv.chunk(c)
		if table[i].size != c.SealedSize || table[i].length != c.Length {
			return nil, fmt.Errorf("chunk %s has two sizes", c.Name)
		}
	}
	return table, nil
}

// finish compares the whole with the root and the signed version digest.
func (inv *inventory) finish() error {
	v := inv.version
	digest, err := inv.seq.Finish(v.Root)
	if err != nil {
		return damaged(v.Manifest.Key, err)
	}
	if digest != v.Digest {
		return damaged(v.Manifest.Key, fmt.Errorf("the version digest is %s, not %s", digest, v.Digest))
	}
	for key, c := range inv.objects {
		if c.covered < c.length {
			return damaged(v.Manifest.Key, fmt.Errorf("chunk %s holds bytes of no file of this version", key.name))
		}
	}
	return nil
}

// compare checks that the references name the same objects as the manifest.
func (inv *inventory) compare(refs *manifest.References) error {
	v := inv.version
	if refs.Root != v.Manifest.Key[len(manifest.VersionPrefix(v.Artefact, v.Version)):] || refs.RootSize != v.rootSize {
		return damaged(v.References.Key, fmt.Errorf("they name another manifest, %s of %d bytes", refs.Root, refs.RootSize))
	}
	for _, o := range refs.Objects {
		if c, ok := inv.objects[object{o.Creator, o.Name}]; !ok || c.size != o.Size {
			return damaged(v.References.Key, fmt.Errorf("%s of %d bytes is not in the manifest", o.Key(v.Artefact), o.Size))
		}
	}
	if len(refs.Objects) != len(inv.objects) {
		return damaged(v.References.Key, fmt.Errorf("they name %d objects where the manifest has %d", len(refs.Objects), len(inv.objects)))
	}
	return nil
}
