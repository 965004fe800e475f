// Package vaulttest holds what the tests of vault and its parts share: a cipher
// of symbols, small vaults in memory, and the coercive adversary of the threat
// model, who holds all storage ever written, every member's keys, and the
// keepers as they are now.
package vaulttest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/seal"
)

const symbolicPrefix = "SYMBOLIC-SECRET-KEY-1"

// Symbolic is a seal.Cipher in which sealing is a term: it hides nothing, and
// opens only with the key. It is the cipher of symbolic protocol analysis (Dolev
// and Yao, 1983), and fast.
type Symbolic struct{}

var _ seal.Cipher = Symbolic{}

// term is a sealed object: a line that says to whom, and the plaintext.
type term struct {
	to    []string
	plain []byte
}

var termPrefix = []byte("symbolic/1 ")

// symbolicKey opens terms. A member's recipient is that of their real identity,
// since entries name that one.
type symbolicKey struct {
	seed      [32]byte
	recipient string
}

// Generate implements [seal.Cipher].
func (c Symbolic) Generate() (seal.Key, error) {
	var seed [32]byte
	rand.Read(seed[:])
	return c.FromSeed(seed[:])
}

// FromSeed implements [seal.Cipher].
func (Symbolic) FromSeed(seed []byte) (seal.Key, error) {
	if len(seed) != seal.SeedSize {
		return nil, fmt.Errorf("seed of %d bytes", len(seed))
	}
	sum := sha256.Sum256(seed)
	return &symbolicKey{seed: [32]byte(seed), recipient: "symbolic1" + hex.EncodeToString(sum[:])}, nil
}

// Parse implements [seal.Cipher].
func (c Symbolic) Parse(text string) (seal.Key, error) {
	hexSeed, ok := strings.CutPrefix(text, symbolicPrefix)
	seed, err := hex.DecodeString(hexSeed)
	if !ok || err != nil {
		return nil, fmt.Errorf("malformed symbolic identity")
	}
	return c.FromSeed(seed)
}

// Member returns the key of a member whose recipient is that of a real identity.
func (c Symbolic) Member(recipient string) seal.Key {
	sum := sha256.Sum256([]byte(recipient))
	return &symbolicKey{seed: sum, recipient: recipient}
}

// Seal implements [seal.Cipher]. No two terms are equal.
func (Symbolic) Seal(plaintext []byte, recipients ...string) ([]byte, error) {
	if len(recipients) == 0 {
		return nil, fmt.Errorf("seal to nobody")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s %x %s\n", termPrefix, rand.Text(), sha256.Sum256(plaintext), strings.Join(recipients, " "))
	b.Write(plaintext)
	return b.Bytes(), nil
}

func parseTerm(sealed []byte) (*term, error) {
	rest, ok := bytes.CutPrefix(sealed, termPrefix)
	line, plain, ok2 := bytes.Cut(rest, []byte("\n"))
	words := strings.Split(string(line), " ")
	if !ok || !ok2 || len(words) < 3 {
		return nil, seal.ErrFormat
	}
	if words[1] != fmt.Sprintf("%x", sha256.Sum256(plain)) {
		return nil, seal.ErrCorrupt
	}
	return &term{to: words[2:], plain: plain}, nil
}

// Recipient implements [seal.Key].
func (k *symbolicKey) Recipient() string { return k.recipient }

// Open implements [seal.Key].
func (k *symbolicKey) Open(sealed []byte) ([]byte, error) {
	t, err := parseTerm(sealed)
	if err != nil {
		return nil, err
	}
	if len(t.to) != 1 {
		return nil, seal.ErrFormat
	}
	return k.open(t)
}

// OpenShared implements [seal.Key].
func (k *symbolicKey) OpenShared(sealed []byte) ([]byte, error) {
	t, err := parseTerm(sealed)
	if err != nil {
		return nil, err
	}
	return k.open(t)
}

func (k *symbolicKey) open(t *term) ([]byte, error) {
	if !slices.Contains(t.to, k.recipient) {
		return nil, seal.ErrNoMatch
	}
	return bytes.Clone(t.plain), nil
}

// RevealSeed implements [seal.Key].
func (k *symbolicKey) RevealSeed() []byte { return slices.Clone(k.seed[:]) }

// Reveal implements [seal.Key].
func (k *symbolicKey) Reveal() string { return symbolicPrefix + hex.EncodeToString(k.seed[:]) }
