package vaulttest

import (
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/state"
)

// TestAdversary builds the chain from a keeper's key to a version identity by
// hand, and takes one link away at a time.
func TestAdversary(t *testing.T) {
	for name, mode := range map[string]string{"any-of": state.AnyOf, "all-of": state.AllOf} {
		t.Run(name, func(t *testing.T) { testAdversary(t, mode) })
	}
}

func testAdversary(t *testing.T, mode string) {
	w := NewWorld(t, Config{Cipher: Symbolic{}, Mode: mode, Keepers: 2})
	aid, eid := canonical.Sum([]byte("artefact")), canonical.NewID()
	generate := func() seal.Key {
		k, err := w.Cipher.Generate()
		must(t, err)
		return k
	}
	sealed := func(v any, to seal.Key) []byte {
		plain, ok := v.([]byte)
		if !ok {
			var err error
			plain, err = canonical.Marshal(v)
			must(t, err)
		}
		b, err := w.Cipher.Seal(plain, to.Recipient())
		must(t, err)
		return b
	}
	epoch, generation, version := generate(), generate(), generate()
	row := sealed([]byte(version.Reveal()), generation)
	table := sealed(map[string][]byte{"row": row}, epoch)
	readers := sealed(map[string]string{"identity": generation.Reveal()}, w.Members["alice"].Key)

	parts := [][]byte{epoch.RevealSeed(), epoch.RevealSeed()}
	if mode == state.AllOf {
		parts[1] = make([]byte, 32)
		for i := range parts[1] {
			parts[1][i] = byte(i)
			parts[0][i] ^= byte(i)
		}
	}
	var object struct {
		Wraps []map[string]any `json:"wraps"`
	}
	refs := map[string]custody.KeyRef{}
	for i, part := range parts {
		k := w.Keepers[instance(i)]
		ref, err := k.Create(t.Context(), "label")
		must(t, err)
		wrapped, err := k.Wrap(t.Context(), ref, state.EpochContext(w.Genesis, aid, eid), part)
		must(t, err)
		object.Wraps = append(object.Wraps, map[string]any{"instance": instance(i), "wrapped": wrapped})
		refs[instance(i)] = ref
	}
	seed, err := canonical.Marshal(object)
	must(t, err)
	history := []backendtest.Object{
		{Key: "a/" + aid.String() + "/e/" + eid.String() + "/k-0", Body: table},
		{Key: "a/" + aid.String() + "/e/" + eid.String() + "/id", Body: seed},
		{Key: "a/" + aid.String() + "/g/0", Body: readers},
	}
	current := func() map[string]custodytest.State {
		out := map[string]custodytest.State{}
		for id, k := range w.Keepers {
			out[id] = k.CurrentState()
		}
		return out
	}
	reaches := func(history []backendtest.Object) bool {
		return NewAdversary(w).Reach(history, current())[version.Recipient()] != nil
	}
	if !reaches(history) {
		t.Error("with everything, the adversary does not find the version")
	}
	for i := range history {
		if reaches(append(append([]backendtest.Object{}, history[:i]...), history[i+1:]...)) {
			t.Errorf("without %s, the adversary finds the version", history[i].Key)
		}
	}
	patient := NewAdversary(w)
	if patient.Reach(history[:1], current())[version.Recipient()] != nil || patient.Reach(history, current())[version.Recipient()] == nil {
		t.Error("an adversary that sees history grow does not find the version when it can")
	}
	_, err = w.Keepers[instance(0)].Destroy(t.Context(), refs[instance(0)])
	must(t, err)
	if got := reaches(history); got != (mode == state.AnyOf) {
		t.Errorf("with one of two keys destroyed, the adversary finds the version: %v", got)
	}
	_, err = w.Keepers[instance(1)].Destroy(t.Context(), refs[instance(1)])
	must(t, err)
	if reaches(history) || patient.Reach(history, current())[version.Recipient()] != nil {
		t.Error("with both keys destroyed, the adversary finds the version")
	}
}
