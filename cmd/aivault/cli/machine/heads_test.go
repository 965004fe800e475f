package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

func position(seq uint64) entry.Position {
	return entry.Position{Seq: seq, Hash: canonical.Sum(fmt.Append(nil, seq))}
}

// heads returns the memory of one vault, and what it warned of and failed with.
func heads(dir string) (h *Heads, warned, failed *error) {
	warned, failed = new(error), new(error)
	h = New(dir).Heads(canonical.Sum([]byte("vault")), func(err error) { *warned = err }, func(err error) { *failed = err })
	return h, warned, failed
}

// TestHighestStays remembers heads in any order from several processes.
func TestHighestStays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		seqs := rapid.SliceOfN(rapid.Uint64Range(0, 40), 1, 12).Draw(rt, "seqs")
		var highest uint64
		for i, seq := range seqs {
			h, _, failed := heads(dir)
			h.Remember("vault", position(seq))
			highest = max(highest, seq)
			if p, ok := h.Head("vault"); !ok || p != position(highest) || *failed != nil {
				rt.Fatalf("after %v: %v, %t, %v", seqs[:i+1], p, ok, *failed)
			}
		}
	})
}

func TestHeadsAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			h := New(dir).Heads(canonical.Sum([]byte("vault")), func(err error) { t.Error(err) }, func(err error) { t.Error(err) })
			for j := range 20 {
				h.Remember("vault", position(uint64(j*8+i)))
				if p, ok := h.Head("vault"); !ok || p.Seq < uint64(j*8+i) {
					t.Errorf("%d, %t after %d", p.Seq, ok, j*8+i)
				}
			}
		})
	}
	wg.Wait()
	h, _, _ := heads(dir)
	if p, _ := h.Head("vault"); p != position(159) {
		t.Errorf("in the end %d", p.Seq)
	}
}

func TestOneFileStays(t *testing.T) {
	dir := t.TempDir()
	h, _, _ := heads(dir)
	for seq := range uint64(5) {
		h.Remember("ab", position(seq))
	}
	if files, err := os.ReadDir(filepath.Join(h.dir, "ab")); err != nil || len(files) != 1 {
		t.Errorf("%d files, %v", len(files), err)
	}
	if _, ok := h.Head("cd"); ok {
		t.Error("a journal never seen has a head")
	}
}

func TestFork(t *testing.T) {
	dir := t.TempDir()
	h, _, failed := heads(dir)
	h.Remember("vault", position(3))
	other := entry.Position{Seq: 3, Hash: canonical.Sum([]byte("other"))}
	h.Remember("vault", other)
	if !errors.Is(*failed, journal.ErrRolledBack) {
		t.Errorf("remembering another entry 3: %v", *failed)
	}
	// As two processes leave it that were shown two views at once.
	if err := os.WriteFile(filepath.Join(h.dir, "vault", fileName(other)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, _, failed = heads(dir)
	if p, ok := h.Head("vault"); !ok || p.Seq != entry.MaxSeq || !errors.Is(*failed, journal.ErrRolledBack) {
		t.Errorf("head of a fork: %v, %t, %v", p, ok, *failed)
	}
}

func TestDamagedHeads(t *testing.T) {
	good := fileName(position(7))
	for _, name := range []string{"x", good + "0", "0" + good, good[:20], "ffffffffffffffff" + good[16:], "." + good} {
		dir := t.TempDir()
		h, _, failed := heads(dir)
		h.Remember("vault", position(7))
		if err := os.WriteFile(filepath.Join(h.dir, "vault", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if p, ok := h.Head("vault"); !ok || p.Seq != entry.MaxSeq || !errors.Is(*failed, ErrDamaged) {
			t.Errorf("%q: %v, %t, %v", name, p, ok, *failed)
		}
		*failed = nil
		if h.Remember("vault", position(8)); !errors.Is(*failed, ErrDamaged) {
			t.Errorf("%q: Remember says %v", name, *failed)
		}
	}
}

func TestHostileJournalID(t *testing.T) {
	h, _, failed := heads(t.TempDir())
	for _, id := range []string{"", "..", "a/b", `a\b`, "A"} {
		*failed = nil
		if h.Remember(id, position(1)); *failed == nil {
			t.Errorf("%q was remembered", id)
		}
	}
}
