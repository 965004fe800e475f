package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Register brings an artefact into being: entry 0, a first generation for
// readers, a first epoch. What stands of it already, by whomever, stays as it
// is, so that it may be called again after a crash; an artefact that is
// registered is left alone, whoever its readers are.
//
// Errors: ErrNoReaders before anything is written; ErrEnded;
// state.ErrNotPermitted; those of the store and the keepers.
func (r *Ring) Register(ctx context.Context, name string, readers []Reader, op canonical.ID) error {
	if len(readers) == 0 {
		return fmt.Errorf("registering %s: %w", name, ErrNoReaders)
	}
	if err := r.Vault.Refresh(ctx); err != nil {
		return fmt.Errorf("reading the vault's journal: %w", err)
	}
	var first *state.Readers
	for attempt := 0; ; attempt++ {
		a, err := r.Ledger.Fold(ctx)
		if err != nil && (!errors.Is(err, journal.ErrEmpty) || errors.Is(err, journal.ErrRolledBack)) {
			return fmt.Errorf("reading the journal of %s: %w", name, err)
		}
		switch {
		case a.Ended:
			return ErrEnded
		case a.Name == "":
			err = r.Ledger.Append(ctx, state.KindRegister, state.Register{Name: name}, op)
		case a.Generation() == nil:
			if first == nil {
				if first, err = r.newGeneration(ctx, readers); err != nil {
					return err
				}
			}
			err = r.Ledger.Append(ctx, state.KindReaders, *first, op)
		default:
			return r.advance(ctx, op, a, func(a *state.Artefact) bool { return a.Current != nil || a.Ended })
		}
		if lost(err) {
			err = journal.Pause(ctx, attempt)
		}
		if err != nil {
			return fmt.Errorf("registering %s: %w", name, err)
		}
	}
}
