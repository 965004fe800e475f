package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// RegisterResult is what Register did.
type RegisterResult struct {
	Artefact  string
	Changed   bool // false: it was registered already
	Head      ledger.Pin
	Freshness string
}

// Register brings an artefact into being, readable by those whom the vault's
// rules name, and by the member who registers it if they are a developer for it.
// An artefact that is registered is left as it is; one whose registration was
// broken off is completed. Errors: ErrRefused if nobody could read it.
func (v *Vault) Register(ctx context.Context, name string) (*RegisterResult, error) {
	l, a, err := v.fold(ctx, name)
	if err == nil && a.Current != nil {
		return &RegisterResult{Artefact: name, Head: pinOf(a), Freshness: v.freshness(a.ID.String())}, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err := v.register(ctx, l, name, nil); err != nil {
		return nil, err
	}
	a = l.State()
	v.keep()
	return &RegisterResult{Artefact: name, Changed: true, Head: pinOf(a), Freshness: v.freshness(a.ID.String())}, nil
}

// register seals the first generation to readers besides those that Register names.
func (v *Vault) register(ctx context.Context, l *ledger.Artefact, name string, readers []keyring.Reader) error {
	self := v.Self()
	if self == nil {
		return fmt.Errorf("registering %s: %w: this identity is no member's", name, ErrNotPermitted)
	}
	if err := v.State().May(v.session.Author(), state.KindRegister, name, v.session.Time()); err != nil {
		return fmt.Errorf("registering %s: %w", name, err)
	}
	readers = v.firstReaders(self, name, readers)
	if len(readers) == 0 {
		return fmt.Errorf("registering %s: %w: no rule covers it, and an artefact that nobody can read is not made", name, ErrRefused)
	}
	keepers, err := v.connect(ctx)
	if err != nil {
		return fmt.Errorf("registering %s needs the keeper: %w", name, err)
	}
	r := v.ring(l, v.config.Store, keepers)
	if err := r.Register(ctx, name, readers, canonical.NewID()); err != nil {
		return fmt.Errorf("registering %s: %w", name, err)
	}
	return nil
}

// firstReaders adds to readers those whom rules cover, and a developer who registers.
func (v *Vault) firstReaders(self *state.Member, name string, readers []keyring.Reader) []keyring.Reader {
	st := v.State()
	names := st.Covered(name)
	if self.Has(state.Developer, name) {
		names = append(names, self.Name)
	}
	for _, n := range names {
		rd := keyring.Reader{Name: n, Recipient: st.Recipient(n, v.session.Time())}
		if rd.Recipient != "" && !slices.Contains(readers, rd) {
			readers = append(readers, rd)
		}
	}
	return readers
}

func pinOf(a *state.Artefact) ledger.Pin {
	return ledger.Pin{Journal: a.ID.String(), Position: a.Head}
}

// ring returns the keys of an artefact. What rotates or destroys takes the store
// itself; what only reads may take the cached one.
func (v *Vault) ring(l *ledger.Artefact, store backends.Store, keepers map[string]custody.Keeper) *keyring.Ring {
	return &keyring.Ring{Ledger: l, Vault: v.ledger, Store: store, Keepers: keepers, Unreached: v.unreached, Warn: v.config.Warn, Others: v.others, Jobs: v.config.Jobs}
}
