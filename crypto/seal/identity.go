package seal

import (
	"crypto/rand"
	"errors"
	"fmt"

	"filippo.io/age"

	"github.com/aivault/aivault/crypto/redact"
)

// SeedSize is the length of an identity's seed, in bytes.
const SeedSize = 32

const (
	identityPrefix  = "AGE-SECRET-KEY-PQ-"
	identityLength  = len(identityPrefix) + 1 + 52 + 6
	recipientLength = 1959
)

// Identity is an age hybrid identity: it opens what is sealed to its recipient.
// It is a 32-byte seed, from which ML-KEM-768 and X25519 keys derive. It never
// prints; [Identity.Reveal] and [Identity.RevealSeed] are the only doors. The
// zero value is not usable.
type Identity struct {
	redact.Secret
	open func() *opened
}

// opened is what stands behind an Identity's closure.
type opened struct {
	seed [SeedSize]byte
	age  *age.HybridIdentity
}

// GenerateIdentity draws a new identity.
func GenerateIdentity() (*Identity, error) {
	var seed [SeedSize]byte
	rand.Read(seed[:])
	return IdentityFromSeed(seed[:])
}

// IdentityFromSeed returns the identity of a seed of exactly [SeedSize] bytes.
func IdentityFromSeed(seed []byte) (*Identity, error) {
	if len(seed) != SeedSize {
		return nil, fmt.Errorf("identity from a seed of %d bytes: it must be %d", len(seed), SeedSize)
	}
	o := new(opened)
	copy(o.seed[:], seed)
	var err error
	if o.age, err = age.ParseHybridIdentity(encodeIdentity(o.seed)); err != nil {
		return nil, errors.New("identity from a seed: age refuses it")
	}
	return &Identity{open: func() *opened { return o }}, nil
}

// ParseIdentity parses an identity as age writes it, in its one spelling:
// "AGE-SECRET-KEY-PQ-1…", upper case. Errors do not quote s.
func ParseIdentity(s string) (*Identity, error) {
	seed, ok := decodeIdentity(s)
	if !ok {
		return nil, errors.New("malformed hybrid age identity")
	}
	return IdentityFromSeed(seed[:])
}

// RevealSeed returns a copy of the seed. It is secret.
func (id *Identity) RevealSeed() []byte {
	seed := id.open().seed
	return seed[:]
}

// Reveal returns the identity as age writes it, "AGE-SECRET-KEY-PQ-1…". It is
// secret.
func (id *Identity) Reveal() string { return encodeIdentity(id.open().seed) }

// Recipient returns the recipient that this identity opens for.
func (id *Identity) Recipient() *Recipient {
	return &Recipient{age: id.open().age.Recipient()}
}

func (id *Identity) unwrap(stanzas []*age.Stanza) ([]byte, error) {
	return id.open().age.Unwrap(stanzas)
}

// Recipient is an age hybrid recipient, to which anyone can seal. The zero
// value is not usable.
type Recipient struct {
	_   [0]func() // not comparable: == would compare pointers
	age *age.HybridRecipient
}

// ParseRecipient parses a recipient as age writes it, in its one spelling:
// "age1pq1…", lower case, 1,959 characters. Errors do not quote s, which may be
// an identity by mistake.
func ParseRecipient(s string) (*Recipient, error) {
	if len(s) != recipientLength {
		return nil, fmt.Errorf("malformed hybrid age recipient: %d characters instead of %d", len(s), recipientLength)
	}
	r, err := age.ParseHybridRecipient(s)
	if err != nil || r.String() != s {
		return nil, errors.New("malformed hybrid age recipient")
	}
	return &Recipient{age: r}, nil
}

// String returns the recipient as age writes it, "age1pq1…".
func (r *Recipient) String() string { return r.age.String() }

// Equal says whether r and other are the same recipient.
func (r *Recipient) Equal(other *Recipient) bool { return r.String() == other.String() }
