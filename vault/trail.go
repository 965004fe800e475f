package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// trail is where every entry of every journal stands: some 40 bytes for each.
type trail struct {
	vault    *Vault
	journals map[string][]entry.Position // by id; ascending
}

// readTrail folds every journal. Errors are those of folding; ErrRolledBack.
func (v *Vault) readTrail(ctx context.Context) (*trail, error) {
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return nil, err
	}
	t := &trail{vault: v, journals: map[string][]entry.Position{}}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(v.config.Jobs, 1))
	for _, id := range ids {
		group.Go(func() error {
			l := v.ledger.Artefact(id)
			_, err := l.Fold(ctx)
			if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, ErrRolledBack) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("artefact %s: %w", id, err)
			}
			mu.Lock()
			defer mu.Unlock()
			t.add(id.String(), l.Log())
			return nil
		})
	}
	return t, group.Wait()
}

func (t *trail) add(id string, log *journal.Log) {
	at := make([]entry.Position, len(log.Entries))
	for i, e := range log.Entries {
		at[i] = e.Position()
	}
	t.journals[id] = at
}

// heads returns the newest entry of every journal.
func (t *trail) heads() []checkpoint.Head {
	var out []checkpoint.Head
	for id, at := range t.journals {
		if n := len(at); n > 0 {
			out = append(out, checkpoint.Head{Journal: id, Seq: at[n-1].Seq, Hash: at[n-1].Hash})
		}
	}
	slices.SortFunc(out, func(a, b checkpoint.Head) int { return strings.Compare(a.Journal, b.Journal) })
	return out
}

// between returns the entries after from, up to to, in the order of the vault's
// log. Errors wrap ErrRolledBack if from or to are not heads of these journals.
func (t *trail) between(from, to []checkpoint.Head) ([]checkpoint.Leaves, error) {
	var out []checkpoint.Leaves
	seen := 0
	for _, h := range to {
		at := t.journals[h.Journal]
		last, found := findSeq(at, h.Seq)
		if !found || at[last].Hash != h.Hash {
			return nil, fmt.Errorf("%w: journal %s is not what a checkpoint says of entry %d", ErrRolledBack, h.Journal, h.Seq)
		}
		first := 0
		if i, ok := slices.BinarySearchFunc(from, h.Journal, func(h checkpoint.Head, id string) int { return strings.Compare(h.Journal, id) }); ok {
			seen++
			before, found := findSeq(at, from[i].Seq)
			if !found || at[before].Hash != from[i].Hash || before > last {
				return nil, fmt.Errorf("%w: journal %s is not what a checkpoint says of entry %d", ErrRolledBack, h.Journal, from[i].Seq)
			}
			first = before + 1
		}
		if first <= last {
			out = append(out, checkpoint.Leaves{Journal: h.Journal, Entries: at[first : last+1]})
		}
	}
	if seen != len(from) {
		return nil, fmt.Errorf("%w: a journal that a checkpoint names is not in the next one", ErrRolledBack)
	}
	return out, nil
}

func findSeq(at []entry.Position, seq uint64) (int, bool) {
	return slices.BinarySearchFunc(at, seq, func(p entry.Position, seq uint64) int {
		switch {
		case p.Seq < seq:
			return -1
		case p.Seq > seq:
			return 1
		}
		return 0
	})
}

// readHeads reads what a checkpoint entry binds: the vault's log before the
// entry itself.
func (v *Vault) readHeads(ctx context.Context, c state.CheckpointMade) (checkpoint.Heads, error) {
	damaged := func(err error) error {
		return fmt.Errorf("%w: %s, the heads of checkpoint %d: %w", journal.ErrUnverifiable, c.Heads.Key, c.At.Seq, err)
	}
	sealed, err := ledger.ReadObject(ctx, v.session.Store, c.Heads.Key, 0)
	if err != nil {
		return checkpoint.Heads{}, damaged(err)
	}
	if canonical.Sum(sealed) != c.Heads.SHA256 {
		return checkpoint.Heads{}, damaged(errors.New("its bytes are not those that the entry binds"))
	}
	plain, err := v.ledger.OpenMetadata(ctx, sealed)
	if err != nil {
		return checkpoint.Heads{}, damaged(err)
	}
	h, err := checkpoint.ParseHeads(plain)
	if err == nil && h.Size+1 != c.Size {
		err = fmt.Errorf("they are of a log of %d entries, not %d", h.Size, c.Size-1)
	}
	if err != nil {
		return checkpoint.Heads{}, damaged(err)
	}
	return h, nil
}

// logAt is the vault's log right after a checkpoint entry.
type logAt struct {
	checkpoint checkpoint.Checkpoint
	tree       *checkpoint.Tree
	heads      []checkpoint.Head
}

// at returns the log at a checkpoint, as the checkpoint says.
func (v *Vault) at(ctx context.Context, c state.CheckpointMade) (*logAt, error) {
	h, err := v.readHeads(ctx, c)
	if err != nil {
		return nil, err
	}
	tree, err := h.Tree()
	if err != nil {
		return nil, err
	}
	l := &logAt{tree: tree, heads: h.Heads}
	l.commit(v.Genesis(), c.At)
	return l, nil
}

// commit appends a checkpoint entry.
func (l *logAt) commit(genesis canonical.Digest, p entry.Position) {
	l.tree.Append(p.Hash)
	l.heads = checkpoint.With(l.heads, checkpoint.Head{Journal: entry.VaultJournal, Seq: p.Seq, Hash: p.Hash})
	l.checkpoint = checkpoint.Checkpoint{Genesis: genesis, Size: l.tree.Size(), Root: l.tree.Root()}
}

// append appends leaves.
func (l *logAt) append(leaves []checkpoint.Leaves) {
	for _, s := range leaves {
		for _, p := range s.Entries {
			l.tree.Append(p.Hash)
		}
	}
}
