package local

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// use returns a key that lives.
func (k *Keeper) use(ctx context.Context, ref custody.KeyRef) (*keyfile.Key, error) {
	d, err := k.session(ctx)
	if err != nil {
		return nil, err
	}
	defer d.close()
	e, err := k.find(d, ref)
	if err != nil {
		return nil, err
	}
	if e.dead() {
		return nil, custody.ErrDestroyed
	}
	return e.key, nil
}

// Wrap implements [custody.Keeper].
func (k *Keeper) Wrap(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	if err := custody.CheckRef(ref); err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	if err := custody.CheckSecret(secret); err != nil {
		return nil, fmt.Errorf("wrap under key %s: %w", ref, err)
	}
	key, err := k.use(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("wrap under key %s: %w", ref, err)
	}
	wrapped, err := key.Wrap(context, secret)
	if err != nil {
		return nil, fmt.Errorf("wrap under key %s: %w", ref, err)
	}
	return wrapped, nil
}

// Unwrap implements [custody.Keeper].
func (k *Keeper) Unwrap(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	if err := custody.CheckRef(ref); err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	key, err := k.use(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("unwrap under key %s: %w", ref, err)
	}
	secret, err := key.Unwrap(context, wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap under key %s: %w", ref, err)
	}
	return secret, nil
}
