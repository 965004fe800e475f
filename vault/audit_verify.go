package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// AuditVoid is an entry that verifies and does not count.
type AuditVoid struct {
	Journal string // "vault", or the artefact's name
	state.Void
}

// AuditSkip is an entry that passes over objects which do not verify.
type AuditSkip struct {
	Journal string
	Seq     uint64
	By      string
	Time    time.Time
	Slots   []entry.SkippedSlot
	Reason  string
}

// AuditCheckpoint is a checkpoint of the vault's log.
type AuditCheckpoint struct {
	checkpoint.Checkpoint
	Seq          uint64 // of its entry in the vault's journal
	By           string
	Time         time.Time
	Cosignatures []checkpoint.Cosignature // of known witnesses
}

// AuditReport is what AuditVerify found. It is complete: verification does not
// stop at the first problem.
type AuditReport struct {
	OK          bool
	RolledBack  bool // a problem is that history is another than one seen or cosigned before
	Journals    int
	Entries     int
	Problems    []Problem
	Voids       []AuditVoid
	Skips       []AuditSkip
	Checkpoints []AuditCheckpoint
	Unknown     []string // cosigned checkpoints by nobody this client knows, and junk
	Freshness   string
}

// audit is one run of AuditVerify.
type audit struct {
	verification
	report AuditReport
	trail  trail
}

// AuditVerify proves the whole trail: every object of every journal, chains,
// signatures and copies; what is void, by whom and by which rule; what was
// skipped; that every checkpoint is one of these journals; and what witnesses
// have cosigned. against, which may be nil, is an export, perhaps a cosigned one,
// from before: the vault must be a continuation of it. Nothing comes from this
// machine's cache.
//
// What does not verify is in the report. An error means that something could not
// be looked at, or that against is malformed.
func AuditVerify(ctx context.Context, c Config, against *checkpoint.Export) (*AuditReport, error) {
	a := &audit{verification: verification{known: map[string]bool{}}}
	v, err := open(ctx, uncached(c))
	if v == nil {
		return a.end(err)
	}
	a.vault, a.trail = v, trail{vault: v, journals: map[string][]entry.Position{}}
	if err == nil {
		err = v.findWitness(ctx)
	}
	if err := a.note(blocked(err), err); err != nil {
		return nil, err
	}
	if log := v.ledger.Log(); log != nil {
		if err := a.journal(ctx, v.ledger.Journal(ctx), log, entry.VaultJournal, entry.VaultJournal, v.ledger.Voids()); err != nil {
			return nil, err
		}
	}
	ids, err := v.artefactIDs(ctx)
	if err := a.note("a/", err); err != nil {
		return nil, err
	}
	for _, id := range ids {
		l := v.ledger.Artefact(id)
		s, err := l.Fold(ctx)
		if errors.Is(err, journal.ErrEmpty) && !broken(err) {
			continue
		}
		if err := a.note(ledger.ArtefactPrefix(id)+"log/", err); err != nil {
			return nil, err
		}
		if log := l.Log(); log != nil {
			s = l.State()
			name := s.Name
			if name == "" {
				name = id.String()
			}
			if err := a.journal(ctx, l.Journal(ctx), log, id.String(), name, s.Voids); err != nil {
				return nil, err
			}
		}
	}
	if err := a.checkTree(ctx); err != nil {
		return nil, err
	}
	if against != nil {
		if err := a.compareExport(ctx, against); err != nil {
			return nil, err
		}
	}
	a.report.Freshness = v.freshness(entry.VaultJournal)
	return a.end(nil)
}

// note takes an error that says that stored bytes do not verify for a problem;
// others it returns.
func (a *audit) note(object string, err error) error {
	switch {
	case err == nil:
		return nil
	case !broken(err):
		return err
	}
	a.report.RolledBack = a.report.RolledBack || errors.Is(err, ErrRolledBack)
	a.problem(Problem{Object: object, Why: err.Error()})
	return nil
}

