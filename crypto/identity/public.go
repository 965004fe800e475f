package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
)

const publicPrefix = "aivault1"

// Public is the public half of an identity.
type Public struct {
	Recipient *seal.Recipient
	Key       *dsse.PublicKey
}

// ParsePublic parses the form that [Public.String] returns, and no other.
func ParsePublic(s string) (Public, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 || parts[0] != publicPrefix {
		return Public{}, fmt.Errorf("%w: a member's line is %s:RECIPIENT:KEY", ErrFormat, publicPrefix)
	}
	recipient, err := seal.ParseRecipient(parts[1])
	if err != nil {
		return Public{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	spki, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return Public{}, fmt.Errorf("%w: the signing key is not base64url", ErrFormat)
	}
	key, err := dsse.ParsePublicKey(spki)
	if err != nil {
		return Public{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	p := Public{Recipient: recipient, Key: key}
	if p.String() != s {
		return Public{}, fmt.Errorf("%w: a member's line has one spelling, and this is another", ErrFormat)
	}
	return p, nil
}

// String returns the member's line, without spaces:
// aivault1:<age1pq1…>:<base64url of the SPKI, no padding>.
func (p Public) String() string {
	return publicPrefix + ":" + p.Recipient.String() + ":" + base64.RawURLEncoding.EncodeToString(p.Key.SPKI())
}

// Equal says whether p and other are the same member.
func (p Public) Equal(other Public) bool {
	return p.Recipient.Equal(other.Recipient) && p.Key.Equal(other.Key)
}

// Fingerprint returns what two people compare by voice: 128 bits of the SHA-256
// of the member's line, in eight groups of four hex digits. Fewer would let
// somebody search for another identity that reads the same.
func (p Public) Fingerprint() string {
	sum := sha256.Sum256([]byte(p.String()))
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = hex.EncodeToString(sum[2*i : 2*i+2])
	}
	return strings.Join(groups, "-")
}
