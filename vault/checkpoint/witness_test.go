package checkpoint_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
)

// through sends an export through its file.
func through(t testing.TB, x *checkpoint.Export) *checkpoint.Export {
	t.Helper()
	b, err := x.Marshal()
	must(t, err)
	again, err := checkpoint.ParseExport(b)
	must(t, err)
	return again
}

// cosign cosigns, and sends what the witness remembers through its file.
func cosign(t testing.TB, seen *checkpoint.Witnessed, x *checkpoint.Export, k *checkpoint.Key) (*checkpoint.Export, *checkpoint.Witnessed) {
	t.Helper()
	signed, now, err := checkpoint.Cosign(seen, through(t, x), k, noon)
	must(t, err)
	b, err := now.Marshal()
	must(t, err)
	now, err = checkpoint.ParseWitnessed(b)
	must(t, err)
	return through(t, signed), now
}

func TestWitness(t *testing.T) {
	k, l := newKey(t), newLog(t)
	l.take(map[string]int{id(1): 3, id(2): 1, entry.VaultJournal: 2}, "")
	signed, seen := cosign(t, nil, l.export(0), k)
	c, sigs, err := checkpoint.OpenNote(signed.Note, []*checkpoint.Witness{k.Witness()})
	must(t, err)
	if c.Size != 7 || len(sigs) != 1 {
		t.Errorf("%v, %v", c, sigs)
	}
	// Nothing new is cosigned again, with another time.
	again, _, err := checkpoint.Cosign(seen, signed, k, noon.Add(time.Hour))
	must(t, err)
	if _, sigs, err = checkpoint.OpenNote(again.Note, []*checkpoint.Witness{k.Witness()}); err != nil || len(sigs) != 1 || !sigs[0].Time.Equal(noon.Add(time.Hour)) {
		t.Errorf("cosigned again: %v, %v", sigs, err)
	}
	// Two checkpoints further, since the first, or since the beginning.
	l.take(map[string]int{id(1): 1}, "")
	l.take(map[string]int{id(3): 2}, "")
	for since := range 2 {
		if v, err := through(t, l.export(since)).Verify(); err != nil || v.Checkpoint.Size != 12 {
			t.Errorf("since %d: %v", since, err)
		}
		cosign(t, seen, l.export(since), k)
	}
	if _, _, err := checkpoint.Cosign(seen, l.export(2), k, noon); !errors.Is(err, checkpoint.ErrGap) {
		t.Errorf("an export that begins above: %v", err)
	}
	_, later := cosign(t, seen, l.export(1), k)
	if _, _, err := checkpoint.Cosign(later, signed, k, noon); !errors.Is(err, checkpoint.ErrOlder) {
		t.Errorf("the first export again: %v", err)
	}
}

