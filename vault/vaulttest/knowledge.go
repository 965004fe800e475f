package vaulttest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"

	"github.com/aivault/aivault/crypto/seal"
)

// Knowledge is what an adversary can get hold of at one moment.
type Knowledge struct {
	cipher   *Recorder
	base     *Knowledge // what is known besides; nil: nothing
	thorough bool

	keys   map[string]seal.Key // by recipient
	sealed map[string][][]byte // by recipient: objects not opened yet
	fresh  []string            // recipients of the keys learnt last

	// Of a thorough adversary alone.
	texts   [][]byte            // everything that was read
	spelt   map[uint64]struct{} // the first eight bytes of every value in texts: raw, in hex or in base64
	secrets map[[32]byte]struct{}
}

func newKnowledge(c *Recorder, base *Knowledge, thorough bool) *Knowledge {
	return &Knowledge{cipher: c, base: base, thorough: thorough, keys: map[string]seal.Key{}, sealed: map[string][][]byte{},
		spelt: map[uint64]struct{}{}, secrets: map[[32]byte]struct{}{}}
}

// Key returns the key of a recipient, or nil.
func (k *Knowledge) Key(recipient string) seal.Key {
	for ; k != nil; k = k.base {
		if key := k.keys[recipient]; key != nil {
			return key
		}
	}
	return nil
}

// Spells reports whether anything that is known spells a value of at least eight
// bytes, or begins to, raw, in hex or in base64.
func (k *Knowledge) Spells(value []byte) bool {
	for head := binary.BigEndian.Uint64(value); k != nil; k = k.base {
		if _, ok := k.spelt[head]; ok {
			return true
		}
	}
	return false
}

// Reads reports whether a text stands in anything that is known.
func (k *Knowledge) Reads(text []byte) bool {
	for ; k != nil; k = k.base {
		for _, t := range k.texts {
			if bytes.Contains(t, text) {
				return true
			}
		}
	}
	return false
}

// learn takes a key, and everything that follows from it.
func (k *Knowledge) learn(key seal.Key) {
	if k.Key(key.Recipient()) != nil {
		return
	}
	k.keys[key.Recipient()] = key
	k.fresh = append(k.fresh, key.Recipient())
	if k.thorough {
		k.secret(key.RevealSeed())
	}
	for b := k; b != nil; b = b.base {
		for _, body := range b.sealed[key.Recipient()] {
			k.openWith(key, body)
		}
	}
}

func (k *Knowledge) openWith(key seal.Key, body []byte) {
	if plain, err := key.OpenShared(body); err == nil {
		k.look(plain)
	}
}

// open opens an object that is sealed to some recipients, and reports whether
// one of their keys is known.
func (k *Knowledge) open(body []byte, to []string) bool {
	for _, r := range to {
		if key := k.Key(r); key != nil {
			k.openWith(key, body)
			return true
		}
	}
	return false
}

// add takes an object: it is opened now, or once one of its keys is learnt.
func (k *Knowledge) add(body []byte) {
	to := k.cipher.Recipients(body)
	if to == nil && k.thorough && !bytes.HasPrefix(body, termPrefix) {
		k.look(body) // it is not sealed
	}
	if k.open(body, to) {
		return
	}
	for _, r := range to {
		k.sealed[r] = append(k.sealed[r], body)
	}
}

// look searches a plaintext for keys and sealed objects.
func (k *Knowledge) look(plain []byte) {
	if key, err := k.cipher.Parse(string(plain)); err == nil {
		k.learn(key)
		return
	}
	k.remember(plain)
	var v any
	if json.Unmarshal(plain, &v) == nil {
		k.walk(v)
		return
	}
	if !k.thorough {
		return
	}
	for line := range bytes.Lines(plain) { // documents begin with a line that says what they are
		if json.Unmarshal(line, &v) == nil {
			k.walk(v)
			continue
		}
		for _, word := range bytes.Fields(line) {
			k.word(string(word))
		}
	}
}

func (k *Knowledge) walk(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			k.walk(x)
		}
	case []any:
		for _, x := range v {
			k.walk(x)
		}
	case string:
		k.word(v)
	}
}

func (k *Knowledge) word(s string) {
	if key, err := k.cipher.Parse(s); err == nil {
		k.learn(key)
		return
	}
	b, err := base64.StdEncoding.DecodeString(s)
	switch {
	case err != nil:
	case k.thorough && len(b) >= 8 && k.cipher.Recipients(b) == nil:
		if len(b) == 32 {
			k.secret(b)
		}
		k.look(b)
	case len(b) > 64:
		k.add(b)
	}
}

// secret takes 32 bytes for a secret, and for the seed of an identity.
func (k *Knowledge) secret(b []byte) {
	s := [32]byte(b)
	for x := k; x != nil; x = x.base {
		if _, ok := x.secrets[s]; ok {
			return
		}
	}
	k.secrets[s] = struct{}{}
	k.spell(b)
	if key, err := k.cipher.FromSeed(b); err == nil {
		k.learn(key)
	}
}

func (k *Knowledge) spell(b []byte) { k.spelt[binary.BigEndian.Uint64(b)] = struct{}{} }

// remember keeps a text, and all values in it.
func (k *Knowledge) remember(text []byte) {
	if !k.thorough {
		return
	}
	k.texts = append(k.texts, text)
	k.hex(text)
	for i, high := 0, -1; i < len(text); i++ {
		if text[i] >= 0x80 {
			high = i
		}
		if first := i - 7; first >= 0 && high >= first { // no value of eight bytes is likely to be ASCII
			k.spell(text[first : i+1])
		}
	}
}

// hex finds values in hexadecimal. One of 32 bytes may be a secret.
func (k *Knowledge) hex(text []byte) {
	var value [32]byte
	for len(text) > 0 {
		n := 0
		for n < len(text) && isHex(text[n]) {
			n++
		}
		switch run := text[:n]; {
		case n < 16:
		case n == 64:
			hex.Decode(value[:], run)
			k.spell(value[:])
			k.secret(value[:])
		case n == 16 || n == 32:
			hex.Decode(value[:], run)
			k.spell(value[:])
		default: // a value may begin anywhere
			for i := range n - 15 {
				hex.Decode(value[:8], run[i:i+16])
				k.spell(value[:])
			}
		}
		text = text[min(n+1, len(text)):]
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