func (a *audit) end(err error) (*AuditReport, error) {
	if err := a.note(blocked(err), err); err != nil {
		return nil, err
	}
	done := a.finish()
	a.report.OK, a.report.Problems = done.OK, done.Problems
	return &a.report, nil
}

// journal verifies every object of a journal and takes down what must be told of it.
func (a *audit) journal(ctx context.Context, j *journal.Journal, log *journal.Log, id, name string, voids []state.Void) error {
	a.report.Journals++
	a.report.Entries += len(log.Entries)
	a.trail.add(id, log)
	for _, vd := range voids {
		a.report.Voids = append(a.report.Voids, AuditVoid{Journal: name, Void: vd})
	}
	for _, e := range log.Entries {
		slots, err := e.Skipped()
		if err != nil {
			return err
		}
		if len(slots) > 0 {
			reason := line(e, func(b entry.Skip) string { return b.Reason })
			a.report.Skips = append(a.report.Skips, AuditSkip{Journal: name, Seq: e.Seq, By: a.vault.author(e), Time: e.Time.Time, Slots: slots, Reason: reason})
		}
	}
	return a.verifySlots(ctx, j, log, name)
}

// checkTree sees that every checkpoint is one of the journals, and reads what
// witnesses have cosigned.
func (a *audit) checkTree(ctx context.Context) error {
	v := a.vault
	at := &logAt{tree: checkpoint.NewTree()}
	for _, c := range v.State().Checkpoints {
		h, err := v.readHeads(ctx, c)
		if err == nil {
			var leaves []checkpoint.Leaves
			if leaves, err = a.trail.between(at.heads, h.Heads); err == nil {
				at.append(leaves)
				if !slices.Equal(at.tree.Frontier(), h.Frontier) {
					err = fmt.Errorf("%w: the journals are not those that checkpoint %d was made of", ErrRolledBack, c.At.Seq)
				}
			}
		}
		if err := a.note(c.Heads.Key, err); err != nil {
			return err
		}
		if err != nil { // go on from what the checkpoint says
			next, err := v.at(ctx, c)
			if err != nil {
				if broken(err) {
					return nil // noted; without it later ones cannot be rebuilt
				}
				return err
			}
			at = next
		} else {
			at.heads = h.Heads
			at.commit(v.Genesis(), c.At)
		}
		a.report.Checkpoints = append(a.report.Checkpoints, AuditCheckpoint{Checkpoint: at.checkpoint, Seq: c.At.Seq, By: c.By, Time: c.Time.Time})
	}
	return a.cosignatures(ctx)
}

func (a *audit) cosignatures(ctx context.Context) error {
	v := a.vault
	notes, err := v.readNotes(ctx, 0)
	if err != nil {
		return err
	}
	known := v.witnesses()
	for _, n := range notes {
		c, sigs, err := checkpoint.OpenNote(n.note, known)
		if n.note == "" || err != nil {
			a.report.Unknown = append(a.report.Unknown, n.key)
			continue
		}
		i := slices.IndexFunc(a.report.Checkpoints, func(m AuditCheckpoint) bool { return m.Checkpoint == c })
		if i < 0 {
			err := fmt.Errorf("%s has cosigned a checkpoint of %d entries that is none of this vault: %w", sigs[0].Witness.Name(), c.Size, ErrRolledBack)
			if err := a.note(n.key, err); err != nil {
				return err
			}
			continue
		}
		a.report.Checkpoints[i].Cosignatures = append(a.report.Checkpoints[i].Cosignatures, sigs...)
	}
	return nil
}

// compareExport sees that the vault continues what an export shows.
func (a *audit) compareExport(ctx context.Context, x *checkpoint.Export) error {
	shown, err := x.Verify()
	if err != nil {
		return err
	}
	_, err = a.vault.checkCosigned(ctx, shown.Checkpoint)
	if err == nil {
		_, err = a.trail.between(shown.Heads.Heads, a.trail.heads())
	}
	if err != nil && backends.KindOf(err) == 0 {
		err = fmt.Errorf("the vault does not continue the checkpoint in the file: %w", err)
	}
	return a.note("log/", err)
}
