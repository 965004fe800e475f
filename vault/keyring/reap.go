package keyring

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/state"
)

// ReapIntents destroys the keys of intents that can never get a candidate any
// more: an activation stands since, and no valid candidate. Such a key has
// wrapped nothing. It returns how many keys it destroyed.
func (r *Ring) ReapIntents(ctx context.Context) (int, error) {
	a, err := r.refresh(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, ep := range a.Epochs {
		if !r.abandoned(a, ep) {
			continue
		}
		for _, pinned := range ep.Custody.Keepers {
			if r.Left(pinned.Instance) {
				continue
			}
			k, err := r.keeper(pinned.Instance)
			if err != nil {
				return n, err
			}
			m, err := reap(ctx, k, ep.Label)
			if n += m; err != nil {
				return n, fmt.Errorf("destroying the key of the abandoned epoch %s at keeper %s: %w", ep.EID, pinned.Instance, err)
			}
		}
	}
	return n, nil
}

func (r *Ring) abandoned(a *state.Artefact, ep *state.Epoch) bool {
	if f := r.variant.abandoned; f != nil {
		return f(a, ep)
	}
	return ep.Abandoned()
}

// reap destroys the living keys of a label, of which there is at most one.
func reap(ctx context.Context, k custody.Keeper, label string) (int, error) {
	n := 0
	for ref, err := range k.List(ctx, label) {
		if err != nil {
			return n, err
		}
		s, err := k.Status(ctx, ref)
		if err != nil {
			return n, err
		}
		if s.State != custody.Alive || s.Label != label {
			continue
		}
		if _, err := k.Destroy(ctx, ref); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
