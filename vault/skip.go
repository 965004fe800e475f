package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Skip appends a skip entry above unverifiable objects, so that a blocked
// journal can go on. slots must name every slot between the last good entry and
// the first free one, each with the SHA-256 of what stands there; artefact is ""
// for the vault's own journal. It returns the new head.
//
// Errors: ErrConflict if the slots are not the ones in the way, or hold other
// bytes; ErrNotPermitted.
func Skip(ctx context.Context, c Config, artefact string, slots []entry.SkippedSlot, reason string) (ledger.Pin, error) {
	v, err := open(ctx, c)
	if v == nil {
		return ledger.Pin{}, err
	}
	if artefact == "" {
		if err == nil {
			return ledger.Pin{}, fmt.Errorf("nothing blocks the vault's journal: %w", ErrConflict)
		}
		if err := v.compareSlots(ctx, "log/", slots); err != nil {
			return ledger.Pin{}, err
		}
		err := v.ledger.Skip(ctx, slots, reason)
		return v.Head(), err
	}
	if err != nil {
		return ledger.Pin{}, err
	}
	id, err := v.artefactID(artefact)
	if err != nil {
		return ledger.Pin{}, err
	}
	l := v.ledger.Artefact(id)
	_, err = l.Fold(ctx)
	if err == nil {
		return ledger.Pin{}, fmt.Errorf("nothing blocks the journal of %s: %w", artefact, ErrConflict)
	}
	if !errors.Is(err, ErrJunk) && !errors.Is(err, state.ErrUnverifiable) {
		return ledger.Pin{}, err
	}
	if err := v.compareSlots(ctx, ledger.ArtefactPrefix(id)+"log/", slots); err != nil {
		return ledger.Pin{}, err
	}
	err = l.Skip(ctx, slots, reason)
	return ledger.Pin{Journal: id.String(), Position: l.State().Head}, err
}

// compareSlots compares what the caller names with what stands there.
func (v *Vault) compareSlots(ctx context.Context, prefix string, slots []entry.SkippedSlot) error {
	for _, s := range slots {
		key := prefix + journal.Slot(s.Seq)
		b, err := ledger.ReadObject(ctx, v.config.Store, key, 0)
		if err != nil {
			return fmt.Errorf("reading the object to pass over: %w", err)
		}
		if sum := canonical.Sum(b); sum != s.SHA256 {
			return fmt.Errorf("%s holds an object with sha256 %s, not %s: %w", key, sum, s.SHA256, ErrConflict)
		}
	}
	return nil
}
