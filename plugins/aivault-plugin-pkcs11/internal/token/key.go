//go:build linux && cgo

package token

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/aivault/aivault/crypto/custody"
)

const (
	wrapVersion = 1
	wrapDomain  = "aivault-pkcs11/1"
	nonceSize   = 12
	tagSize     = 16
	headSize    = 1 + idSize + nonceSize
)

// Create makes a key.
func (k *Keeper) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	if err := custody.CheckLabel(label); err != nil {
		return "", err
	}
	err := k.with(ctx, func(s session) error {
		f, err := s.look(label)
		if err == nil {
			err = f.alive(label)
		}
		if err != nil {
			return err
		}
		if len(f.keys) > 0 {
			_, err := f.usable(label)
			return err
		}
		h, _, err := s.generate(label, true, s.copyable)
		if err != nil {
			return failed("making a key", err)
		}
		// The label may have died since it was looked at: then this key has come too
		// late to wrap anything.
		if f, err = s.look(label); err == nil {
			if err = f.alive(label); err != nil {
				s.module.DestroyObject(s.handle, h)
			}
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return refOf(label), nil
}

// Wrap seals a secret with a key.
func (k *Keeper) Wrap(ctx context.Context, ref custody.KeyRef, bound [32]byte, secret []byte) ([]byte, error) {
	label, err := labelOf(ref)
	if err != nil {
		return nil, err
	}
	if err := custody.CheckSecret(secret); err != nil {
		return nil, err
	}
	var out []byte
	err = k.with(ctx, func(s session) error {
		u, err := s.living(label)
		if err != nil {
			return err
		}
		out, err = s.seal(u, bound, secret)
		return s.explain(label, "wrapping", err)
	})
	return out, err
}

// Unwrap opens what Wrap sealed.
func (k *Keeper) Unwrap(ctx context.Context, ref custody.KeyRef, bound [32]byte, wrapped []byte) ([]byte, error) {
	label, err := labelOf(ref)
	if err != nil {
		return nil, err
	}
	var out []byte
	err = k.with(ctx, func(s session) error {
		f, err := s.look(label)
		if err == nil {
			err = f.alive(label)
		}
		if err == nil {
			_, err = f.usable(label)
		}
		if err != nil {
			return err
		}
		if len(wrapped) <= headSize+tagSize || len(wrapped) > headSize+tagSize+custody.MaxSecret || wrapped[0] != wrapVersion {
			return fmt.Errorf("key %s: %w", label, custody.ErrMismatch)
		}
		for _, u := range f.keys {
			if u.fit && bytes.Equal(u.id, wrapped[1:1+idSize]) {
				out, err = s.unseal(u, bound, wrapped)
				if err == nil || lost(err) {
					return err
				}
				// Tokens have many words for a wrong tag, general failure among them. If the
				// key works, it was that.
				if works := s.works(u); works != nil {
					return s.explain(label, "unwrapping", works)
				}
				return fmt.Errorf("key %s: %w", label, custody.ErrMismatch)
			}
		}
		return fmt.Errorf("key %s: %w", label, custody.ErrMismatch)
	})
	return out, err
}

// living returns the key of a label that is not dead.
func (s session) living(label string) (key, error) {
	f, err := s.look(label)
	if err == nil {
		err = f.alive(label)
	}
	if err != nil {
		return key{}, err
	}
	return f.usable(label)
}

// explain gives an error of the library its kind; where the key died meanwhile,
// that is it.
func (s session) explain(label, what string, err error) error {
	if err == nil || lost(err) {
		return err
	}
	if f, looked := s.look(label); looked == nil && f.alive(label) != nil {
		return f.alive(label)
	}
	return failed(what, err)
}

func aad(id []byte, bound [32]byte) []byte {
	return append(append([]byte(wrapDomain), id...), bound[:]...)
}

// gcm calls do with AES-GCM as the library takes it.
func gcm(nonce, data []byte, do func([]*pkcs11.Mechanism) ([]byte, error)) ([]byte, error) {
	params := pkcs11.NewGCMParams(nonce, data, 8*tagSize)
	defer params.Free()
	return do([]*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)})
}

func (s session) seal(k key, bound [32]byte, secret []byte) ([]byte, error) {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	sealed, err := gcm(nonce, aad(k.id, bound), func(m []*pkcs11.Mechanism) ([]byte, error) {
		if err := s.module.EncryptInit(s.handle, m, k.handle); err != nil {
			return nil, err
		}
		return s.module.Encrypt(s.handle, secret)
	})
	if err != nil {
		return nil, err
	}
	if len(sealed) != len(secret)+tagSize {
		return nil, fmt.Errorf("the token seals %d bytes as %d: %w", len(secret), len(sealed), custody.ErrUnfit)
	}
	out := append([]byte{wrapVersion}, k.id...)
	return append(append(out, nonce...), sealed...), nil
}

func (s session) unseal(k key, bound [32]byte, wrapped []byte) ([]byte, error) {
	return gcm(wrapped[1+idSize:headSize], aad(k.id, bound), func(m []*pkcs11.Mechanism) ([]byte, error) {
		if err := s.module.DecryptInit(s.handle, m, k.handle); err != nil {
			return nil, err
		}
		return s.module.Decrypt(s.handle, wrapped[headSize:])
	})
}

// works tries a key: what it seals it opens, and not under another context.
func (s session) works(k key) error {
	text := []byte("trial")
	sealed, err := s.seal(k, [32]byte{}, text)
	if err != nil {
		return err
	}
	back, err := s.unseal(k, [32]byte{}, sealed)
	if err != nil {
		return err
	}
	if _, err := s.unseal(k, [32]byte{1}, sealed); err == nil || !bytes.Equal(back, text) {
		return fmt.Errorf("the token does not bind associated data: %w", custody.ErrUnfit)
	}
	return nil
}

// Destroy puts the death of a label on record in the token, destroys its keys,
// and reads back that none is left.
func (k *Keeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	out := custody.Destruction{Ref: ref, State: custody.Destroyed}
	label, err := labelOf(ref)
	if err != nil {
		return out, err
	}
	err = k.with(ctx, func(s session) error {
		f, err := s.look(label)
		if err != nil {
			return err
		}
		if f.died.IsZero() {
			if len(f.keys) == 0 {
				return fmt.Errorf("key %s: %w", label, custody.ErrNotFound)
			}
			if err := s.bury(label); err != nil {
				return err
			}
		}
		for _, u := range f.keys {
			if err := s.module.DestroyObject(s.handle, u.handle); err != nil && !gone(err) {
				return failed("destroying a key", err)
			}
		}
		if f, err = s.look(label); err != nil {
			return err
		}
		if len(f.keys) > 0 {
			return fmt.Errorf("the token still has %d objects of key %s: %w", len(f.keys), label, custody.ErrUnavailable)
		}
		out.At = f.died
		out.Evidence = fmt.Appendf(nil, "token %s: C_DestroyObject; C_FindObjects finds no key with CKA_LABEL %s%s", k.profile.Instance, labelPrefix, label)
		return nil
	})
	return out, err
}

// bury puts on record that a label is dead.
func (s session) bury(label string) error {
	_, err := s.module.CreateObject(s.handle, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_DATA), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_MODIFIABLE, false), pkcs11.NewAttribute(pkcs11.CKA_APPLICATION, application),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, labelPrefix+label), pkcs11.NewAttribute(pkcs11.CKA_VALUE, s.now().UTC().Format(time.RFC3339Nano)),
	})
	if err != nil {
		return failed("putting a key's death on record", err)
	}
	return nil
}
