package vault

import (
	"context"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// Plugins returns the binaries of plugins that the journal pins.
func (v *Vault) Plugins(ctx context.Context) ([]state.Plugin, string, error) {
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, "", err
	}
	v.keep()
	return v.State().Plugins(), v.freshness(entry.VaultJournal), nil
}

// PluginAdd pins a binary of a plugin, beside those that are pinned, or gives
// the one that is other variables. Errors: state.ErrBadName for a name of what is
// built in.
func (v *Vault) PluginAdd(ctx context.Context, p state.Plugin) (*Change, error) {
	if err := state.CheckPluginName(p.Name); err != nil {
		return nil, err
	}
	p.Remove = false
	return v.administer(ctx, state.KindPlugin, func(st *state.Vault) (any, error) {
		if slices.ContainsFunc(st.Plugins(), func(have state.Plugin) bool { return samePlugin(have, p) && slices.Equal(have.Env, p.Env) }) {
			return nil, nil
		}
		return p, nil
	})
}

// PluginRemove withdraws a binary of a plugin; digest may be zero where only one
// is pinned. Errors: ErrNotFound; ErrConflict where several are.
func (v *Vault) PluginRemove(ctx context.Context, name string, digest canonical.Digest) (*Change, error) {
	return v.administer(ctx, state.KindPlugin, func(st *state.Vault) (any, error) {
		pinned := slices.DeleteFunc(st.Plugins(), func(p state.Plugin) bool {
			return p.Name != name || !digest.IsZero() && p.SHA256 != digest
		})
		switch {
		case len(pinned) == 0:
			return nil, fmt.Errorf("no such binary of a plugin %s is pinned: %w", name, ErrNotFound)
		case len(pinned) > 1:
			return nil, fmt.Errorf("%d binaries of the plugin %s are pinned, and one entry withdraws one: %w", len(pinned), name, ErrConflict)
		}
		p := pinned[0]
		p.Env, p.Remove = nil, true
		return p, nil
	})
}

func samePlugin(a, b state.Plugin) bool {
	return a.Name == b.Name && a.Platform == b.Platform && a.SHA256 == b.SHA256
}
