package dsse

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/redact"
)

// Signer makes signatures with one key: a [PrivateKey], or a key that stays in
// a KMS or an HSM.
type Signer interface {
	// Public returns the public half; the same for ever.
	Public() *PublicKey
	// Sign signs a SHA-256 digest: an ECDSA signature in ASN.1 DER, of either
	// s. Whoever asks for it verifies it.
	Sign(ctx context.Context, digest [sha256.Size]byte) ([]byte, error)
}

// PublicKey is an ECDSA P-256 public key. The zero value is not usable.
type PublicKey struct {
	_    [0]func() // not comparable: == would compare pointers
	key  *ecdsa.PublicKey
	spki []byte
	id   string
}

// ParsePublicKey parses a DER SubjectPublicKeyInfo (RFC 5480) in its one
// encoding: id-ecPublicKey, named curve P-256, uncompressed point on the curve.
func ParsePublicKey(spki []byte) (*PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrFormat, err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: public key is a %T, not ECDSA", ErrFormat, parsed)
	}
	p, err := newPublicKey(key)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(p.spki, spki) {
		return nil, fmt.Errorf("%w: public key is not in its one encoding", ErrFormat)
	}
	return p, nil
}

func newPublicKey(key *ecdsa.PublicKey) (*PublicKey, error) {
	if key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: public key is not on P-256", ErrFormat)
	}
	if _, err := key.ECDH(); err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrFormat, err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrFormat, err)
	}
	sum := sha256.Sum256(spki)
	return &PublicKey{key: key, spki: spki, id: hex.EncodeToString(sum[:])}, nil
}

// SPKI returns the DER SubjectPublicKeyInfo.
func (p *PublicKey) SPKI() []byte { return bytes.Clone(p.spki) }

// KeyID returns the key's name in envelopes: SHA-256 of its SPKI in lower-case
// hex.
func (p *PublicKey) KeyID() string { return p.id }

// String returns the key id.
func (p *PublicKey) String() string { return p.id }

// Equal says whether p and other are the same key.
func (p *PublicKey) Equal(other *PublicKey) bool { return bytes.Equal(p.spki, other.spki) }

// PrivateKey is an ECDSA P-256 private key in memory. It never prints;
// [PrivateKey.Reveal] is the only door. The zero value is not usable.
type PrivateKey struct {
	redact.Secret
	open   func() *ecdsa.PrivateKey
	public *PublicKey
}

var _ Signer = (*PrivateKey)(nil)

// GenerateKey draws a new key.
func GenerateKey() (*PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a signing key: %w", err)
	}
	return newPrivateKey(key)
}

// ParsePrivateKey parses a DER PKCS #8 PrivateKeyInfo in the encoding that
// [PrivateKey.Reveal] returns (OpenSSL's too): the public key is inside, and is
// the right one. Errors do not quote der.
func ParsePrivateKey(der []byte) (*PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: private key is not PKCS #8", ErrFormat)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: private key is a %T, not ECDSA", ErrFormat, parsed)
	}
	p, err := newPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(p.Reveal(), der) {
		return nil, fmt.Errorf("%w: private key is not in its one encoding", ErrFormat)
	}
	return p, nil
}

func newPrivateKey(key *ecdsa.PrivateKey) (*PrivateKey, error) {
	public, err := newPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	if _, err := x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, errors.New("encode a signing key as PKCS #8")
	}
	return &PrivateKey{open: func() *ecdsa.PrivateKey { return key }, public: public}, nil
}

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Reveal returns the key as DER PKCS #8. It is secret.
func (k *PrivateKey) Reveal() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.open())
	if err != nil {
		panic("internal error: a signing key encoded once and does not encode again")
	}
	return der
}

// Sign implements [Signer]. It is immediate; an ended ctx is an error.
func (k *PrivateKey) Sign(ctx context.Context, digest [sha256.Size]byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return ecdsa.SignASN1(rand.Reader, k.open(), digest[:])
}
