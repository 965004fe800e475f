package awskms

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// maxCiphertext is the longest that KMS decrypts.
const maxCiphertext = 6144

// Create implements [custody.Keeper]. A process that ends within may leave a key
// in KMS that has no alias and has wrapped nothing; its tags tell.
func (k *Keeper) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	if err := errors.Join(ctx.Err(), custody.CheckLabel(label)); err != nil {
		return "", fmt.Errorf("create key: %w", err)
	}
	full, err := k.create(ctx, label)
	if err != nil {
		return "", fmt.Errorf("create key %s: %w", label, err)
	}
	return full, nil
}

func (k *Keeper) create(ctx context.Context, label string) (custody.KeyRef, error) {
	alias := k.prefix + "/" + label
	m, err := k.describe(ctx, alias)
	if errors.Is(err, errAbsent) {
		m, err = k.makeKey(ctx, alias, &kms.CreateKeyInput{
			KeySpec: types.KeySpecSymmetricDefault, KeyUsage: types.KeyUsageTypeEncryptDecrypt, MultiRegion: aws.Bool(false),
			Description: aws.String("aivault keeper " + k.name + ", label " + label),
			Tags: []types.Tag{
				{TagKey: aws.String("aivault-keeper"), TagValue: aws.String(k.name)}, {TagKey: aws.String("aivault-label"), TagValue: aws.String(label)},
			},
		})
	}
	switch {
	case err != nil:
		return "", err
	case pending(m):
		return "", custody.ErrDestroyed
	case m.KeySpec != types.KeySpecSymmetricDefault || aws.ToBool(m.MultiRegion) || m.Origin != types.OriginTypeAwsKms:
		return "", fmt.Errorf("a key with that alias is there, and was imported, is in several regions, or is of another kind: %w", custody.ErrUnfit)
	}
	return k.issue(ctx, label, m)
}

func encryptionContext(context [32]byte) map[string]string {
	return map[string]string{"aivault": base64.StdEncoding.EncodeToString(context[:])}
}

// Wrap implements [custody.Keeper].
func (k *Keeper) Wrap(ctx context.Context, full custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	err := errors.Join(ctx.Err(), custody.CheckRef(full), custody.CheckSecret(secret))
	var r ref
	if err == nil {
		r, err = k.check(ctx, full)
	}
	if err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	out, err := k.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: aws.String(r.id), Plaintext: secret, EncryptionContext: encryptionContext(context)})
	if err != nil {
		return nil, fmt.Errorf("wrap under %s: %w", full, k.explain(ctx, r, err))
	}
	return out.CiphertextBlob, nil
}

// Unwrap implements [custody.Keeper].
func (k *Keeper) Unwrap(ctx context.Context, full custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	r, err := k.check(ctx, full)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	if len(wrapped) == 0 || len(wrapped) > maxCiphertext {
		if err = k.alive(ctx, r); err == nil {
			err = custody.ErrMismatch
		}
		return nil, fmt.Errorf("unwrap under %s: %w", full, err)
	}
	out, err := k.kms.Decrypt(ctx, &kms.DecryptInput{KeyId: aws.String(r.id), CiphertextBlob: wrapped, EncryptionContext: encryptionContext(context)})
	if err != nil {
		return nil, fmt.Errorf("unwrap under %s: %w", full, k.explain(ctx, r, err))
	}
	if custody.CheckSecret(out.Plaintext) != nil {
		clear(out.Plaintext)
		return nil, fmt.Errorf("unwrap under %s: %w", full, custody.ErrMismatch)
	}
	return out.Plaintext, nil
}

// explain turns the error of using a key into what it means: which one KMS gives
// of a key that is both dead and given the wrong bytes is not documented.
func (k *Keeper) explain(ctx context.Context, r ref, err error) error {
	_, state := errors.AsType[*types.KMSInvalidStateException](err)
	_, disabled := errors.AsType[*types.DisabledException](err)
	_, bytes := errors.AsType[*types.InvalidCiphertextException](err)
	_, key := errors.AsType[*types.IncorrectKeyException](err)
	_, absent := errors.AsType[*types.NotFoundException](err)
	if !state && !disabled && !bytes && !key && !absent {
		return translate(ctx, err)
	}
	switch dead := k.alive(ctx, r); {
	case dead != nil:
		return dead
	case bytes || key:
		return custody.ErrMismatch
	}
	return translate(ctx, err)
}
