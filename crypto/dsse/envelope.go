// Package dsse signs byte strings in DSSE envelopes (Dead Simple Signing
// Envelope, v1) with ECDSA P-256 over SHA-256.
//
// The envelopes here are stricter than DSSE asks. There is one encoding of each
// (package canonical); a key id is the SHA-256 of the key's SPKI in lower-case
// hex; signatures stand in the order of their key ids, one a key; a signature is
// DER with s ≤ n/2. So nobody can respell an envelope that others know by its
// hash, short of signing it anew.
//
// What an envelope says is worth nothing before [Envelope.Verify] or
// [Envelope.VerifyThreshold] has passed, with keys that come from elsewhere.
package dsse

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
)

const (
	// MaxEnvelope is the length of the longest encoded envelope, in bytes.
	MaxEnvelope = 16 << 10
	// MaxSignatures is the largest number of signatures.
	MaxSignatures = 16
	// MaxPayloadType is the length of the longest payload type, in bytes.
	MaxPayloadType = 255
)

var (
	// ErrFormat means that an envelope, a key or a signature is malformed or
	// not in its one encoding.
	ErrFormat = errors.New("malformed")
	// ErrSignature means that a signature is not of this key and this content.
	ErrSignature = errors.New("signature does not verify")
	// ErrNoSignature means that keys asked for have not signed.
	ErrNoSignature = errors.New("not signed")
)

// Signature is one key's signature.
type Signature struct {
	KeyID string `json:"keyid"` // see [PublicKey.KeyID]
	Sig   []byte `json:"sig"`   // ECDSA-Sig-Value in DER, low-S
}

// Envelope is a payload with its signatures. An Envelope is not safe for
// concurrent changes.
type Envelope struct {
	Payload     []byte      `json:"payload"`     // never empty
	PayloadType string      `json:"payloadType"` // a media type or URI: 1 to [MaxPayloadType] printable ASCII bytes
	Signatures  []Signature `json:"signatures"`  // 1 to [MaxSignatures], by rising key id
}

// PAE returns the pre-authentication encoding: the bytes that are signed.
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len("DSSEv1")+2*21+2+len(payloadType)+len(payload))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// Sign returns an envelope of payload, which it does not copy, with a signature
// of each signer, no two of which may have the same key.
func Sign(ctx context.Context, payloadType string, payload []byte, signers ...Signer) (*Envelope, error) {
	e := &Envelope{Payload: payload, PayloadType: payloadType}
	if len(signers) == 0 {
		return nil, fmt.Errorf("%w: sign a %q with no signer", ErrFormat, payloadType)
	}
	for _, s := range signers {
		if err := e.Add(ctx, s); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Add adds one signer's signature. It does not verify those that are there. A
// second signature by one key, or one that would make the envelope too large,
// is refused with ErrFormat, a signer that returns anything but its own valid
// signature with ErrSignature or ErrFormat; the envelope is then unchanged.
func (e *Envelope) Add(ctx context.Context, signer Signer) error {
	if err := e.checkContent(); err != nil {
		return fmt.Errorf("sign a %q: %w", e.PayloadType, err)
	}
	key := signer.Public()
	sig, err := signer.Sign(ctx, e.digest())
	if err != nil {
		return fmt.Errorf("sign a %q with key %s: %w", e.PayloadType, key.KeyID(), err)
	}
	sig, err = lowS(sig)
	if err != nil {
		return fmt.Errorf("sign a %q with key %s: the signer's %w", e.PayloadType, key.KeyID(), err)
	}
	if !key.verify(e.digest(), sig) {
		return fmt.Errorf("sign a %q with key %s: the signer's %w", e.PayloadType, key.KeyID(), ErrSignature)
	}
	grown := Envelope{Payload: e.Payload, PayloadType: e.PayloadType}
	grown.Signatures = append(slices.Clone(e.Signatures), Signature{KeyID: key.KeyID(), Sig: sig})
	slices.SortFunc(grown.Signatures, func(a, b Signature) int { return strings.Compare(a.KeyID, b.KeyID) })
	if _, err := grown.Marshal(); err != nil {
		return fmt.Errorf("sign a %q with key %s: %w", e.PayloadType, key.KeyID(), err)
	}
	e.Signatures = grown.Signatures
	return nil
}

// Marshal returns the envelope's one encoding, or ErrFormat if what it holds
// has none.
func (e *Envelope) Marshal() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	b, err := canonical.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%w: envelope: %w", ErrFormat, err)
	}
	if len(b) > MaxEnvelope {
		return nil, fmt.Errorf("%w: envelope of %d bytes exceeds %d", ErrFormat, len(b), MaxEnvelope)
	}
	return b, nil
}

// Parse decodes an envelope in its one encoding, or returns ErrFormat. It
// verifies no signature.
func Parse(b []byte) (*Envelope, error) {
	if len(b) > MaxEnvelope {
		return nil, fmt.Errorf("%w: envelope of %d bytes exceeds %d", ErrFormat, len(b), MaxEnvelope)
	}
	e := new(Envelope)
	if err := canonical.Unmarshal(b, e); err != nil {
		return nil, fmt.Errorf("%w: envelope: %w", ErrFormat, err)
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// check refuses what is not well-formed, size apart.
func (e *Envelope) check() error {
	if err := e.checkContent(); err != nil {
		return err
	}
	return e.checkSignatures()
}

func (e *Envelope) checkContent() error {
	if len(e.Payload) == 0 {
		return fmt.Errorf("%w: envelope without a payload", ErrFormat)
	}
	if n := len(e.PayloadType); n == 0 || n > MaxPayloadType {
		return fmt.Errorf("%w: envelope with a payload type of %d bytes", ErrFormat, n)
	}
	for _, c := range []byte(e.PayloadType) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("%w: envelope with payload type %q", ErrFormat, e.PayloadType)
		}
	}
	return nil
}

func (e *Envelope) checkSignatures() error {
	if n := len(e.Signatures); n == 0 || n > MaxSignatures {
		return fmt.Errorf("%w: envelope with %d signatures", ErrFormat, n)
	}
	for i, s := range e.Signatures {
		if !isKeyID(s.KeyID) {
			return fmt.Errorf("%w: envelope with key id %q", ErrFormat, s.KeyID)
		}
		if i > 0 && s.KeyID <= e.Signatures[i-1].KeyID {
			return fmt.Errorf("%w: envelope whose key ids do not rise at %s", ErrFormat, s.KeyID)
		}
		if err := checkSignature(s.Sig); err != nil {
			return fmt.Errorf("envelope, key %s: %w", s.KeyID, err)
		}
	}
	return nil
}

// isKeyID says whether s is a SHA-256 in lower-case hex.
func isKeyID(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// digest returns what is signed.
func (e *Envelope) digest() [sha256.Size]byte {
	return sha256.Sum256(PAE(e.PayloadType, e.Payload))
}
