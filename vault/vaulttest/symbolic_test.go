package vaulttest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/aivault/aivault/crypto/seal"
)

// TestCiphers holds the symbolic cipher to what the protocols rely on in the
// real one.
func TestCiphers(t *testing.T) {
	for name, c := range map[string]seal.Cipher{"symbolic": Symbolic{}, "age": seal.Age{}, "recorded": NewRecorder(Symbolic{}, nil)} {
		t.Run(name, func(t *testing.T) {
			a, err := c.Generate()
			must(t, err)
			b, err := c.FromSeed(bytes.Repeat([]byte{1}, seal.SeedSize))
			must(t, err)
			again, err := c.Parse(b.Reveal())
			must(t, err)
			if again.Recipient() != b.Recipient() || a.Recipient() == b.Recipient() || !bytes.Equal(again.RevealSeed(), b.RevealSeed()) {
				t.Error("an identity is not what its seed says")
			}
			plain := []byte("plain\ntext")
			one, err := c.Seal(plain, a.Recipient())
			must(t, err)
			other, err := c.Seal(plain, a.Recipient())
			must(t, err)
			both, err := c.Seal(plain, a.Recipient(), b.Recipient())
			must(t, err)
			if bytes.Equal(one, other) {
				t.Error("two objects are equal")
			}
			if got, err := a.Open(one); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("Open: %q, %v", got, err)
			}
			if got, err := b.OpenShared(both); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("OpenShared: %q, %v", got, err)
			}
			if _, err := b.Open(one); !errors.Is(err, seal.ErrNoMatch) {
				t.Errorf("opening what is sealed to others: %v", err)
			}
			if _, err := a.Open(both); !errors.Is(err, seal.ErrFormat) {
				t.Errorf("Open of an object with two recipients: %v", err)
			}
			if _, err := a.Open([]byte("nothing")); !errors.Is(err, seal.ErrFormat) {
				t.Errorf("Open of something else: %v", err)
			}
			one[len(one)-1] ^= 1
			if _, err := a.Open(one); !errors.Is(err, seal.ErrCorrupt) {
				t.Errorf("Open of a damaged object: %v", err)
			}
			if _, err := c.Seal(plain); err == nil {
				t.Error("sealed to nobody")
			}
			if _, err := c.FromSeed([]byte{1}); err == nil {
				t.Error("a seed of one byte is accepted")
			}
			if _, err := c.Parse("nothing"); err == nil {
				t.Error("something else is parsed as an identity")
			}
		})
	}
}

func TestRecorder(t *testing.T) {
	parent := NewRecorder(Symbolic{}, nil)
	old, err := parent.Seal([]byte("x"), "a")
	must(t, err)
	r := NewRecorder(Symbolic{}, parent)
	sealed, err := r.Seal([]byte("x"), "a", "b")
	must(t, err)
	if got := r.Recipients(old); len(got) != 1 {
		t.Errorf("what the parent sealed: %v", got)
	}
	if got := r.Recipients(sealed); len(got) != 2 {
		t.Errorf("what was sealed to two: %v", got)
	}
	if got := parent.Recipients(sealed); got != nil {
		t.Errorf("the parent knows of %v", got)
	}
}
