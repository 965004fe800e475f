package vault

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

const (
	// notePrefix is where cosigned checkpoints stand (vault/FORMAT.md §9.4).
	notePrefix = "wit/"
	// maxNotes bounds the cosigned checkpoints that a reader looks at.
	maxNotes = 64
	// maxNote bounds such an object, in bytes.
	maxNote = 256 << 10
	// DefaultStaleness is how old a cosignature may be for results to be called
	// witnessed, where nobody asks for less.
	DefaultStaleness = 7 * 24 * time.Hour
)

// storedNote is an object below notePrefix: the note of a checkpoint, cosigned
// by somebody. Nothing of it is verified.
type storedNote struct {
	key  string
	seq  uint64 // of the checkpoint's entry
	note string // "": the object does not open
}

// noteKey names the object that holds a cosigned note of a checkpoint.
func noteKey(seq uint64, note string) string {
	return notePrefix + journal.Slot(seq) + "-" + canonical.Sum([]byte(note)).String()[:32]
}

// readNotes reads the newest cosigned checkpoints, at most limit of them; 0: all.
func (v *Vault) readNotes(ctx context.Context, limit int) ([]storedNote, error) {
	var out []storedNote
	for info, err := range v.session.Store.List(ctx, notePrefix, backends.ListOptions{Limit: limit}) {
		if err != nil {
			return nil, fmt.Errorf("listing cosigned checkpoints: %w", err)
		}
		slot, _, ok := strings.Cut(strings.TrimPrefix(info.Key, notePrefix), "-")
		n, err := strconv.ParseUint(slot, 16, 64)
		if !ok || err != nil {
			continue // not ours; audit verify names it
		}
		out = append(out, storedNote{key: info.Key, seq: math.MaxUint64 - n})
	}
	for i := range out {
		sealed, err := ledger.ReadObject(ctx, v.session.Store, out[i].key, maxNote)
		if errors.Is(err, backends.NotExist) || errors.Is(err, backends.Corrupt) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading a cosigned checkpoint: %w", err)
		}
		if plain, err := v.ledger.OpenMetadata(ctx, sealed); err == nil && noteKey(out[i].seq, string(plain)) == out[i].key {
			out[i].note = string(plain)
		}
	}
	return out, nil
}

// witnesses are the keys that this client trusts: its own choice, and policy's.
func (v *Vault) witnesses() []*checkpoint.Witness {
	out := slices.Clone(v.config.Witnesses)
	for _, text := range v.State().Policy.Witnesses {
		if w, err := checkpoint.ParseWitness(text); err == nil {
			out = append(out, w)
		}
	}
	return out
}

// vouched is the newest checkpoint that a trusted witness has cosigned.
type vouched struct {
	checkpoint checkpoint.Checkpoint
	by         checkpoint.Cosignature // the latest
	note       string                 // with all cosignatures
	heads      map[string]entry.Position
}

// findWitness looks for the newest cosigned checkpoint and holds everything that
// is read from now on to it. Errors: ErrRolledBack if the vault's journal is not
// what a trusted witness has cosigned; those of the store.
func (v *Vault) findWitness(ctx context.Context) error {
	known := v.witnesses()
	if len(known) == 0 {
		return nil
	}
	notes, err := v.readNotes(ctx, maxNotes)
	if err != nil {
		return err
	}
	var best *vouched
	var seq uint64
	for _, n := range notes {
		if n.note == "" || best != nil && n.seq != seq {
			continue
		}
		c, sigs, err := checkpoint.OpenNote(n.note, known)
		if err != nil || c.Genesis != v.Genesis() {
			continue // not by a witness of this client, or junk
		}
		for _, s := range sigs {
			if best == nil || s.Time.After(best.by.Time) {
				best, seq = &vouched{checkpoint: c, by: s, note: n.note}, n.seq
			}
		}
	}
	if best == nil {
		return nil
	}
	at, err := v.checkCosigned(ctx, best.checkpoint)
	if err != nil {
		return fmt.Errorf("cosigned by %s at %s: %w", best.by.Witness.Name(), best.by.Time.Format(time.RFC3339), err)
	}
	best.heads = map[string]entry.Position{}
	for _, h := range at.heads {
		best.heads[h.Journal] = h.Position()
	}
	v.vouched, v.session.Vouched = best, best.heads
	return nil
}

