package checkpoint_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

var (
	genesis = canonical.Sum([]byte("genesis"))
	noon    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func leaf(i int) canonical.Digest { return canonical.Sum(fmt.Append(nil, "leaf ", i)) }

// rfcRoot is the Merkle tree hash as RFC 6962 §2.1 defines it.
func rfcRoot(leaves []canonical.Digest) canonical.Digest {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0][:]...))
	default:
		k := 1 << (bits.Len(uint(n-1)) - 1)
		l, r := rfcRoot(leaves[:k]), rfcRoot(leaves[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, l[:], r[:]))
	}
}

// log is a vault's log as a client keeps it: batches that end in a checkpoint entry.
type log struct {
	t     testing.TB
	key   *dsse.PrivateKey
	tree  *checkpoint.Tree
	heads []checkpoint.Head
	made  []made
}

// made is the log at a checkpoint, and the leaves since the one before.
type made struct {
	heads  checkpoint.Heads // after the checkpoint entry
	entry  *entry.Entry
	leaves []checkpoint.Leaves
}

func newLog(t testing.TB) *log {
	key, err := dsse.GenerateKey()
	must(t, err)
	return &log{t: t, key: key, tree: checkpoint.NewTree()}
}

// id names an artefact's journal.
func id(i int) string { return canonical.Sum(fmt.Append(nil, "artefact ", i)).String() }

// take appends n entries of each journal, and then a checkpoint entry.
func (l *log) take(n map[string]int, salt string) made {
	l.t.Helper()
	var m made
	for _, journal := range sortedKeys(n) {
		next := uint64(0)
		if i := slices.IndexFunc(l.heads, func(h checkpoint.Head) bool { return h.Journal == journal }); i >= 0 {
			next = l.heads[i].Seq + 1
		}
		s := checkpoint.Leaves{Journal: journal}
		for range n[journal] {
			h := checkpoint.Head{Journal: journal, Seq: next, Hash: canonical.Sum(fmt.Append(nil, journal, next, salt))}
			s.Entries, l.heads, next = append(s.Entries, h.Position()), checkpoint.With(l.heads, h), next+1
			l.tree.Append(h.Hash)
		}
		if len(s.Entries) > 0 {
			m.leaves = append(m.leaves, s)
		}
	}
	seq := uint64(1)
	if i := slices.IndexFunc(l.heads, func(h checkpoint.Head) bool { return h.Journal == entry.VaultJournal }); i >= 0 {
		seq = l.heads[i].Seq + 1
	}
	author, err := canonical.ParseDigest(l.key.Public().KeyID())
	must(l.t, err)
	m.entry, err = entry.Sign(context.Background(), entry.Header{Kind: state.KindCheckpoint, Format: entry.Format, Genesis: genesis, Journal: entry.VaultJournal,
		Seq: seq, Prev: leaf(1), Author: author, Time: entry.At(noon), Op: canonical.NewID()},
		state.Checkpoint{Heads: state.Object{Key: "doc/" + leaf(1).String(), SHA256: leaf(1)}, Size: l.tree.Size() + 1}, l.key)
	must(l.t, err)
	h := checkpoint.Head{Journal: entry.VaultJournal, Seq: seq, Hash: m.entry.Hash}
	m.leaves = append(m.leaves, checkpoint.Leaves{Journal: entry.VaultJournal, Entries: []entry.Position{h.Position()}})
	l.heads = checkpoint.With(l.heads, h)
	l.tree.Append(h.Hash)
	m.heads = checkpoint.NewHeads(l.tree, l.heads)
	l.made = append(l.made, m)
	return m
}

// export exports the newest checkpoint since that number of checkpoints.
func (l *log) export(since int) *checkpoint.Export {
	l.t.Helper()
	old := checkpoint.NewHeads(checkpoint.NewTree(), nil)
	if since > 0 {
		old = l.made[since-1].heads
	}
	tree, err := old.Tree()
	must(l.t, err)
	var leaves []checkpoint.Leaves
	for _, m := range l.made[since:] {
		for _, s := range m.leaves {
			leaves = append(leaves, s)
			for _, p := range s.Entries {
				tree.Append(p.Hash)
			}
		}
	}
	last := l.made[len(l.made)-1].entry
	x, err := checkpoint.NewExport(checkpoint.Checkpoint{Genesis: genesis, Size: tree.Size(), Root: tree.Root()}, tree, last, old, leaves)
	must(l.t, err)
	return x
}

func sortedKeys(m map[string]int) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func newKey(t testing.TB) *checkpoint.Key {
	t.Helper()
	k, err := checkpoint.NewKey("witness.example/1")
	must(t, err)
	return k
}
