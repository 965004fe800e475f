package manifest

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"

	"github.com/aivault/aivault/crypto/redact"
)

// SecretSize is the length of a [Secret], in bytes.
const SecretSize = 32

// Secret is 32 bytes that must die with a version: a push secret, the seed of a
// chunk's identity, the salt of a version digest, the key of the cuts. It never
// prints; [Secret.Reveal] is the only door. The zero value is no secret.
type Secret struct {
	redact.Secret
	open func() *[SecretSize]byte
}

// NewSecret draws a random secret.
func NewSecret() Secret {
	var b [SecretSize]byte
	rand.Read(b[:])
	return SecretFrom(b)
}

// SecretFrom returns the secret that b is.
func SecretFrom(b [SecretSize]byte) Secret {
	return Secret{open: func() *[SecretSize]byte { return &b }}
}

// Reveal returns a copy of the bytes.
func (s Secret) Reveal() [SecretSize]byte { return *s.open() }

// IsZero reports whether s is the zero value.
func (s Secret) IsZero() bool { return s.open == nil }

// Equal reports whether two secrets are the same, in constant time.
func (s Secret) Equal(t Secret) bool {
	a, b := s.Reveal(), t.Reveal()
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// secretText is how a secret is spelt in a document: 64 lower-case hex digits.
// Its errors do not quote what they refuse.
type secretText [SecretSize]byte

func (s secretText) MarshalText() ([]byte, error) {
	return hex.AppendEncode(nil, s[:]), nil
}

func (s *secretText) UnmarshalText(b []byte) error {
	if len(b) != 2*SecretSize {
		return errors.New("a secret is not 64 hex digits long")
	}
	if _, err := hex.Decode(s[:], b); err != nil || string(hex.AppendEncode(nil, s[:])) != string(b) {
		return errors.New("a secret is not lower-case hex")
	}
	return nil
}
