package keyfile

import (
	"fmt"

	"github.com/aivault/aivault/crypto/custody"
)

// Wrap is a keeper's Wrap, given what finds a key that lives.
func Wrap(find func(custody.KeyRef) (*Key, error), ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	if err := custody.CheckRef(ref); err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	if err := custody.CheckSecret(secret); err != nil {
		return nil, fmt.Errorf("wrap under key %s: %w", ref, err)
	}
	key, err := find(ref)
	if err != nil {
		return nil, fmt.Errorf("wrap under key %s: %w", ref, err)
	}
	wrapped, err := key.Wrap(context, secret)
	if err != nil {
		return nil, fmt.Errorf("wrap under key %s: %w", ref, err)
	}
	return wrapped, nil
}

// Unwrap is a keeper's Unwrap, given what finds a key that lives.
func Unwrap(find func(custody.KeyRef) (*Key, error), ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	if err := custody.CheckRef(ref); err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	key, err := find(ref)
	if err != nil {
		return nil, fmt.Errorf("unwrap under key %s: %w", ref, err)
	}
	secret, err := key.Unwrap(context, wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap under key %s: %w", ref, err)
	}
	return secret, nil
}
