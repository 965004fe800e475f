package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Skip passes over the unverifiable objects right above the head, see
// vault/FORMAT.md §4.5. The ledger may be one that Open returned with an error.
// Errors: journal.ErrRolledBack if a head that this client remembers, or was
// given, is among what would be passed over; journal.ErrUnverifiable if readers
// would refuse the entry; those of Append.
func (v *Vault) Skip(ctx context.Context, slots []entry.SkippedSlot, reason string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := errors.Join(checkSlots(v.log, slots), v.check(entry.VaultJournal, v.log)); err != nil {
		return err
	}
	return v.append(ctx, entry.KindSkip, entry.Skip{Slots: slots, Reason: reason}, canonical.NewID(), len(slots))
}

// Skip passes over the unverifiable objects right above what Fold could read.
// Errors as Vault.Skip.
func (a *Artefact) Skip(ctx context.Context, slots []entry.SkippedSlot, reason string) error {
	log := a.log
	if log == nil {
		log = &journal.Log{}
	}
	if err := errors.Join(checkSlots(log, slots), a.vault.check(a.journal.ID, log)); err != nil {
		return err
	}
	return a.append(ctx, entry.KindSkip, entry.Skip{Slots: slots, Reason: reason}, canonical.NewID(), len(slots))
}

// checkSlots refuses slots that are not, one by one, those right above the head.
func checkSlots(log *journal.Log, slots []entry.SkippedSlot) error {
	if len(slots) == 0 || len(slots) > entry.MaxSkipped {
		return fmt.Errorf("%d slots: a skip entry names 1 to %d", len(slots), entry.MaxSkipped)
	}
	next := uint64(0)
	if len(log.Entries) > 0 {
		next = log.Head().Seq + 1
	}
	for i, s := range slots {
		if want := next + uint64(i); s.Seq != want {
			return fmt.Errorf("slot %d where %d is next after the last good entry", s.Seq, want)
		}
	}
	return nil
}

// checkSkipped sees to it that a skip entry e, right after prev, passes over
// junk only. An object whose newest entry a member has signed is none, unless it
// stands right above prev and cannot follow it: of one further up nobody can
// tell what it followed.
func checkSkipped(ctx context.Context, j *journal.Journal, prev, e *entry.Entry, signed func(*entry.Entry) error) error {
	skipped, err := e.Skipped()
	if err != nil {
		return fmt.Errorf("%w: skip entry %d: %w", state.ErrUnverifiable, e.Seq, err)
	}
	for i, slot := range skipped {
		there, _, err := j.Object(ctx, slot.Seq)
		if journal.IsJunk(err) {
			continue
		}
		if err != nil {
			return err
		}
		passed := there[len(there)-1]
		err = signed(passed)
		if journal.IsJunk(err) || errors.Is(err, state.ErrUnverifiable) {
			continue
		}
		if err != nil {
			return err
		}
		if i > 0 || j.Follows(passed, prev) == nil {
			return fmt.Errorf("%w: entry %d passes over entry %d, which a member has signed", state.ErrUnverifiable, e.Seq, slot.Seq)
		}
	}
	return nil
}
