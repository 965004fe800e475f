// Package transit is a keeper in the transit engine of HashiCorp Vault or OpenBao.
// Each key is one of the engine's own, AES-256-GCM, never derived and never
// exportable; destroying it deletes it there, and reads back that it is gone.
//
// A label's key is called "aivault.LABEL.key", and its ref is the label. Transit
// forgets a deleted key, and would make a new one of its name: so before a key is
// deleted, a second one is made, "aivault.LABEL.destroyed", which wraps nothing
// and stays. While it is there, the label is dead. A third, "aivault.instance", is
// a signing key whose public half tells this keeper from every other.
//
// A wrapping is the version of the key that made it, in four bytes, and what
// transit encrypted: the context and the secret. The context is its associated
// data as well, which servers older than Vault 1.11 ignore.
package transit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/aivault/aivault/crypto/custody"
)

const (
	kind      = "transit"
	algorithm = "aes256-gcm96"
	instance  = "aivault.instance"
)

func keyName(label string) string       { return "aivault." + label + ".key" }
func tombstoneName(label string) string { return "aivault." + label + ".destroyed" }

// Keeper is a transit engine.
type Keeper struct {
	c        *client
	instance string
}

// Open opens the keeper of an engine. With Create it is made if there is none.
func Open(ctx context.Context, o Options) (*Keeper, error) {
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	k := &Keeper{c: c}
	if o.Create {
		if _, err := c.call(ctx, http.MethodPost, "keys/"+instance, map[string]any{"type": "ecdsa-p256"}, nil); err != nil {
			return nil, fmt.Errorf("make the keeper's instance: %w", err)
		}
	}
	if k.instance, err = k.identify(ctx); err != nil {
		return nil, fmt.Errorf("open the keeper: %w", err)
	}
	return k, nil
}

// Close closes idle connections.
func (k *Keeper) Close() error {
	k.c.http.CloseIdleConnections()
	return nil
}

// identify derives the instance from its public key.
func (k *Keeper) identify(ctx context.Context) (string, error) {
	a, there, err := k.look(ctx, instance)
	if err != nil {
		return "", err
	}
	if !there {
		return "", custody.ErrNoKeeper
	}
	var first struct {
		PublicKey string `json:"public_key"`
	}
	if err := decode(a.Keys["1"], &first); err != nil || first.PublicKey == "" {
		return "", fmt.Errorf("%s is no signing key: %w", instance, custody.ErrCorrupt)
	}
	sum := sha256.Sum256([]byte(first.PublicKey))
	return kind + "-" + hex.EncodeToString(sum[:16]), nil
}

// check judges what every call begins with, and turns a ref into a label.
func check(ctx context.Context, ref custody.KeyRef) (label string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := custody.CheckRef(ref); err != nil {
		return "", err
	}
	if custody.CheckLabel(string(ref)) != nil {
		return "", custody.ErrNotFound // of no form that was ever issued
	}
	return string(ref), nil
}

// Create implements [custody.Keeper].
func (k *Keeper) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	if err := errors.Join(ctx.Err(), custody.CheckLabel(label)); err != nil {
		return "", fmt.Errorf("create key: %w", err)
	}
	if err := k.create(ctx, label); err != nil {
		return "", fmt.Errorf("create key %s: %w", label, err)
	}
	return custody.KeyRef(label), nil
}

func (k *Keeper) create(ctx context.Context, label string) error {
	if err := k.dead(ctx, label); err != nil {
		return err
	}
	body := map[string]any{"type": algorithm, "derived": false, "exportable": false, "allow_plaintext_backup": false}
	if _, err := k.c.call(ctx, http.MethodPost, "keys/"+keyName(label), body, nil); err != nil {
		return err
	}
	a, there, err := k.look(ctx, keyName(label))
	switch {
	case err != nil:
		return err
	case there && (a.Type != algorithm || a.Derived || a.Exportable || a.AllowPlaintextBackup):
		return fmt.Errorf("a key of that name is there, and is derived, exportable, or of another type: %w", custody.ErrUnfit)
	}
	if err := k.bury(ctx, label); err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("the key is gone as soon as it is made: %w", custody.ErrUnavailable)
	}
	return nil
}

// dead is ErrDestroyed where a label has its tombstone.
func (k *Keeper) dead(ctx context.Context, label string) error {
	_, there, err := k.look(ctx, tombstoneName(label))
	if err == nil && there {
		err = custody.ErrDestroyed
	}
	return err
}

// bury is dead after a call that makes a key where there is none: whoever destroyed
// the label meanwhile may have done so before that, and it is deleted again.
func (k *Keeper) bury(ctx context.Context, label string) error {
	dead := k.dead(ctx, label)
	if errors.Is(dead, custody.ErrDestroyed) {
		dead = errors.Join(dead, k.delete(ctx, label))
	}
	return dead
}

