package ledger

import (
	"context"

	"github.com/aivault/aivault/vault/journal"
)

// Journal returns the vault's journal for a closer look at its slots.
func (v *Vault) Journal(ctx context.Context) *journal.Journal {
	v.mu.Lock()
	defer v.mu.Unlock()
	j := v.journal
	j.Open = func(sealed []byte) ([]byte, error) { return v.meta.openSlot(ctx, sealed) }
	return &j
}

// Journal returns the artefact's journal for a closer look at its slots.
func (a *Artefact) Journal(ctx context.Context) *journal.Journal {
	a.ctx, a.learned = ctx, false
	j := a.journal
	return &j
}
