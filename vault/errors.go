package vault

import (
	"errors"

	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// Kinds of failure, for callers to test with errors.Is. Errors of the store and
// of the keeper (backends.Kind, custody.Err…) pass through as they are.
var (
	ErrNoVault     = errors.New("no vault there")
	ErrVaultExists = errors.New("a vault is there already")
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("conflict with somebody else's change")
	ErrDestroyed   = errors.New("destroyed")
	ErrRefused     = errors.New("refused by policy, hold or quarantine")
	ErrGates       = errors.New("refused by the gates of the channel")
	ErrUnfit       = errors.New("cannot keep the promises of a vault")
	ErrEmptyMain   = errors.New("the default channel points nowhere")
)

// Those below come from deeper down and mean the same here.
var (
	ErrNotPermitted = state.ErrNotPermitted      // the role table does not allow it
	ErrNoAccess     = ledger.ErrNoAccess         // not a member, or not any more
	ErrJunk         = journal.ErrJunk            // an unverifiable object blocks a journal until a skip entry passes over it
	ErrRolledBack   = journal.ErrRolledBack      // the store shows less, or other, than this client knows
	ErrIntegrity    = transfer.ErrIntegrity      // bytes do not verify
	ErrChanged      = transfer.ErrChanged        // a file changed while it was read, or a destination during a pull
	ErrSource       = transfer.ErrSource         // a source file that cannot be stored
	ErrOverwrite    = transfer.ErrWouldOverwrite // a pull would replace what is there
	ErrNoExchange   = transfer.ErrNoExchange     // a pull's destination cannot be exchanged as a whole
	ErrNotLink      = transfer.ErrNotLink        // a pull's destination is to be a link, and is something else
	ErrName         = transfer.ErrName           // a pull's destination cannot have a file's name
	ErrNoTensor     = transfer.ErrNoTensor       // no tensor has a name that was asked for
)

// errLost says that another writer was faster: fold and decide again.
var errLost = journal.ErrLost