// alive is nil where a label has its key and no tombstone. The key is looked at
// first: one that somebody deletes meanwhile has its tombstone by then.
func (k *Keeper) alive(ctx context.Context, label string) error {
	_, there, err := k.look(ctx, keyName(label))
	if err != nil {
		return err
	}
	if err := k.dead(ctx, label); err != nil {
		return err
	}
	if !there {
		// Deleted by one who writes no tombstones, or never there: it proves nothing.
		return custody.ErrNotFound
	}
	return nil
}

// Wrap implements [custody.Keeper].
func (k *Keeper) Wrap(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	label, err := check(ctx, ref)
	if serr := custody.CheckSecret(secret); serr != nil && !errors.Is(err, custody.ErrInvalid) {
		err = serr
	}
	if err == nil {
		err = k.alive(ctx, label) // encrypting would make a key that is not there
	}
	if err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	wrapped, err := k.wrap(ctx, label, context, secret)
	if err != nil {
		return nil, fmt.Errorf("wrap under %s: %w", ref, err)
	}
	return wrapped, nil
}

func (k *Keeper) wrap(ctx context.Context, label string, context [32]byte, secret []byte) ([]byte, error) {
	plain := append(bytes.Clone(context[:]), secret...)
	defer clear(plain)
	var out struct{ Ciphertext string }
	_, err := k.c.call(ctx, http.MethodPost, "encrypt/"+keyName(label), map[string]any{"plaintext": plain, "associated_data": context[:]}, &out)
	if dead := k.bury(ctx, label); dead != nil {
		return nil, dead
	}
	if err != nil {
		return nil, err
	}
	return parseCiphertext(out.Ciphertext)
}

// parseCiphertext turns "vault:v1:BASE64" into the one form that wrappings have.
func parseCiphertext(text string) ([]byte, error) {
	bad := fmt.Errorf("no ciphertext of transit: %w", custody.ErrUnavailable)
	rest, ok := strings.CutPrefix(text, "vault:v")
	number, sealed, ok2 := strings.Cut(rest, ":")
	version, err := strconv.ParseUint(number, 10, 32)
	if !ok || !ok2 || err != nil || version == 0 {
		return nil, bad
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(sealed)
	if err != nil || len(raw)+4 > custody.MaxWrapped {
		return nil, bad
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(version)), raw...), nil
}

// Unwrap implements [custody.Keeper].
func (k *Keeper) Unwrap(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	label, err := check(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	secret, err := k.unwrap(ctx, label, context, wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap under %s: %w", ref, err)
	}
	return secret, nil
}

func (k *Keeper) unwrap(ctx context.Context, label string, context [32]byte, wrapped []byte) ([]byte, error) {
	if len(wrapped) <= 4 || len(wrapped) > custody.MaxWrapped || binary.BigEndian.Uint32(wrapped) == 0 {
		if err := k.alive(ctx, label); err != nil {
			return nil, err
		}
		return nil, custody.ErrMismatch
	}
	text := fmt.Sprintf("vault:v%d:%s", binary.BigEndian.Uint32(wrapped), base64.StdEncoding.EncodeToString(wrapped[4:]))
	var out struct{ Plaintext []byte }
	_, err := k.c.call(ctx, http.MethodPost, "decrypt/"+keyName(label), map[string]any{"ciphertext": text, "associated_data": context[:]}, &out)
	if errors.Is(err, errRefused) { // of a key that is not there, and of bytes that do not fit
		if err = k.alive(ctx, label); err == nil {
			err = custody.ErrMismatch
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	defer clear(out.Plaintext)
	if err := k.dead(ctx, label); err != nil {
		return nil, err
	}
	n := len(context)
	if len(out.Plaintext) <= n || len(out.Plaintext) > n+custody.MaxSecret || subtle.ConstantTimeCompare(out.Plaintext[:n], context[:]) != 1 {
		return nil, custody.ErrMismatch
	}
	return bytes.Clone(out.Plaintext[n:]), nil
}

// Profile implements [custody.Keeper].
func (k *Keeper) Profile(ctx context.Context) (custody.Profile, error) {
	id, err := k.identify(ctx)
	if err == nil && id != k.instance {
		err = fmt.Errorf("another keeper is there: %w", custody.ErrUnavailable)
	}
	if err != nil {
		return custody.Profile{}, fmt.Errorf("profile: %w", err)
	}
	return custody.Profile{
		Instance: k.instance, Kind: kind, Algorithm: "aes-256-gcm", Strength: 256, PostQuantum: true,
		BackupRetention: "unknown: as long as snapshots of the server's storage are kept",
		Notes: []string{
			"A deleted key lives on in snapshots of the server's storage, and whoever restores one has it again.",
			"How often keys are used can be limited at the server, by a rate limit quota on the engine's decrypt path.",
			"This plugin was tested against a double of the server, made from its documentation, and not against Vault or OpenBao.",
		},
	}, nil
}
