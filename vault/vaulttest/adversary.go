package vaulttest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
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
	genesis canonical.Digest
	mode    string
	known   *Knowledge      // for ever
	today   *Knowledge      // besides, while the keepers open what they opened
	opened  map[string]bool // seeds that today follows from
	seeds   []wrapped       // seeds of epochs that are not known for ever
	read    int             // of the history
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
	return newAdversary(w, false, slices.Collect(maps.Keys(w.Members))...)
}

// NewThoroughAdversary returns one that also remembers all it reads, names of
// objects included, takes any 32 bytes for a secret and for the seed of an
// identity, and so can be asked what its knowledge spells and confirms. A cipher
// whose keys are slow to derive makes it slow.
func NewThoroughAdversary(w *World) *Adversary {
	return newAdversary(w, true, slices.Collect(maps.Keys(w.Members))...)
}

// NewAdversaryOf returns one who has the keys of these members alone.
func NewAdversaryOf(w *World, members ...string) *Adversary {
	return newAdversary(w, false, members...)
}

func newAdversary(w *World, thorough bool, members ...string) *Adversary {
	a := &Adversary{genesis: w.Genesis, mode: w.Mode, known: newKnowledge(w.Cipher.(*Recorder), nil, thorough)}
	for _, name := range members {
		a.known.learn(w.Members[name].Key)
	}
	return a
}

// Reach returns the recipients of all keys that the adversary can get hold of,
// given the history of storage, which must extend the one it was given before,
// and the keepers' state now.
func (a *Adversary) Reach(history []backendtest.Object, keepers map[string]custodytest.State) map[string]seal.Key {
	k := a.Know(history, keepers)
	keys := maps.Clone(k.base.keys)
	maps.Copy(keys, k.keys)
	return keys
}

// Know returns all that the adversary can get hold of, under the terms of Reach.
// It is valid until Know or Reach is called again.
func (a *Adversary) Know(history []backendtest.Object, keepers map[string]custodytest.State) *Knowledge {
	fresh := history[a.read:]
	a.read = len(history)
	a.known.fresh = nil
	for _, o := range fresh {
		if strings.HasSuffix(o.Key, "/id") {
			a.addSeed(o)
		} else {
			a.known.add(o.Body)
		}
		a.known.remember([]byte(o.Key))
	}
	a.refresh(fresh, keepers)
	return a.today
}

// refresh sees to what is known for today only: what follows from the seeds that
// keepers open now. It begins anew where one of those is gone, or where what is
// known for ever opens more of it.
func (a *Adversary) refresh(fresh []backendtest.Object, keepers map[string]custodytest.State) {
	seeds := map[string]bool{}
	for _, w := range a.seeds {
		if seed := a.unwrap(w, keepers); seed != nil {
			seeds[string(seed)] = true
		}
	}
	stale := a.today == nil
	for seed := range a.opened {
		stale = stale || !seeds[seed]
	}
	for _, to := range a.known.fresh {
		stale = stale || len(a.today.sealed[to]) > 0
	}
	if stale {
		a.today, a.opened, fresh = newKnowledge(a.known.cipher, a.known, a.known.thorough), map[string]bool{}, nil
	}
	for _, o := range fresh {
		if to := a.known.cipher.Recipients(o.Body); !slices.ContainsFunc(to, func(r string) bool { return a.known.keys[r] != nil }) && to != nil {
			a.today.open(o.Body, to)
		}
	}
	for seed := range seeds {
		if k, err := a.known.cipher.FromSeed([]byte(seed)); err == nil && !a.opened[seed] {
			a.opened[seed] = true
			a.today.learn(k)
		}
	}
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
