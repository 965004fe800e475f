package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// CheckpointResult is a checkpoint of a vault's log.
type CheckpointResult struct {
	Checkpoint checkpoint.Checkpoint
	At         entry.Position // of its entry in the vault's journal
	Time       time.Time
	Journals   int
	Added      uint64 // entries since the checkpoint before
	Changed    bool   // false: nothing had happened since
	Head       ledger.Pin
	Export     *checkpoint.Export
	Freshness  string
}

// Checkpoint takes every journal to its head, binds all that happened since the
// last checkpoint by one entry of the vault's journal, and exports it for a
// witness: since the log had that many entries, or, if since is negative, since
// the newest checkpoint that somebody has cosigned (vault/FORMAT.md §9.2).
//
// Errors: ErrNotPermitted; ErrNotFound if there is no checkpoint of size since;
// ErrRolledBack if the journals are not those that an earlier checkpoint names;
// those of folding.
func (v *Vault) Checkpoint(ctx context.Context, since int64) (*CheckpointResult, error) {
	if err := v.ledger.State().May(v.session.Author(), state.KindCheckpoint, "", entry.At(v.config.Now())); err != nil {
		return nil, err
	}
	for attempt := 0; ; attempt++ {
		began := v.config.Now()
		r, err := v.checkpoint(ctx, since)
		if !errors.Is(err, errLost) {
			return r, err
		}
		if err := journal.PauseAfter(ctx, attempt, v.config.Now().Sub(began)); err != nil {
			return nil, err
		}
		if err := v.ledger.Refresh(ctx); err != nil {
			return nil, err
		}
	}
}

func (v *Vault) checkpoint(ctx context.Context, since int64) (*CheckpointResult, error) {
	t, err := v.readTrail(ctx)
	if err != nil {
		return nil, err
	}
	// The vault's journal last: what the others cite must be in it.
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, err
	}
	t.add(entry.VaultJournal, v.ledger.Log())
	now := &logAt{tree: checkpoint.NewTree()}
	made := v.State().Checkpoints
	if n := len(made); n > 0 {
		if now, err = v.at(ctx, made[n-1]); err != nil {
			return nil, err
		}
	}
	heads := t.heads()
	leaves, err := t.between(now.heads, heads)
	if err != nil {
		return nil, err
	}
	before := now.tree.Size()
	changed := len(leaves) > 0
	if changed {
		now.append(leaves)
		if err := v.bind(ctx, checkpoint.NewHeads(now.tree, heads)); err != nil {
			return nil, err
		}
		t.add(entry.VaultJournal, v.ledger.Log())
		made = v.State().Checkpoints
		now.heads = heads
		now.commit(v.Genesis(), made[len(made)-1].At)
	}
	last := made[len(made)-1]
	r := &CheckpointResult{Checkpoint: now.checkpoint, At: last.At, Time: last.Time.Time, Journals: len(now.heads), Changed: changed,
		Added: now.tree.Size() - before, Head: v.Head(), Freshness: v.freshness(entry.VaultJournal)}
	if r.Export, err = v.export(ctx, t, since); err != nil {
		return nil, err
	}
	v.keep()
	return r, nil
}

// bind stores heads and writes the entry that binds them.
func (v *Vault) bind(ctx context.Context, heads checkpoint.Heads) error {
	plain, err := heads.Marshal()
	if err != nil {
		return err
	}
	sealed, err := v.ledger.SealMetadata(plain)
	if err != nil {
		return err
	}
	sum := canonical.Sum(sealed)
	object := state.Object{Key: "doc/" + sum.String(), SHA256: sum}
	if err := v.putOnce(ctx, object.Key, sealed); err != nil {
		return fmt.Errorf("storing the heads of all journals: %w", err)
	}
	return v.ledger.Append(ctx, state.KindCheckpoint, state.Checkpoint{Heads: object, Size: heads.Size + 1}, canonical.NewID())
}

// putOnce puts an object; one that stands there already with these bytes is as good.
func (v *Vault) putOnce(ctx context.Context, key string, body []byte) error {
	_, err := v.session.Store.Put(ctx, key, body)
	if err == nil || !errors.Is(err, backends.Exists) && !errors.Is(err, backends.Indeterminate) {
		return err
	}
	there, readErr := ledger.ReadObject(ctx, v.session.Store, key, 0)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	if canonical.Sum(there) != canonical.Sum(body) {
		return fmt.Errorf("%s holds other bytes: %w", key, ErrConflict)
	}
	return nil
}

// export describes how the newest checkpoint came to be, see Checkpoint.
func (v *Vault) export(ctx context.Context, t *trail, since int64) (*checkpoint.Export, error) {
	made := v.State().Checkpoints
	first, err := v.exportFrom(ctx, made, since)
	if err != nil {
		return nil, err
	}
	from := &logAt{tree: checkpoint.NewTree()}
	if first > 0 {
		if from, err = v.at(ctx, made[first-1]); err != nil {
			return nil, err
		}
	}
	old := checkpoint.NewHeads(from.tree, from.heads)
	leaves := []checkpoint.Leaves{}
	for _, c := range made[first:] {
		h, err := v.readHeads(ctx, c)
		if err != nil {
			return nil, err
		}
		batch, err := t.between(from.heads, h.Heads)
		if err != nil {
			return nil, err
		}
		from.append(batch)
		if !slices.Equal(from.tree.Frontier(), h.Frontier) {
			return nil, fmt.Errorf("%w: the journals are not those that checkpoint %d was made of", ErrRolledBack, c.At.Seq)
		}
		from.heads = h.Heads
		from.commit(v.Genesis(), c.At)
		leaves = append(append(leaves, batch...), checkpoint.Leaves{Journal: entry.VaultJournal, Entries: []entry.Position{c.At}})
	}
	last := made[len(made)-1]
	return checkpoint.NewExport(from.checkpoint, from.tree, v.ledger.Log().At(last.At.Seq), old, leaves)
}

// exportFrom returns the number of checkpoints that an export leaves out.
func (v *Vault) exportFrom(ctx context.Context, made []state.CheckpointMade, since int64) (int, error) {
	if since >= 0 {
		i, found := slices.BinarySearchFunc(made, uint64(since), func(c state.CheckpointMade, size uint64) int {
			switch {
			case c.Size < size:
				return -1
			case c.Size > size:
				return 1
			}
			return 0
		})
		switch {
		case since == 0:
			return 0, nil
		case !found:
			return 0, fmt.Errorf("no checkpoint of %d entries: %w", since, ErrNotFound)
		case i+1 == len(made):
			return i, nil // a witness that has cosigned the newest may cosign it again
		}
		return i + 1, nil
	}
	notes, err := v.readNotes(ctx, maxNotes)
	if err != nil {
		return 0, err
	}
	for _, n := range notes {
		for i, c := range made {
			if c.At.Seq == n.seq && i+1 < len(made) {
				return i + 1, nil
			}
		}
	}
	return 0, nil
}
