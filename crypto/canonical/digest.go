package canonical

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Digest is a SHA-256 digest, spelt as 64 lower-case hex digits.
type Digest [sha256.Size]byte

// ID is a random 128-bit name, spelt as 32 lower-case hex digits.
type ID [16]byte

// Sum returns the SHA-256 digest of b.
func Sum(b []byte) Digest { return sha256.Sum256(b) }

// NewID draws a random ID.
func NewID() ID {
	var id ID
	rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// ParseDigest reads a digest in its one spelling.
func ParseDigest(s string) (d Digest, err error) { return d, parseHex(d[:], s) }

// ParseID reads an ID in its one spelling.
func ParseID(s string) (id ID, err error) { return id, parseHex(id[:], s) }

func (d Digest) String() string               { return hex.EncodeToString(d[:]) }
func (d Digest) IsZero() bool                 { return d == Digest{} }
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the spelling MarshalText gives, and no other.
func (d *Digest) UnmarshalText(b []byte) error { return parseHex(d[:], string(b)) }

func (id ID) String() string               { return hex.EncodeToString(id[:]) }
func (id ID) IsZero() bool                 { return id == ID{} }
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the spelling MarshalText gives, and no other.
func (id *ID) UnmarshalText(b []byte) error { return parseHex(id[:], string(b)) }

func parseHex(dst []byte, s string) error {
	if len(s) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("%w: %d characters where %d hex digits belong", ErrNotCanonical, len(s), hex.EncodedLen(len(dst)))
	}
	b, err := hex.DecodeString(s)
	if err != nil || hex.EncodeToString(b) != s {
		return fmt.Errorf("%w: %q is not lower-case hex", ErrNotCanonical, s)
	}
	copy(dst, b)
	return nil
}
