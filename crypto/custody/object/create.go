package object

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// Create implements [custody.Keeper]. It stores a key under a name of its own
// and then, in the pointer, decides with all others whose key the label has. The
// losers erase theirs, which never wrapped anything.
func (k *Keeper) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	fail := func(err error) (custody.KeyRef, error) {
		return "", fmt.Errorf("create key %s: %w", label, err)
	}
	if err := custody.CheckLabel(label); err != nil {
		return fail(err)
	}
	for range attempts {
		e, err := k.look(ctx, label)
		switch {
		case err != nil:
			return fail(err)
		case e.dead:
			return fail(custody.ErrDestroyed)
		case e.damaged != nil:
			return fail(e.damaged)
		case e.exists():
			return e.ref, nil
		}
		if err := k.propose(ctx, label); err != nil {
			return fail(err)
		}
	}
	return fail(fmt.Errorf("no clear answer to %d puts: %w", attempts, custody.ErrUnavailable))
}

// propose puts a fresh key and the pointer to it, unless the answer to the first
// put is unclear. That request may still arrive, even after the key's
// destruction, so its key is never used.
func (k *Keeper) propose(ctx context.Context, label string) error {
	key, err := keyfile.NewKey(label)
	if err != nil {
		return err
	}
	b, name := key.Encode(), secretPrefix+string(key.Ref())
	defer clear(b)
	_, err = k.store.Put(ctx, name, b)
	if errors.Is(err, backends.Exists) || errors.Is(err, backends.Indeterminate) {
		if ctx.Err() != nil {
			return storeError(ctx, err)
		}
		return nil
	}
	if err != nil {
		return storeError(ctx, err)
	}
	won, err := k.settle(ctx, pointerPrefix+label, keyfile.EncodePointer(key.Ref()))
	if err != nil {
		return err // the pointer may still arrive, and then needs the key
	}
	if string(won) != string(keyfile.EncodePointer(key.Ref())) {
		// If it stays, Destroy sweeps it.
		_, _ = k.store.Erase(ctx, name)
	}
	return nil
}
