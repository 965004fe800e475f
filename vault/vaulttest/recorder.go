package vaulttest

import (
	"sync"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
)

// Recorder is a cipher that remembers to whom it sealed what. An age file does
// not name its recipients; an adversary that knows them need not try every key
// on every object, and is no weaker for it.
type Recorder struct {
	seal.Cipher
	parent *Recorder

	mu     sync.Mutex
	to     map[canonical.Digest][]string
	sealed map[string]bool // by recipient
}

// NewRecorder returns c with a record. It also knows what parent, which may be
// nil, has recorded.
func NewRecorder(c seal.Cipher, parent *Recorder) *Recorder {
	return &Recorder{Cipher: c, parent: parent, to: map[canonical.Digest][]string{}, sealed: map[string]bool{}}
}

// Seal implements [seal.Cipher].
func (r *Recorder) Seal(plaintext []byte, recipients ...string) ([]byte, error) {
	sealed, err := r.Cipher.Seal(plaintext, recipients...)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.to[canonical.Sum(sealed)] = recipients
		for _, to := range recipients {
			r.sealed[to] = true
		}
	}
	return sealed, err
}

// Recipients returns to whom an object was sealed; nothing if this cipher did not seal it.
func (r *Recorder) Recipients(sealed []byte) []string {
	sum := canonical.Sum(sealed)
	for ; r != nil; r = r.parent {
		r.mu.Lock()
		to := r.to[sum]
		r.mu.Unlock()
		if to != nil {
			return to
		}
	}
	return nil
}

// Sealed reports whether anything was sealed to a recipient. Who knows an
// identity can tell by opening every object there is.
func (r *Recorder) Sealed(recipient string) bool {
	for ; r != nil; r = r.parent {
		r.mu.Lock()
		sealed := r.sealed[recipient]
		r.mu.Unlock()
		if sealed {
			return true
		}
	}
	return false
}
