package checkpoint_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
)

// TestTree compares a tree, resumed wherever one likes, with the definition of
// RFC 6962, and checks every proof it gives.
func TestTree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 70).Draw(rt, "leaves")
		resumes := rapid.SliceOfN(rapid.IntRange(0, 70), 0, 3).Draw(rt, "resumed at")
		tree := checkpoint.NewTree()
		var leaves []canonical.Digest
		for i := range n {
			for _, at := range resumes {
				if at == i {
					var err error
					tree, err = checkpoint.Resume(tree.Size(), tree.Frontier())
					must(t, err)
				}
			}
			leaves = append(leaves, leaf(i))
			tree.Append(leaf(i))
		}
		if tree.Root() != rfcRoot(leaves) {
			rt.Fatalf("root of %d leaves: %s", n, tree.Root())
		}
		c := checkpoint.Checkpoint{Genesis: genesis, Size: tree.Size(), Root: tree.Root()}
		for old := tree.Base(); old <= tree.Size(); old++ {
			root, err := tree.RootAt(old)
			must(t, err)
			if root != rfcRoot(leaves[:old]) {
				rt.Fatalf("root at %d of %d leaves: %s", old, n, root)
			}
			if old == 0 || old == tree.Size() {
				continue
			}
			p, err := tree.Consistency(old)
			must(t, err)
			must(t, checkpoint.CheckConsistency(p, c.Size, c.Root, old, root))
			if err := checkpoint.CheckConsistency(p, c.Size, c.Root, old, leaf(-1)); !errors.Is(err, checkpoint.ErrFork) {
				rt.Fatalf("consistency with another tree of %d leaves: %v", old, err)
			}
		}
		for i := tree.Base(); i < tree.Size(); i++ {
			p, err := tree.Inclusion(i)
			must(t, err)
			must(t, checkpoint.CheckInclusion(p, c, i, leaves[i]))
			if err := checkpoint.CheckInclusion(p, c, i, leaf(-1)); !errors.Is(err, checkpoint.ErrFork) {
				rt.Fatalf("inclusion of another leaf %d: %v", i, err)
			}
		}
	})
}

func TestBelowTheBase(t *testing.T) {
	tree := checkpoint.NewTree()
	for i := range 9 {
		tree.Append(leaf(i))
	}
	tree, err := checkpoint.Resume(9, tree.Frontier())
	must(t, err)
	tree.Append(leaf(9))
	if _, err := tree.RootAt(8); err == nil {
		t.Error("a root below the base")
	}
	if _, err := tree.Consistency(5); err == nil {
		t.Error("consistency with a tree below the base")
	}
	if _, err := tree.Inclusion(3); err == nil {
		t.Error("inclusion of a leaf below the base")
	}
	if _, err := checkpoint.Resume(9, tree.Frontier()[:1]); !errors.Is(err, checkpoint.ErrMalformed) {
		t.Errorf("an edge that is too short: %v", err)
	}
}
