package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/local"
	"github.com/aivault/aivault/crypto/custody/object"
	"github.com/aivault/aivault/vault/state"
)

// custodyPrefix stands before the AWS variables of a keeper's storage: of the
// first that is named AIVAULT_CUSTODY_, of the second AIVAULT_CUSTODY_2_.
func custodyPrefix(i int) string {
	if i == 0 {
		return "AIVAULT_CUSTODY_"
	}
	return fmt.Sprintf("AIVAULT_CUSTODY_%d_", i+1)
}

// custodySpec says where this machine reaches the keepers of a vault: --custody,
// else what it remembers, else for a vault in a directory this user's own keeper.
func (r *run) custodySpec(p place) (naming.Custody, error) {
	switch {
	case r.set.custody != "":
		return naming.ParseCustody(r.set.custody)
	case p.seen && p.known.Custody != "":
		return naming.ParseCustody(p.known.Custody)
	case p.at.Dir != "" && configDir() != "":
		return naming.Custody{Mode: state.AnyOf, Keepers: []naming.Keeper{{Local: below(configDir(), "keeper")}}}, nil
	}
	return naming.Custody{}, hint(usage("where this machine reaches the vault's keeper is not known: %w", custody.ErrUnavailable), "name it with --custody SPEC, or for good with aivault join --custody SPEC")
}

// keepers connects to the keepers of a vault, whose journal pins plugins: those
// that it reaches, and why it does not reach the others.
func (r *run) keepers(ctx context.Context, p place, pinned []state.Plugin) ([]custody.Keeper, error) {
	spec, err := r.custodySpec(p)
	if err != nil {
		return nil, err
	}
	return r.openKeepers(ctx, spec, 0, pinned, false)
}

// openKeepers connects to keepers, of which the first is the one of a number in
// the order that custodyPrefix knows. With create one that is not there is made.
func (r *run) openKeepers(ctx context.Context, spec naming.Custody, first int, pins []state.Plugin, create bool) ([]custody.Keeper, error) {
	var out []custody.Keeper
	var missing []error
	for i, k := range spec.Keepers {
		keeper, err := r.openKeeper(ctx, k, first+i, pins, create)
		switch {
		case err == nil:
			out = append(out, keeper)
		case len(spec.Keepers) > 1:
			missing = append(missing, fmt.Errorf("keeper %s: %w", k.Label(), err))
		default:
			missing = append(missing, err)
		}
	}
	return out, errors.Join(missing...)
}

func (r *run) openKeeper(ctx context.Context, k naming.Keeper, number int, pins []state.Plugin, create bool) (custody.Keeper, error) {
	switch {
	case k.Plugin.Name != "":
		return r.openPluginKeeper(ctx, k.Plugin, pins, create)
	case k.Store == nil && create:
		return asKeeper(local.Init(k.Local, r.sys.now))
	case k.Store == nil:
		return asKeeper(local.Open(k.Local, r.sys.now))
	}
	store, err := r.openStore(ctx, *k.Store, custodyPrefix(number), create)
	if err != nil {
		return nil, fmt.Errorf("the keeper's store: %w", err)
	}
	if create {
		return asKeeper(object.Init(ctx, store))
	}
	return asKeeper(object.Open(ctx, store))
}

// asKeeper makes an interface of what an implementation opened.
func asKeeper[K custody.Keeper](k K, err error) (custody.Keeper, error) {
	if err != nil {
		return nil, err
	}
	return k, nil
}
