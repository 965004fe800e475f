package vault

import (
	"context"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
)

// proveInclusion proves that the vault's journal and those of some artefacts
// stand in the newest checkpoint that a witness whom this client trusts has
// cosigned, each up to the last entry that it covers; one that it does not cover
// is left out. Without such a checkpoint the proof is nil. It reads every journal
// of the vault, and takes some 64 bytes of memory for each entry.
func (v *Vault) proveInclusion(ctx context.Context, artefacts []canonical.Digest) (*checkpoint.Proof, error) {
	if v.vouched == nil {
		return nil, nil
	}
	t, err := v.readTrail(ctx)
	if err != nil {
		return nil, err
	}
	t.add(entry.VaultJournal, v.ledger.Log())
	l := &logAt{tree: checkpoint.NewTree()}
	last := map[string]uint64{} // leaf of each journal's last entry
	for _, c := range v.State().Checkpoints {
		h, err := v.readHeads(ctx, c)
		if err != nil {
			return nil, err
		}
		batch, err := t.between(l.heads, h.Heads)
		if err != nil {
			return nil, err
		}
		for _, leaves := range batch {
			l.append([]checkpoint.Leaves{leaves})
			last[leaves.Journal] = l.tree.Size() - 1
		}
		l.heads = h.Heads
		l.commit(v.Genesis(), c.At)
		last[entry.VaultJournal] = l.tree.Size() - 1
		if l.checkpoint.Size >= v.vouched.checkpoint.Size {
			break
		}
	}
	if l.checkpoint != v.vouched.checkpoint {
		return nil, ErrRolledBack
	}
	p := &checkpoint.Proof{Note: v.vouched.note, Entries: []checkpoint.Inclusion{}}
	journals := []string{entry.VaultJournal}
	for _, id := range artefacts {
		journals = append(journals, id.String())
	}
	for _, id := range journals {
		index, covered := last[id]
		if !covered {
			continue
		}
		x, err := l.tree.Include(id, headOf(l.heads, id).Seq, index)
		if err != nil {
			return nil, err
		}
		p.Entries = append(p.Entries, x)
	}
	return p, nil
}

// headOf returns a journal's head, which is there.
func headOf(heads []checkpoint.Head, journal string) checkpoint.Head {
	h, _ := checkpoint.Heads{Heads: heads}.Find(journal)
	return h
}
