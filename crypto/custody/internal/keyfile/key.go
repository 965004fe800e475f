// Package keyfile has the bytes that the built-in keepers store and return: key
// files, the small records beside them, and wrappings (crypto/custody/FORMAT.md
// §2 to §4). It does no I/O.
//
// A keeper key is an age hybrid identity. Its file is one that age -i takes, its
// wrapping one that age -d opens.
package keyfile

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/redact"
	"github.com/aivault/aivault/crypto/seal"
)

const (
	// Algorithm is the name of the wrapping in a keeper's profile.
	Algorithm = "age-mlkem768x25519"
	// Strength is that of an age file key, in bits.
	Strength = 128
	// MaxFile is the length of the longest file of any kind here, in bytes.
	MaxFile = custody.MaxEvidence
)

// ErrFormat means that bytes are not what they should be: damaged, of another
// kind, or of a version that this program does not know. Errors never quote a
// key file.
var ErrFormat = errors.New("not a keeper's file of this kind")

const (
	keyTitle = "# aivault keeper key 1\n"
	keyRef   = "# ref: "
)

// Key is one keeper key. It never prints; [Key.Encode] is the only door. The
// zero value is not usable. Safe for concurrent use.
type Key struct {
	redact.Secret
	ref custody.KeyRef
	id  *seal.Identity
}

// NewKey draws a key for a label, which the caller has checked.
func NewKey(label string) (*Key, error) {
	id, err := seal.GenerateIdentity()
	if err != nil {
		return nil, err
	}
	return &Key{ref: refOf(label, id.Recipient()), id: id}, nil
}

// Ref returns the name of the key.
func (k *Key) Ref() custody.KeyRef { return k.ref }

// Encode returns the key file. It is secret.
func (k *Key) Encode() []byte {
	return []byte(keyTitle + keyRef + string(k.ref) + "\n" + k.id.Reveal() + "\n")
}

// ParseKey reads a key file in its one spelling.
func ParseKey(b []byte) (*Key, error) {
	rest, ok := strings.CutPrefix(string(b), keyTitle+keyRef)
	if !ok || len(b) > MaxFile {
		return nil, fmt.Errorf("key file: %w", ErrFormat)
	}
	ref, rest, _ := strings.Cut(rest, "\n")
	label, ok := Label(custody.KeyRef(ref))
	line, end, terminated := strings.Cut(rest, "\n")
	if !ok || !terminated || end != "" {
		return nil, fmt.Errorf("key file: %w", ErrFormat)
	}
	id, err := seal.ParseIdentity(line)
	if err != nil {
		return nil, fmt.Errorf("key file of %s: %w", ref, ErrFormat)
	}
	k := &Key{ref: refOf(label, id.Recipient()), id: id}
	if string(k.ref) != ref {
		return nil, fmt.Errorf("key file of %s: holds another key: %w", ref, ErrFormat)
	}
	return k, nil
}

// Wrap seals secret, which the caller has checked, to the key. age has no
// associated data, so the context stands in the plaintext.
func (k *Key) Wrap(context [32]byte, secret []byte) ([]byte, error) {
	plain := append(context[:], secret...)
	defer clear(plain)
	return seal.Seal(plain, k.id.Recipient())
}

// Unwrap opens a wrapping. Whatever is wrong with it is ErrMismatch.
func (k *Key) Unwrap(context [32]byte, wrapped []byte) ([]byte, error) {
	if len(wrapped) > custody.MaxWrapped {
		return nil, fmt.Errorf("wrapping of %d bytes: %w", len(wrapped), custody.ErrMismatch)
	}
	plain, err := seal.Open(wrapped, k.id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", custody.ErrMismatch, err)
	}
	defer clear(plain)
	if n := len(plain) - len(context); n < 1 || n > custody.MaxSecret {
		return nil, fmt.Errorf("%w: its secret has %d bytes", custody.ErrMismatch, n)
	}
	if subtle.ConstantTimeCompare(plain[:len(context)], context[:]) != 1 {
		return nil, fmt.Errorf("%w: it was made for another context", custody.ErrMismatch)
	}
	return bytes.Clone(plain[len(context):]), nil
}