// checkCosigned finds the checkpoint c in the vault's journal. Errors:
// ErrRolledBack if the journal has none of that size, or another.
func (v *Vault) checkCosigned(ctx context.Context, c checkpoint.Checkpoint) (*logAt, error) {
	made := v.State().Checkpoints
	i := slices.IndexFunc(made, func(m state.CheckpointMade) bool { return m.Size == c.Size })
	if c.Genesis != v.Genesis() {
		return nil, fmt.Errorf("the checkpoint is of the vault %s, not %s: %w", c.Genesis, v.Genesis(), ErrRolledBack)
	}
	if i < 0 {
		return nil, fmt.Errorf("the vault's journal has no checkpoint of %d entries: %w", c.Size, ErrRolledBack)
	}
	at, err := v.at(ctx, made[i])
	if err != nil {
		return nil, err
	}
	if at.checkpoint != c {
		return nil, fmt.Errorf("the vault's checkpoint of %d entries has the root %s, not %s: %w", c.Size, at.checkpoint.Root, c.Root, ErrRolledBack)
	}
	return at, nil
}

// freshUntil returns how long a cosignature of t is fresh, in which words, and
// whether content must not be read without one.
func (v *Vault) freshUntil(t time.Time) (until time.Time, limit string, required bool) {
	until, limit = t.Add(DefaultStaleness), DefaultStaleness.String()
	if own := v.config.MaxStaleness; own > 0 {
		until, limit, required = t.Add(own), own.String(), true
	}
	if p := v.State().Policy.MaxStaleness; !p.IsZero() {
		if end := p.After(entry.At(t)).Time; !required || end.Before(until) {
			until, limit, required = end, p.String(), true
		}
	}
	return until, limit, required
}

// witnessed reports whether a fresh cosignature covers a journal.
func (v *Vault) witnessed(id string) bool {
	if v.vouched == nil {
		return false
	}
	_, covered := v.vouched.heads[id]
	until, _, _ := v.freshUntil(v.vouched.by.Time)
	return covered && !v.config.Now().After(until)
}

// checkFresh refuses what is older than policy, or whoever runs this, allows.
func (v *Vault) checkFresh(id, what string) error {
	_, limit, required := v.freshUntil(v.config.Now())
	if !required || v.witnessed(id) {
		return nil
	}
	switch {
	case v.vouched == nil:
		return fmt.Errorf("%s: no checkpoint by a known witness, and one of the last %s is required: %w", what, limit, ErrRefused)
	case v.vouched.heads[id] == entry.Position{}:
		return fmt.Errorf("%s: it is newer than the newest cosigned checkpoint, of %s: %w", what, v.vouched.by.Time.Format(time.RFC3339), ErrRefused)
	}
	return fmt.Errorf("%s: the newest cosigned checkpoint is of %s, and one of the last %s is required: %w", what, v.vouched.by.Time.Format(time.RFC3339), limit, ErrRefused)
}

// MergeResult is a cosigned checkpoint that the vault has now.
type MergeResult struct {
	Checkpoint   checkpoint.Checkpoint
	Cosignatures []checkpoint.Cosignature
	Changed      bool
	Key          string
	Freshness    string
}

// Merge takes a cosigned export back: from now on clients that trust the witness
// see it. The cosignature must be by a witness that policy names or the caller
// trusts, and the checkpoint one of this vault. Errors:
// checkpoint.ErrUnknownWitness, checkpoint.ErrMalformed; ErrRolledBack if the
// vault is not what was cosigned; those of the store.
func (v *Vault) Merge(ctx context.Context, x *checkpoint.Export) (*MergeResult, error) {
	c, sigs, err := checkpoint.OpenNote(x.Note, v.witnesses())
	if err != nil {
		return nil, err
	}
	if _, err := v.checkCosigned(ctx, c); err != nil {
		return nil, err
	}
	made := v.State().Checkpoints
	seq := made[slices.IndexFunc(made, func(m state.CheckpointMade) bool { return m.Size == c.Size })].At.Seq
	r := &MergeResult{Checkpoint: c, Cosignatures: sigs, Key: noteKey(seq, x.Note)}
	notes, err := v.readNotes(ctx, 0)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(notes, func(n storedNote) bool { return n.key == r.Key && n.note != "" }) {
		sealed, err := v.ledger.SealMetadata([]byte(x.Note))
		if err != nil {
			return nil, err
		}
		if err := v.putOnce(ctx, r.Key, sealed); err != nil {
			return nil, fmt.Errorf("storing a cosigned checkpoint: %w", err)
		}
		r.Changed = true
	}
	if err := v.findWitness(ctx); err != nil {
		return nil, err
	}
	r.Freshness = v.freshness(entry.VaultJournal)
	return r, nil
}
