// Package identity keeps what makes somebody a member: an age hybrid identity,
// to read what is sealed to them, and an ECDSA P-256 key, to sign.
//
// An identity file is text of four lines. The stock age command takes it as it
// is (age -d -i FILE), since all but the last are comments to it:
//
//	# aivault identity 1
//	# member: aivault1:age1pq1…:MFkw…
//	# aivault-signing-key: MIGH…
//	AGE-SECRET-KEY-PQ-1…
//
// The first line names format and version; the second is the public half, the
// member's line ([Public.String]); the third is the signing key, PKCS #8 in
// base64. With a passphrase the file is all of this as an armored age file with
// a scrypt recipient: age -d gives the plain one, and age -d -i takes it too.
package identity

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/redact"
	"github.com/aivault/aivault/crypto/seal"
)

var (
	// ErrFormat means that the bytes are no identity file, or of a version
	// that this program does not know.
	ErrFormat = errors.New("not an aivault identity")
	// ErrPassphrase means that a passphrase is needed or wrong.
	ErrPassphrase = errors.New("the passphrase of the identity is missing or wrong")
)

// MaxFile is the length of the longest identity file, in bytes.
const MaxFile = 16 << 10

const (
	headLine      = "# aivault identity "
	version       = "1"
	memberPrefix  = "# member: "
	signingPrefix = "# aivault-signing-key: "
)

// Identity is a member's secret half. It never prints; [Identity.Reveal] is the
// only door. The zero value is not usable. Safe for concurrent use.
type Identity struct {
	redact.Secret
	sealing *seal.Identity
	signing *dsse.PrivateKey
}

// New draws a new identity.
func New() (*Identity, error) {
	sealing, err := seal.GenerateIdentity()
	if err != nil {
		return nil, err
	}
	signing, err := dsse.GenerateKey()
	if err != nil {
		return nil, err
	}
	return &Identity{sealing: sealing, signing: signing}, nil
}

// Sealing returns the age identity, which opens what is sealed to the member.
func (id *Identity) Sealing() *seal.Identity { return id.sealing }

// Signing returns the key that signs for the member.
func (id *Identity) Signing() *dsse.PrivateKey { return id.signing }

// Public returns the public half.
func (id *Identity) Public() Public {
	return Public{Recipient: id.sealing.Recipient(), Key: id.signing.Public()}
}

// Reveal returns the identity as a file without a passphrase. It is secret.
func (id *Identity) Reveal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\n", headLine, version)
	fmt.Fprintf(&b, "%s%s\n", memberPrefix, id.Public())
	fmt.Fprintf(&b, "%s%s\n", signingPrefix, base64.StdEncoding.EncodeToString(id.signing.Reveal()))
	fmt.Fprintf(&b, "%s\n", id.sealing.Reveal())
	return b.Bytes()
}

// Parse parses an identity file. It calls passphrase, which may be nil, once if
// the file is protected, and returns its error as it is. Line ends may be CR LF
// and the last one may be missing, as happens to text in a CI's secret store;
// otherwise the file must be byte for byte as [Identity.Reveal] or [Identity.Protect] wrote
// it. Errors do not quote the file.
func Parse(b []byte, passphrase func() (string, error)) (*Identity, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%w: %d bytes exceed %d", ErrFormat, len(b), MaxFile)
	}
	if isProtected(b) {
		plain, err := unprotect(b, passphrase)
		if err != nil {
			return nil, err
		}
		b = plain
	}
	return parsePlain(b)
}

func parsePlain(b []byte) (*Identity, error) {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n"), "\n")
	v, ok := strings.CutPrefix(lines[0], headLine)
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrFormat, headLine+version)
	}
	if v != version {
		return nil, fmt.Errorf("%w that this program knows: it has version %.20q and may need a newer one", ErrFormat, v)
	}
	if len(lines) != 4 {
		return nil, fmt.Errorf("%w: %d lines instead of 4", ErrFormat, len(lines))
	}
	encoded, ok := strings.CutPrefix(lines[2], signingPrefix)
	if !ok {
		return nil, fmt.Errorf("%w: line 3 is not the signing key", ErrFormat)
	}
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: the signing key is not base64", ErrFormat)
	}
	signing, err := dsse.ParsePrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	sealing, err := seal.ParseIdentity(lines[3])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	id := &Identity{sealing: sealing, signing: signing}
	if string(id.Reveal()) != strings.Join(lines, "\n")+"\n" {
		return nil, fmt.Errorf("%w: the member's line does not belong to the keys, or another is respelled", ErrFormat)
	}
	return id, nil
}