// TestWitnessRefusesRewrites: of a history that is not the one it cosigned, in
// part or in whole, a witness cosigns nothing.
func TestWitnessRefusesRewrites(t *testing.T) {
	k, l := newKey(t), newLog(t)
	l.take(map[string]int{id(1): 3, id(2): 2}, "")
	_, seen := cosign(t, nil, l.export(0), k)

	rewritten := newLog(t)
	rewritten.take(map[string]int{id(1): 3, id(2): 2}, "other")
	rewritten.take(map[string]int{id(1): 1}, "")
	hidden := newLog(t)
	hidden.take(map[string]int{id(1): 3}, "")
	hidden.take(map[string]int{id(3): 9}, "")
	for what, bad := range map[string]*log{"rewritten": rewritten, "an artefact hidden": hidden} {
		if _, _, err := checkpoint.Cosign(seen, through(t, bad.export(0)), k, noon); !errors.Is(err, checkpoint.ErrFork) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The old tree, and then a number that it has already.
	l.heads = checkpoint.With(l.heads, checkpoint.Head{Journal: id(1), Seq: 1, Hash: leaf(1)})
	l.take(map[string]int{id(1): 2}, "other")
	x := l.export(1)
	if _, _, err := checkpoint.Cosign(seen, through(t, x), k, noon); !errors.Is(err, checkpoint.ErrFork) {
		t.Errorf("a number twice: %v", err)
	}
	// The same, with a lie about the heads of the old tree.
	x.Old.Heads = checkpoint.With(x.Old.Heads, checkpoint.Head{Journal: id(1), Seq: 1, Hash: leaf(1)})
	if _, err := x.Verify(); err != nil {
		t.Fatalf("the lie is not one: %v", err)
	}
	if _, _, err := checkpoint.Cosign(seen, through(t, x), k, noon); !errors.Is(err, checkpoint.ErrFork) {
		t.Errorf("a number twice, hidden: %v", err)
	}
	// Another vault.
	other := *seen
	c, err := seen.Checkpoint()
	must(t, err)
	c.Genesis = leaf(1)
	other.Note = c.String()
	if _, _, err := checkpoint.Cosign(&other, l.export(0), k, noon); !errors.Is(err, checkpoint.ErrFork) {
		t.Errorf("another vault: %v", err)
	}
}

// TestChangedExports: whatever is changed in an export, it is refused.
func TestChangedExports(t *testing.T) {
	l := newLog(t)
	l.take(map[string]int{id(1): 3, id(2): 2}, "")
	l.take(map[string]int{id(1): 2, id(3): 1}, "")
	for what, change := range map[string]func(*checkpoint.Export){
		"format":           func(x *checkpoint.Export) { x.Format = "aivault-export/2" },
		"size":             func(x *checkpoint.Export) { x.Note = checkpoint.Checkpoint{Genesis: genesis, Size: 9}.String() },
		"no note":          func(x *checkpoint.Export) { x.Note = "" },
		"no entry":         func(x *checkpoint.Export) { x.Entry = nil },
		"another's entry":  func(x *checkpoint.Export) { x.Entry = l.made[0].entry.Raw },
		"proof":            func(x *checkpoint.Export) { x.Proof[0] = leaf(1) },
		"no proof":         func(x *checkpoint.Export) { x.Proof = nil },
		"edge":             func(x *checkpoint.Export) { x.Old.Frontier[0] = leaf(1) },
		"old size":         func(x *checkpoint.Export) { x.Old.Size++ },
		"old heads":        func(x *checkpoint.Export) { x.Old.Heads[0].Seq = entry.MaxSeq },
		"old heads twice":  func(x *checkpoint.Export) { x.Old.Heads = append(x.Old.Heads, x.Old.Heads...) },
		"leaf":             func(x *checkpoint.Export) { x.Leaves[0].Entries[0].Hash = leaf(1) },
		"leaf missing":     func(x *checkpoint.Export) { x.Leaves[0].Entries = x.Leaves[0].Entries[1:] },
		"leaves missing":   func(x *checkpoint.Export) { x.Leaves[0].Entries = nil },
		"leaves reordered": func(x *checkpoint.Export) { x.Leaves[0], x.Leaves[1] = x.Leaves[1], x.Leaves[0] },
		"last leaf":        func(x *checkpoint.Export) { x.Leaves = x.Leaves[:len(x.Leaves)-1] },
		"journal":          func(x *checkpoint.Export) { x.Leaves[0].Journal = "x" },
	} {
		x := through(t, l.export(1))
		change(x)
		b, err := x.Marshal()
		must(t, err)
		again, err := checkpoint.ParseExport(b)
		if err == nil {
			_, err = again.Verify()
		}
		if !errors.Is(err, checkpoint.ErrMalformed) && !errors.Is(err, checkpoint.ErrFork) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzParseExport: what is accepted is spelt in one way, and Verify neither
// fails in another way than it says nor accepts another last leaf.
func FuzzParseExport(f *testing.F) {
	l := newLog(f)
	l.take(map[string]int{id(1): 2}, "")
	l.take(map[string]int{id(2): 1}, "")
	for since := range 2 {
		b, err := l.export(since).Marshal()
		must(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := checkpoint.ParseExport(b)
		if err != nil {
			if !errors.Is(err, checkpoint.ErrMalformed) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if again, err := x.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q is read as %q", b, again)
		}
		v, err := x.Verify()
		if err != nil {
			if !errors.Is(err, checkpoint.ErrMalformed) && !errors.Is(err, checkpoint.ErrFork) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if h, ok := v.Heads.Find(entry.VaultJournal); !ok || h.Hash != canonical.Sum(x.Entry) {
			t.Fatalf("the last leaf is not the entry: %v", h)
		}
	})
}

func FuzzParseWitnessed(f *testing.F) {
	l := newLog(f)
	l.take(map[string]int{id(1): 2}, "")
	_, seen := cosign(f, nil, l.export(0), newKey(f))
	b, err := seen.Marshal()
	must(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := checkpoint.ParseWitnessed(b)
		if err != nil {
			return
		}
		if again, err := w.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q is read as %q", b, again)
		}
	})
}
