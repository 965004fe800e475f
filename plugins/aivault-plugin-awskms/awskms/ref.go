package awskms

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// maxKnown bounds how many verified refs are remembered.
const maxKnown = 4096

// ref is what names a key for ever.
type ref struct {
	label   string
	id      string // of the key in KMS
	created time.Time
}

// message is what a ref's MAC is of.
func (r ref) message() []byte {
	return []byte(fmt.Sprintf("%s.%s.%08x", r.label, r.id, r.created.Unix()))
}

// issue returns the ref of a key.
func (k *Keeper) issue(ctx context.Context, label string, m *types.KeyMetadata) (custody.KeyRef, error) {
	r := ref{label, aws.ToString(m.KeyId), aws.ToTime(m.CreationDate)}
	out, err := k.kms.GenerateMac(ctx, &kms.GenerateMacInput{KeyId: aws.String(k.signer), MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Message: r.message()})
	if err != nil {
		return "", translate(ctx, err)
	}
	full := custody.KeyRef(string(r.message()) + "." + base64.RawURLEncoding.EncodeToString(out.Mac))
	if err := custody.CheckRef(full); err != nil {
		return "", err
	}
	k.remember(full)
	return full, nil
}

// check judges what every call begins with, and reads a ref. One that this keeper
// has not signed is ErrNotFound.
func (k *Keeper) check(ctx context.Context, full custody.KeyRef) (ref, error) {
	if err := ctx.Err(); err != nil {
		return ref{}, err
	}
	if err := custody.CheckRef(full); err != nil {
		return ref{}, err
	}
	parts := strings.Split(string(full), ".")
	if len(parts) != 4 || custody.CheckLabel(parts[0]) != nil || custody.CheckLabel(parts[1]) != nil || len(parts[2]) != 8 {
		return ref{}, custody.ErrNotFound
	}
	seconds, err := strconv.ParseUint(parts[2], 16, 32)
	mac, merr := base64.RawURLEncoding.Strict().DecodeString(parts[3])
	r := ref{parts[0], parts[1], time.Unix(int64(seconds), 0).UTC()}
	if err != nil || merr != nil || len(mac) != 32 || string(r.message()) != strings.Join(parts[:3], ".") {
		return ref{}, custody.ErrNotFound
	}
	if k.remembers(full) {
		return r, nil
	}
	_, err = k.kms.VerifyMac(ctx, &kms.VerifyMacInput{
		KeyId: aws.String(k.signer), MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Message: r.message(), Mac: mac,
	})
	if _, wrong := errors.AsType[*types.KMSInvalidMacException](err); wrong {
		return ref{}, custody.ErrNotFound
	}
	if err != nil {
		return ref{}, translate(ctx, err)
	}
	k.remember(full)
	return r, nil
}

func (k *Keeper) remembers(full custody.KeyRef) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[full]
}

func (k *Keeper) remember(full custody.KeyRef) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= maxKnown {
		clear(k.known)
	}
	k.known[full] = true
}

// gone is what it means that KMS does not know a key which this keeper issued. KMS
// takes a moment to show a new key everywhere, and no key can be deleted before
// the shortest wait is over.
func (k *Keeper) gone(r ref) error {
	if k.now().Before(r.created.AddDate(0, 0, minDays)) {
		return fmt.Errorf("KMS does not show a key that is too young to have been deleted: %w", custody.ErrUnavailable)
	}
	return custody.ErrDestroyed
}

// state reads a key's metadata: ErrDestroyed if it is gone, nil if it is there,
// in whatever state.
func (k *Keeper) state(ctx context.Context, r ref) (*types.KeyMetadata, error) {
	m, err := k.describe(ctx, r.id)
	if errors.Is(err, errAbsent) {
		return nil, k.gone(r)
	}
	return m, err
}

// pending says whether a key's deletion is scheduled.
func pending(m *types.KeyMetadata) bool { return m.KeyState == types.KeyStatePendingDeletion }

// alive is nil for a key that can be used.
func (k *Keeper) alive(ctx context.Context, r ref) error {
	m, err := k.state(ctx, r)
	switch {
	case err != nil:
		return err
	case pending(m):
		return custody.ErrDestroyed
	case m.KeyState == types.KeyStateDisabled:
		return fmt.Errorf("the key is disabled in KMS: %w", custody.ErrDenied)
	case m.KeyState != types.KeyStateEnabled:
		return fmt.Errorf("the key's state in KMS is %s: %w", m.KeyState, custody.ErrUnavailable)
	}
	return nil
}
