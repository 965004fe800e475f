//go:build linux

package tpm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/aivault/aivault/crypto/custody"
)

const (
	refPrefix   = "tpm-"
	wrapVersion = 1
	wrapDomain  = "aivault-tpm-key/1"
)

func refOf(label string) custody.KeyRef { return custody.KeyRef(refPrefix + label) }

// labelOf returns the label of a ref. ErrInvalid, or ErrNotFound for one that no
// TPM keeper issues.
func labelOf(ref custody.KeyRef) (string, error) {
	if err := custody.CheckRef(ref); err != nil {
		return "", err
	}
	label, ours := strings.CutPrefix(string(ref), refPrefix)
	if !ours || custody.CheckLabel(label) != nil {
		return "", fmt.Errorf("key %s: %w", ref, custody.ErrNotFound)
	}
	return label, nil
}

// handleBefore is what define takes to begin with the first of the range.
func (c *chip) handleBefore() tpm2.TPMHandle { return tpm2.TPMHandle(c.first + indices - 1) }

// living returns a key that is not dead.
func (v *view) living(label string) (*tableKey, error) {
	if v.table.dead(label) != nil {
		return nil, fmt.Errorf("key %s: %w", label, custody.ErrDestroyed)
	}
	if k := v.table.key(label); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("key %s: %w", label, custody.ErrNotFound)
}

// use is with, for a keeper that is there.
func (k *Keeper) use(ctx context.Context, do func(*view) error) error {
	return k.with(ctx, func(v *view) error {
		switch {
		case v.table == nil:
			return fmt.Errorf("the TPM's NV index of this keeper is gone: %w", custody.ErrCorrupt)
		case v.table.Instance != k.id:
			return fmt.Errorf("the keeper %s is there now, it was %s: %w", v.table.Instance, k.id, custody.ErrUnavailable)
		}
		return do(v)
	})
}

// Create makes a key.
func (k *Keeper) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	if err := custody.CheckLabel(label); err != nil {
		return "", err
	}
	err := k.use(ctx, func(v *view) error {
		_, err := v.living(label)
		if !errors.Is(err, custody.ErrNotFound) {
			return err
		}
		key := make([]byte, keySize)
		rand.Read(key)
		v.table.Keys = append(v.table.Keys, tableKey{label, v.now().UTC(), key})
		return v.commit()
	})
	if err != nil {
		return "", err
	}
	return refOf(label), nil
}

func wrapAAD(bound [32]byte) []byte { return append([]byte(wrapDomain), bound[:]...) }

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
	err = k.use(ctx, func(v *view) error {
		key, err := v.living(label)
		if err == nil {
			out = append([]byte{wrapVersion}, sealWith(key.Key, wrapAAD(bound), secret)...)
		}
		return err
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
	err = k.use(ctx, func(v *view) error {
		key, err := v.living(label)
		if err != nil {
			return err
		}
		if len(wrapped) == 0 || wrapped[0] != wrapVersion {
			return fmt.Errorf("key %s: %w", label, custody.ErrMismatch)
		}
		if out, err = openWith(key.Key, wrapAAD(bound), wrapped[1:]); err != nil {
			return fmt.Errorf("key %s: %w", label, custody.ErrMismatch)
		}
		return nil
	})
	return out, err
}

// Destroy replaces the key-encryption key by one that knows nothing of the key,
// and the index with it. It takes the owner's authorisation.
func (k *Keeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	out := custody.Destruction{Ref: ref, State: custody.Destroyed}
	label, err := labelOf(ref)
	if err != nil {
		return out, err
	}
	err = k.use(ctx, func(v *view) error {
		if _, err := v.living(label); errors.Is(err, custody.ErrNotFound) {
			return err
		}
		if v.table.dead(label) == nil {
			if err := v.tidy(); err != nil { // of earlier ones
				return err
			}
			if err := v.bury(label); err != nil {
				return err
			}
		}
		if err := v.tidy(); err != nil {
			return err
		}
		d := v.table.dead(label)
		out.At = d.At
		out.Evidence = fmt.Appendf(nil, "%s: NV index %#x, with the key-encryption key of generation %d, was overwritten and undefined; TPM2_NV_ReadPublic answers TPM_RC_HANDLE", k.id, d.Index, d.Generation-1)
		return nil
	})
	return out, err
}

// bury makes a table without a key the present one, under a new key-encryption
// key in another index. The old index is stale from then on.
func (v *view) bury(label string) error {
	old := v.at
	v.anchor.generation++
	rand.Read(v.anchor.key[:])
	key := v.table.key(label)
	clear(key.Key)
	*key = v.table.Keys[len(v.table.Keys)-1]
	v.table.Keys = v.table.Keys[:len(v.table.Keys)-1]
	v.table.Dead = append(v.table.Dead, tableDead{label, v.now().UTC(), v.anchor.generation, uint32(old.handle)})
	path, err := v.putTable()
	if err != nil {
		return err
	}
	fresh, err := v.chip.define(old.handle, v.slots)
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	if err := v.chip.write(fresh, v.anchor.encode()); err != nil {
		return err // whether it was written is not known: the next call sees
	}
	v.at, v.stale, v.older = fresh, append(v.stale, old), true
	v.sweep(path)
	return nil
}

// tidy ends the indices that are not the present one.
func (v *view) tidy() error {
	for len(v.stale) > 0 {
		if err := v.chip.undefine(v.stale[0]); err != nil {
			return err
		}
		v.stale = v.stale[1:]
	}
	v.older = false
	return nil
}

// Status tells a key's state.
func (k *Keeper) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	out := custody.KeyStatus{Ref: ref}
	label, err := labelOf(ref)
	if err != nil {
		if custody.CheckRef(ref) == nil {
			return out, ctx.Err()
		}
		return out, err
	}
	err = k.use(ctx, func(v *view) error {
		d, key := v.table.dead(label), v.table.key(label)
		switch {
		case d != nil && d.Generation == v.anchor.generation && v.older:
			out.Label, out.State = label, custody.Pending
		case d != nil:
			out.Label, out.State, out.Since = label, custody.Destroyed, d.At
		case key != nil:
			out.Label, out.State, out.Since = label, custody.Alive, key.Born
		}
		return nil
	})
	return out, err
}

// List yields every key whose label starts with prefix, the dead included.
func (k *Keeper) List(ctx context.Context, prefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		if err := custody.CheckLabelPrefix(prefix); err != nil {
			yield("", err)
			return
		}
		var labels []string
		err := k.use(ctx, func(v *view) error {
			for _, key := range v.table.Keys {
				labels = append(labels, key.Label)
			}
			for _, d := range v.table.Dead {
				labels = append(labels, d.Label)
			}
			return nil
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, label := range labels {
			if strings.HasPrefix(label, prefix) && !yield(refOf(label), nil) {
				return
			}
		}
	}
}
