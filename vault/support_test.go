package vault_test

import (
	"context"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

var bg = context.Background()

// integrityErrors are those that end in exit code 13 or 17.
var integrityErrors = []error{vault.ErrIntegrity, vault.ErrJunk, vault.ErrRolledBack, journal.ErrUnverifiable, state.ErrUnverifiable, backends.Corrupt}
