package checkpoint

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/aivault/aivault/crypto/canonical"
)

// Tree is a Merkle tree that grows. It holds what it takes to append and to
// prove anything about leaves from Base on: 64 bytes for each of those, and
// nothing of the leaves below but the hashes of the largest complete subtrees.
// It is not safe for concurrent use.
type Tree struct {
	base, size int64
	frontier   map[int64]tlog.Hash // stored hashes below base, by index
	hashes     []tlog.Hash         // stored hashes from base on
}

// NewTree returns the empty tree.
func NewTree() *Tree { return &Tree{} }

// Resume returns a tree of size leaves, given its Frontier. Whether that is the
// tree one means, its Root tells. Errors wrap ErrMalformed.
func Resume(size uint64, frontier []canonical.Digest) (*Tree, error) {
	if size > MaxSize || len(frontier) != bits.OnesCount64(size) {
		return nil, fmt.Errorf("%w tree: %d hashes for %d leaves", ErrMalformed, len(frontier), size)
	}
	t := &Tree{base: int64(size), size: int64(size), frontier: map[int64]tlog.Hash{}}
	for i, index := range frontierIndexes(int64(size)) {
		t.frontier[index] = tlog.Hash(frontier[i])
	}
	return t, nil
}

// frontierIndexes returns the stored hash indexes of the complete subtrees that
// n leaves fall into, the largest first.
func frontierIndexes(n int64) []int64 {
	var out []int64
	for start := int64(0); start < n; {
		level := 63 - bits.LeadingZeros64(uint64(n-start))
		out = append(out, tlog.StoredHashIndex(level, start>>level))
		start += 1 << level
	}
	return out
}

// Size is the number of leaves, Base the number of those it was resumed at.
func (t *Tree) Size() uint64 { return uint64(t.size) }

// Base is the number of leaves of which nothing more can be proven.
func (t *Tree) Base() uint64 { return uint64(t.base) }

var errNotHeld = errors.New("a hash below the base of the tree")

// ReadHashes implements tlog.HashReader.
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	first := tlog.StoredHashCount(t.base)
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= first && index-first < int64(len(t.hashes)) {
			out[i] = t.hashes[index-first]
			continue
		}
		h, ok := t.frontier[index]
		if !ok {
			return nil, errNotHeld
		}
		out[i] = h
	}
	return out, nil
}

// Append adds a leaf: the hash of an entry.
func (t *Tree) Append(leaf canonical.Digest) {
	hashes, err := tlog.StoredHashes(t.size, leaf[:], t)
	if err != nil {
		panic("internal error: the edge of a tree is incomplete: " + err.Error())
	}
	t.hashes = append(t.hashes, hashes...)
	t.size++
}

// Root returns the hash of the tree as it is.
func (t *Tree) Root() canonical.Digest {
	root, err := t.RootAt(t.Size())
	if err != nil {
		panic("internal error: the edge of a tree is incomplete: " + err.Error())
	}
	return root
}

// RootAt returns the hash that the tree had with size leaves, from Base on.
func (t *Tree) RootAt(size uint64) (canonical.Digest, error) {
	if size > t.Size() || size < t.Base() {
		return canonical.Digest{}, fmt.Errorf("root at %d of a tree from %d to %d leaves", size, t.base, t.size)
	}
	h, err := tlog.TreeHash(int64(size), t)
	return canonical.Digest(h), err
}

// Frontier returns what Resume needs: the hashes of the complete subtrees, the
// largest first.
func (t *Tree) Frontier() []canonical.Digest {
	hashes, err := t.ReadHashes(frontierIndexes(t.size))
	if err != nil {
		panic("internal error: the edge of a tree is incomplete: " + err.Error())
	}
	return digests(hashes)
}

// Consistency proves that the tree continues the one of old leaves, from Base on
// (RFC 6962 §2.1.2). The proof from the empty tree is empty.
func (t *Tree) Consistency(old uint64) ([]canonical.Digest, error) {
	if old == 0 {
		return []canonical.Digest{}, nil
	}
	p, err := tlog.ProveTree(t.size, int64(old), t)
	if err != nil {
		return nil, fmt.Errorf("consistency of %d leaves with %d: %w", t.size, old, err)
	}
	return digests(p), nil
}

// CheckConsistency verifies what Consistency returned. Errors wrap ErrFork.
func CheckConsistency(proof []canonical.Digest, size uint64, root canonical.Digest, old uint64, oldRoot canonical.Digest) error {
	if old == 0 && len(proof) == 0 {
		return nil
	}
	if err := tlog.CheckTree(hashes(proof), int64(size), tlog.Hash(root), int64(old), tlog.Hash(oldRoot)); err != nil {
		return fmt.Errorf("%w: consistency of %d leaves with %d: %w", ErrFork, size, old, err)
	}
	return nil
}

// Inclusion proves that leaf number index, from Base on, stands in the tree (RFC 6962 §2.1.1).
func (t *Tree) Inclusion(index uint64) ([]canonical.Digest, error) {
	p, err := tlog.ProveRecord(t.size, int64(index), t)
	if err != nil {
		return nil, fmt.Errorf("inclusion of leaf %d: %w", index, err)
	}
	return digests(p), nil
}

// CheckInclusion verifies what Inclusion returned. Errors wrap ErrFork.
func CheckInclusion(proof []canonical.Digest, c Checkpoint, index uint64, leaf canonical.Digest) error {
	if err := tlog.CheckRecord(hashes(proof), int64(c.Size), tlog.Hash(c.Root), int64(index), tlog.RecordHash(leaf[:])); err != nil {
		return fmt.Errorf("%w: inclusion of leaf %d in %d: %w", ErrFork, index, c.Size, err)
	}
	return nil
}

func digests(hs []tlog.Hash) []canonical.Digest {
	out := make([]canonical.Digest, len(hs))
	for i, h := range hs {
		out[i] = canonical.Digest(h)
	}
	return out
}

func hashes(ds []canonical.Digest) []tlog.Hash {
	out := make([]tlog.Hash, len(ds))
	for i, d := range ds {
		out[i] = tlog.Hash(d)
	}
	return out
}
