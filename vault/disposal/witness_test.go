package disposal

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
)

// witnessLog is a vault's log as a witness sees it: the entries of a bundle's journals.
type witnessLog struct {
	tree  *checkpoint.Tree
	index map[string]map[uint64]uint64 // of leaves, by journal and number
}

func logOf(t *testing.T, x *bundle) *witnessLog {
	t.Helper()
	l := &witnessLog{tree: checkpoint.NewTree(), index: map[string]map[uint64]uint64{}}
	add := func(journal string, entries [][]byte) {
		l.index[journal] = map[uint64]uint64{}
		for _, raw := range entries {
			e, err := entry.Parse(raw)
			must(t, err)
			l.index[journal][e.Seq] = l.tree.Size()
			l.tree.Append(e.Hash)
		}
	}
	for _, a := range x.Artefacts {
		add(a.ID.String(), a.Entries)
	}
	add(entry.VaultJournal, x.Vault)
	return l
}

// prove proves an entry of each journal.
func (l *witnessLog) prove(t *testing.T, genesis canonical.Digest, key *checkpoint.Key, seqs map[string]uint64) *checkpoint.Proof {
	t.Helper()
	note, err := key.Cosign(checkpoint.Checkpoint{Genesis: genesis, Size: l.tree.Size(), Root: l.tree.Root()}, time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	must(t, err)
	p := &checkpoint.Proof{Note: note}
	for journal, seq := range seqs {
		x, err := l.tree.Include(journal, seq, l.index[journal][seq])
		must(t, err)
		p.Entries = append(p.Entries, x)
	}
	return p
}

func TestJudgeWitness(t *testing.T) {
	o, r, b := certified(t)
	var x bundle
	must(t, canonical.Unmarshal(b, &x))
	l := logOf(t, &x)
	key, err := checkpoint.NewKey("witness.example/1")
	must(t, err)
	other, err := checkpoint.NewKey("other.example/1")
	must(t, err)
	c, err := o.desk("cust").Certificate(t.Context(), r.ID)
	must(t, err)
	at := c.Details.Artefacts[0]
	aid := at.ID.String()
	whole := map[string]uint64{entry.VaultJournal: 3, aid: at.Head.Seq}
	good := func() *checkpoint.Proof { return l.prove(t, o.Genesis, key, whole) }

	d := o.desk("cust")
	d.Proof = func(context.Context, []canonical.Digest) (*checkpoint.Proof, error) { return good(), nil }
	b, err = d.Bundle(t.Context(), r.ID)
	must(t, err)
	if j, err := Judge(b, o.Genesis, key.Witness()); err != nil || len(j.Witnesses) != 1 || !j.Witnesses[0].Trusted || j.Witnesses[0].Name != "witness.example/1" {
		t.Errorf("%+v, %v", j, err)
	}
	for _, w := range []*checkpoint.Witness{nil, other.Witness()} {
		var trusted []*checkpoint.Witness
		if w != nil {
			trusted = append(trusted, w)
		}
		if j, err := Judge(b, o.Genesis, trusted...); err != nil || len(j.Witnesses) > 0 {
			t.Errorf("who does not know the witness: %+v, %v", j, err)
		}
	}
	d.Proof = func(context.Context, []canonical.Digest) (*checkpoint.Proof, error) {
		return l.prove(t, o.Genesis, key, map[string]uint64{entry.VaultJournal: 3, aid: at.Head.Seq - 1}), nil
	}
	b, err = d.Bundle(t.Context(), r.ID)
	must(t, err)
	if j, err := Judge(b, o.Genesis, key.Witness()); err != nil || len(j.Witnesses) > 0 {
		t.Errorf("a checkpoint that is older than the certificate: %+v, %v", j, err)
	}
	gone := errors.New("storage is gone")
	d.Proof = func(context.Context, []canonical.Digest) (*checkpoint.Proof, error) { return nil, gone }
	if _, err := d.Bundle(t.Context(), r.ID); !errors.Is(err, gone) {
		t.Errorf("a proof that cannot be made: %v", err)
	}

	for name, change := range map[string]func() *checkpoint.Proof{
		"older than the certificate": func() *checkpoint.Proof {
			return l.prove(t, o.Genesis, key, map[string]uint64{entry.VaultJournal: 3, aid: at.Head.Seq - 1})
		},
		"without the vault":   func() *checkpoint.Proof { return l.prove(t, o.Genesis, key, map[string]uint64{aid: at.Head.Seq}) },
		"of another vault":    func() *checkpoint.Proof { return l.prove(t, canonical.Sum(nil), key, whole) },
		"another leaf":        func() *checkpoint.Proof { p := good(); p.Entries[0].Index++; return p },
		"a leaf beyond":       func() *checkpoint.Proof { p := good(); p.Entries[0].Index = 1 << 62; return p },
		"an entry beyond":     func() *checkpoint.Proof { p := good(); p.Entries[0].Seq = 1 << 40; return p },
		"another path":        func() *checkpoint.Proof { p := good(); p.Entries[1].Path[0][0] ^= 1; return p },
		"a shorter path":      func() *checkpoint.Proof { p := good(); p.Entries[1].Path = p.Entries[1].Path[1:]; return p },
		"a note that is none": func() *checkpoint.Proof { p := good(); p.Note = "witnessed!"; return p },
		"a note that is forged": func() *checkpoint.Proof {
			p := good()
			p.Note = p.Note[:len(p.Note)-12] + "AAAAAAAA==\n"
			return p
		},
	} {
		x.Witness = change()
		forged, err := canonical.Marshal(x)
		must(t, err)
		if j, err := Judge(forged, o.Genesis, key.Witness()); err == nil {
			t.Errorf("%s: %+v", name, j.Witnesses)
		}
	}
}
