package checkpoint

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"github.com/aivault/aivault/crypto/redact"
)

// algorithm is the signature type of a timestamped Ed25519 cosignature
// (C2SP signed-note; tlog-cosignature, cosignature/v1).
const algorithm = 0x04

const (
	timestampSize = 8
	maxName       = 150
	// maxNote bounds a signed note, in bytes.
	maxNote = 64 << 10
)

// Witness is the public key of somebody who cosigns. It is immutable.
type Witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// ParseWitness reads a verifier key, NAME+HASH+KEY (C2SP signed-note), of
// cosignature/v1. Errors wrap ErrMalformed.
func ParseWitness(text string) (*Witness, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 || !validName(parts[0]) {
		return nil, fmt.Errorf("%w witness key %q: it has the form NAME+HASH+KEY", ErrMalformed, text)
	}
	b, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != algorithm {
		return nil, fmt.Errorf("%w witness key %q: it is none for Ed25519 cosignatures", ErrMalformed, text)
	}
	w := newWitness(parts[0], ed25519.PublicKey(b[1:]))
	if w.String() != text {
		return nil, fmt.Errorf("%w witness key %q: its hash is another", ErrMalformed, text)
	}
	return w, nil
}

func newWitness(name string, key ed25519.PublicKey) *Witness {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", name)
	h.Write(append([]byte{algorithm}, key...))
	return &Witness{name: name, hash: binary.BigEndian.Uint32(h.Sum(nil)), key: key}
}

// validName says whether a key may have this name.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' })
}

// String returns the verifier key, which ParseWitness reads.
func (w *Witness) String() string {
	return fmt.Sprintf("%s+%08x+%s", w.name, w.hash, base64.StdEncoding.EncodeToString(append([]byte{algorithm}, w.key...)))
}

// Name implements note.Verifier.
func (w *Witness) Name() string { return w.name }

// KeyHash implements note.Verifier.
func (w *Witness) KeyHash() uint32 { return w.hash }

// Verify implements note.Verifier.
func (w *Witness) Verify(text, sig []byte) bool {
	t, ok := timestamp(sig)
	return ok && ed25519.Verify(w.key, cosigned(t, text), sig[timestampSize:])
}

// timestamp returns when a cosignature was made, in seconds since 1970.
func timestamp(sig []byte) (uint64, bool) {
	if len(sig) != timestampSize+ed25519.SignatureSize {
		return 0, false
	}
	t := binary.BigEndian.Uint64(sig)
	return t, t <= math.MaxInt64
}

func cosigned(t uint64, text []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", t, text)
}

// Key is the secret key of a witness.
type Key struct {
	redact.Secret
	witness *Witness
	seed    func() []byte
}

const keyPrefix = "PRIVATE+KEY+"

// NewKey draws a key. Errors wrap ErrMalformed.
func NewKey(name string) (*Key, error) {
	if !validName(name) {
		return nil, fmt.Errorf("%w name of a witness: %q: no spaces and no plus", ErrMalformed, name)
	}
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails (crypto/rand)
	return newKey(name, seed), nil
}

func newKey(name string, seed []byte) *Key {
	pub := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	return &Key{witness: newWitness(name, pub), seed: func() []byte { return seed }}
}

// ParseKey reads what Reveal returns. Errors wrap ErrMalformed and do not quote the key.
func ParseKey(text string) (*Key, error) {
	malformed := fmt.Errorf("%w key of a witness", ErrMalformed)
	rest, ok := strings.CutPrefix(text, keyPrefix)
	parts := strings.SplitN(rest, "+", 3)
	if !ok || len(parts) != 3 || !validName(parts[0]) {
		return nil, malformed
	}
	b, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(b) != 1+ed25519.SeedSize || b[0] != algorithm {
		return nil, malformed
	}
	k := newKey(parts[0], b[1:])
	if k.Reveal() != text {
		return nil, malformed
	}
	return k, nil
}

// Reveal returns the secret key: PRIVATE+KEY+NAME+HASH+KEY.
func (k *Key) Reveal() string {
	return fmt.Sprintf("%s%s+%08x+%s", keyPrefix, k.witness.name, k.witness.hash, base64.StdEncoding.EncodeToString(append([]byte{algorithm}, k.seed()...)))
}

// Witness returns the public key.
func (k *Key) Witness() *Witness { return k.witness }

// signer signs notes with a time.
type signer struct {
	*Witness
	key *Key
	at  time.Time
}

// Sign implements note.Signer.
func (s signer) Sign(text []byte) ([]byte, error) {
	if s.at.Unix() < 1 {
		return nil, fmt.Errorf("a cosignature cannot be dated %s", s.at)
	}
	t := uint64(s.at.Unix())
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(s.key.seed()), cosigned(t, text))
	return append(binary.BigEndian.AppendUint64(nil, t), sig...), nil
}

// Cosign returns the note of c with the key's signature, dated at.
func (k *Key) Cosign(c Checkpoint, at time.Time) (string, error) {
	signed, err := note.Sign(&note.Note{Text: c.String()}, signer{k.witness, k, at})
	return string(signed), err
}

// Cosignature is that of a known witness.
type Cosignature struct {
	Witness *Witness
	Time    time.Time
}

// OpenNote verifies a signed note: it must have a cosignature of one of the
// witnesses. Signatures of others are not looked at. Errors wrap ErrMalformed or
// ErrUnknownWitness.
func OpenNote(signed string, witnesses []*Witness) (Checkpoint, []Cosignature, error) {
	if len(signed) > maxNote {
		return Checkpoint{}, nil, fmt.Errorf("%w note: %d bytes", ErrMalformed, len(signed))
	}
	if text, signatures := split(signed); signatures == "" {
		c, err := Parse(text)
		return c, nil, errors.Join(ErrUnknownWitness, err)
	}
	known := map[string]*Witness{}
	list := make([]note.Verifier, 0, len(witnesses))
	for _, w := range witnesses {
		if text := w.String(); known[text] == nil {
			known[text] = w
			list = append(list, w)
		}
	}
	n, err := note.Open([]byte(signed), note.VerifierList(list...))
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		c, parseErr := Parse(unverified.Note.Text)
		return c, nil, errors.Join(ErrUnknownWitness, parseErr)
	}
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w note: %w", ErrMalformed, err)
	}
	c, err := Parse(n.Text)
	if err != nil {
		return c, nil, err
	}
	var out []Cosignature
	for _, s := range n.Sigs {
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || len(raw) < 4 {
			return c, nil, fmt.Errorf("%w note: signature of %s", ErrMalformed, s.Name)
		}
		t, _ := timestamp(raw[4:])
		for _, w := range list {
			if w.Name() == s.Name && w.KeyHash() == s.Hash {
				out = append(out, Cosignature{Witness: w.(*Witness), Time: time.Unix(int64(t), 0).UTC()})
			}
		}
	}
	return c, out, nil
}
