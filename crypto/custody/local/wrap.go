package local

import (
	"context"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// living returns what finds a key that lives.
func (k *Keeper) living(ctx context.Context) func(custody.KeyRef) (*keyfile.Key, error) {
	return func(ref custody.KeyRef) (*keyfile.Key, error) {
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
}

// Wrap implements [custody.Keeper].
func (k *Keeper) Wrap(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	return keyfile.Wrap(k.living(ctx), ref, context, secret)
}

// Unwrap implements [custody.Keeper].
func (k *Keeper) Unwrap(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	return keyfile.Unwrap(k.living(ctx), ref, context, wrapped)
}
