package vaulttest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/state"
)

// Adversary is the coercive one: after a disposal it holds every object ever
// written, every member's keys, and all that the keepers hold by now.
//
// What it can reach is a fixpoint. A key opens what is sealed to it; a plaintext
// shows further sealed objects and further keys; a wrapped seed opens with the
// keeper's key, and with the context that its place in storage tells. It knows
// the formats only as far as that: any string in them may be a key or a sealed
// object, and is tried.
type Adversary struct {
	cipher  *Recorder
	genesis canonical.Digest
	mode    string
	members []seal.Key

	sealed map[string][][]byte // by recipient: objects not opened yet
	keys   map[string]seal.Key // by recipient: all that is known for ever
	seeds  []wrapped           // seeds of epochs that are not known for ever
	read   int                 // of the history
}

// wrapped is an object e/<eid>/id.
type wrapped struct {
	context [32]byte
	object  struct {
		Wraps []struct {
			Instance string `json:"instance"`
			Wrapped  []byte `json:"wrapped"`
		} `json:"wraps"`
	}
}

// NewAdversary returns the adversary of a world whose cipher is a Recorder. It
// may be asked again and again while the history grows.
func NewAdversary(w *World) *Adversary {
	a := &Adversary{cipher: w.Cipher.(*Recorder), genesis: w.Genesis, mode: w.Mode, sealed: map[string][][]byte{}, keys: map[string]seal.Key{}}
	for _, m := range w.Members {
		a.members = append(a.members, m.Key)
	}
	for _, k := range a.members {
		a.learn(a.keys, a.sealed, k)
	}
	return a
}

// Reach returns the recipients of all keys that the adversary can get hold of,
// given the history of storage, which must extend the one it was given before,
// and the keepers' state now.
func (a *Adversary) Reach(history []backendtest.Object, keepers map[string]custodytest.State) map[string]seal.Key {
	for _, o := range history[a.read:] {
		if strings.HasSuffix(o.Key, "/id") {
			a.addSeed(o)
			continue
		}
		a.add(a.keys, a.sealed, o.Body)
	}
	a.read = len(history)
	// What a keeper opens today is known for today only.
	keys, sealed := clone(a.keys), clone(a.sealed)
	for _, w := range a.seeds {
		if seed := a.unwrap(w, keepers); seed != nil {
			if k, err := a.cipher.FromSeed(seed); err == nil {
				a.learn(keys, sealed, k)
			}
		}
	}
	return keys
}

func clone[V any](m map[string]V) map[string]V {
	c := make(map[string]V, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (a *Adversary) addSeed(o backendtest.Object) {
	parts := strings.Split(o.Key, "/") // a/<aid>/e/<eid>/id
	if len(parts) != 5 {
		return
	}
	aid, err1 := canonical.ParseDigest(parts[1])
	eid, err2 := canonical.ParseID(parts[3])
	w := wrapped{context: state.EpochContext(a.genesis, aid, eid)}
	if err1 == nil && err2 == nil && json.Unmarshal(o.Body, &w.object) == nil {
		a.seeds = append(a.seeds, w)
	}
}

// unwrap opens a seed with whatever keys the keepers still have.
func (a *Adversary) unwrap(w wrapped, keepers map[string]custodytest.State) []byte {
	var seed []byte
	for _, wrap := range w.object.Wraps {
		var part []byte
		for ref := range keepers[wrap.Instance] {
			if p, err := keepers[wrap.Instance].Unwrap(ref, w.context, wrap.Wrapped); err == nil {
				part = p
			}
		}
		switch {
		case a.mode != state.AllOf && part != nil:
			return part
		case a.mode != state.AllOf:
		case part == nil:
			return nil
		case seed == nil:
			seed = bytes.Clone(part)
		default:
			for i := range seed {
				seed[i] ^= part[i]
			}
		}
	}
	return seed
}

// learn takes a key, and everything that follows from it.
func (a *Adversary) learn(keys map[string]seal.Key, sealed map[string][][]byte, k seal.Key) {
	if keys[k.Recipient()] != nil {
		return
	}
	keys[k.Recipient()] = k
	for _, body := range sealed[k.Recipient()] {
		a.open(keys, sealed, k, body)
	}
}

func (a *Adversary) open(keys map[string]seal.Key, sealed map[string][][]byte, k seal.Key, body []byte) {
	if plain, err := k.OpenShared(body); err == nil {
		a.look(keys, sealed, plain)
	}
}

// add takes an object: it is opened now, or once one of its keys is learnt.
func (a *Adversary) add(keys map[string]seal.Key, sealed map[string][][]byte, body []byte) {
	for _, to := range a.cipher.Recipients(body) {
		if k := keys[to]; k != nil {
			a.open(keys, sealed, k, body)
			return
		}
	}
	for _, to := range a.cipher.Recipients(body) {
		sealed[to] = append(sealed[to][:len(sealed[to]):len(sealed[to])], body)
	}
}

// look searches a plaintext for keys and sealed objects.
func (a *Adversary) look(keys map[string]seal.Key, sealed map[string][][]byte, plain []byte) {
	if k, err := a.cipher.Parse(string(plain)); err == nil {
		a.learn(keys, sealed, k)
		return
	}
	var v any
	if json.Unmarshal(plain, &v) == nil {
		a.walk(keys, sealed, v)
	}
}

func (a *Adversary) walk(keys map[string]seal.Key, sealed map[string][][]byte, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			a.walk(keys, sealed, x)
		}
	case []any:
		for _, x := range v {
			a.walk(keys, sealed, x)
		}
	case string:
		if k, err := a.cipher.Parse(v); err == nil {
			a.learn(keys, sealed, k)
		} else if b, err := base64.StdEncoding.DecodeString(v); err == nil && len(b) > 64 {
			a.add(keys, sealed, b)
		}
	}
}
