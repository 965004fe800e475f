package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// eachArtefact folds every registered artefact, in the order of their ids.
func (v *Vault) eachArtefact(ctx context.Context, do func(*ledger.Artefact, *state.Artefact) error) error {
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		l := v.ledger.Artefact(id)
		a, err := l.Fold(ctx)
		if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, ErrRolledBack) {
			continue
		}
		if err != nil {
			return fmt.Errorf("artefact %s: %w", id, err)
		}
		if a.Name == "" {
			continue
		}
		if err := do(l, a); err != nil {
			return err
		}
	}
	return nil
}
