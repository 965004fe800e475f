package keyring

import (
	"errors"
	"slices"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// crew is a world in which dora, a developer, and rita read; vera and walt are
// nobody's readers yet.
func crew(t *testing.T) (*vaulttest.World, []canonical.ID) {
	t.Helper()
	w := vaulttest.NewWorld(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Members: map[string][]string{
		"dora": {state.Developer}, "olga": {state.Operator}, "pat": {state.Pusher}, "rita": nil, "run": {state.Runner}, "vera": nil, "walt": nil}})
	must(t, ring(t, w, "dora", w.Store).Register(t.Context(), artefact, readers(w, "dora", "rita"), canonical.NewID()))
	return w, pushN(t, ring(t, w, "pat", w.Store), 3)
}

// reads tries to open versions as a member, who may use whatever the vault
// binds, and returns how many opened.
func reads(t *testing.T, w *vaulttest.World, name string, vids ...canonical.ID) (n int) {
	t.Helper()
	r := ring(t, w, name, w.Store)
	r.Others = &Others{Store: w.Store}
	a, err := r.refresh(t.Context())
	must(t, err)
	for _, vid := range vids {
		_, err := r.OpenVersion(t.Context(), a, a.Version(vid))
		if err == nil {
			n++
		} else if !errors.Is(err, ErrNoReader) && !errors.Is(err, custody.ErrDestroyed) {
			t.Errorf("%s opening: %v", name, err)
		}
	}
	return n
}

func exactly(rs []Reader) func([]Reader) ([]Reader, error) {
	return func([]Reader) ([]Reader, error) { return rs, nil }
}

// TestRevokeAndReseal: a revocation binds pushes at once and needs no right to
// read; rows follow with a reader's rotation, and with nobody else's.
func TestRevokeAndReseal(t *testing.T) {
	w, old := crew(t)
	olga := ring(t, w, "olga", w.Store)
	changed, err := olga.Replace(t.Context(), exactly(readers(w, "dora", "vera")), canonical.NewID())
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if changed, err := olga.Replace(t.Context(), exactly(readers(w, "vera", "dora")), canonical.NewID()); err != nil || changed {
		t.Fatalf("the same readers again: %v, %v", changed, err)
	}
	fresh := pushN(t, ring(t, w, "pat", w.Store), 2)
	all := append(slices.Clone(old), fresh...)
	for name, want := range map[string][2]int{"rita": {3, 0}, "dora": {3, 2}, "vera": {0, 2}, "olga": {0, 0}} {
		if a, b := reads(t, w, name, old...), reads(t, w, name, fresh...); a != want[0] || b != want[1] {
			t.Errorf("%s reads %d old and %d new versions, want %v", name, a, b, want)
		}
	}
	pending := func() int {
		a, err := olga.refresh(t.Context())
		must(t, err)
		return len(a.ResealPending())
	}
	must(t, second(ring(t, w, "run", w.Store).Rotate(t.Context(), canonical.NewID())))
	if n := pending(); n != 3 || reads(t, w, "vera", old...) != 0 {
		t.Errorf("a rotation by somebody who does not read left %d versions pending, want 3", n)
	}
	must(t, second(ring(t, w, "dora", w.Store).Rotate(t.Context(), canonical.NewID())))
	if n := pending(); n != 0 || reads(t, w, "vera", all...) != 5 || reads(t, w, "dora", all...) != 5 {
		t.Errorf("a reader's rotation left %d versions pending", n)
	}
	if n := reads(t, w, "rita", all...); n != 0 {
		t.Errorf("who was taken away opens %d versions of the new epoch", n)
	}
	must(t, second(ring(t, w, "run", w.Store).Rotate(t.Context(), canonical.NewID())))
	if n := pending(); n != 0 || reads(t, w, "vera", all...) != 5 {
		t.Errorf("a plain rotation after it left %d versions pending", n)
	}
	must(t, second(ring(t, w, "run", w.Store).Destroy(t.Context(), canonical.NewID())))
	if reads(t, w, "vera", all...) != 5 {
		t.Error("versions were lost with the old keys")
	}
}

func second[T any](_ T, err error) error { return err }

// TestGrantTakesEarlierGenerationsAlong: who is added while rows still stand
// sealed to earlier readers reads those too; no row is touched.
func TestGrantTakesEarlierGenerationsAlong(t *testing.T) {
	w, old := crew(t)
	must(t, second(ring(t, w, "olga", w.Store).Replace(t.Context(), exactly(readers(w, "dora")), canonical.NewID())))
	if _, err := ring(t, w, "olga", w.Store).Grant(t.Context(), readers(w, "walt"), canonical.NewID()); !errors.Is(err, ErrNoReader) {
		t.Errorf("an operator who does not read added a reader: %v", err)
	}
	before := len(w.Store.Keys())
	dora := ring(t, w, "dora", w.Store)
	for i, want := range []bool{true, false} {
		if changed, err := dora.Grant(t.Context(), readers(w, "walt"), canonical.NewID()); err != nil || changed != want {
			t.Fatalf("grant %d: %v, %v", i, changed, err)
		}
	}
	if n := len(w.Store.Keys()) - before; n != 3 {
		t.Errorf("adding a reader stored %d objects, want the list, the generation and the entry", n)
	}
	if n := reads(t, w, "walt", old...); n != 3 {
		t.Errorf("the new reader opens %d of 3 versions", n)
	}
	have, err := dora.Readers(t.Context(), dora.Ledger.State())
	must(t, err)
	if !slices.Equal(have, readers(w, "dora", "walt")) {
		t.Errorf("readers %v", have)
	}
	if _, err := ring(t, w, "rita", w.Store).Grant(t.Context(), readers(w, "vera"), canonical.NewID()); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a reader without a role added another: %v", err)
	}
	if _, err := ring(t, w, "dora", w.Store).Replace(t.Context(), exactly(readers(w, "dora")), canonical.NewID()); err == nil {
		t.Error("a developer took a reader away")
	}
	if _, err := ring(t, w, "olga", w.Store).Replace(t.Context(), exactly(nil), canonical.NewID()); !errors.Is(err, ErrNoReaders) {
		t.Errorf("no readers at all: %v", err)
	}
}

// putGroup makes a group of members with the identity key.
func putGroup(t *testing.T, w *vaulttest.World, v *ledger.Vault, id canonical.ID, seed byte, members ...string) state.Group {
	t.Helper()
	key, err := w.Cipher.FromSeed(slices.Repeat([]byte{seed}, 32))
	must(t, err)
	sealed, err := SealGroup(w.Cipher, "ml", key, readers(w, members...))
	must(t, err)
	g := state.Group{Name: "ml", ID: id, Recipient: key.Recipient(), Object: state.Object{Key: "grp/" + id.String() + "-" + canonical.NewID().String(), SHA256: canonical.Sum(sealed)}}
	must(t, second(w.Store.Put(t.Context(), g.Object.Key, sealed)))
	plain, err := EncodeMembers(id, readers(w, members...))
	must(t, err)
	list, err := v.SealMetadata(plain)
	must(t, err)
	g.List = state.Object{Key: "doc/" + canonical.Sum(list).String(), SHA256: canonical.Sum(list)}
	must(t, second(w.Store.Put(t.Context(), g.List.Key, list)))
	must(t, v.Refresh(t.Context()))
	must(t, v.Append(t.Context(), state.KindGroup, g, canonical.NewID()))
	return g
}

// TestGroupsRead: a group is one reader, and who joins it later reads what it reads.
func TestGroupsRead(t *testing.T) {
	w, old := crew(t)
	alice := w.Open(t, "alice", w.Store)
	id := canonical.NewID()
	g := putGroup(t, w, alice, id, 7, "vera")
	must(t, second(ring(t, w, "dora", w.Store).Grant(t.Context(), []Reader{{Name: "@ml", Recipient: g.Recipient}}, canonical.NewID())))
	if reads(t, w, "vera", old...) != 3 || reads(t, w, "walt", old...) != 0 {
		t.Error("a member of the group does not read, or somebody else does")
	}
	putGroup(t, w, alice, id, 7, "vera", "walt")
	if reads(t, w, "vera", old...) != 3 || reads(t, w, "walt", old...) != 3 {
		t.Error("a new member of the group does not read")
	}
	// A new identity: what is sealed to the old one stays open for those who had it.
	putGroup(t, w, alice, canonical.NewID(), 8, "walt")
	if reads(t, w, "walt", old...) != 3 {
		t.Error("who was in the group before lost what the generation is sealed to")
	}
	vera := &Others{Store: w.Store}
	if key, err := vera.GroupKey(t.Context(), w.Open(t, "vera", w.Store), alice.State().Group("ml")); err != nil || key != nil {
		t.Errorf("who left the group opens its new identity: %v", err)
	}
}

// TestReadersAreBound: a list, or a group's object, that was changed is refused.
func TestReadersAreBound(t *testing.T) {
	w, vids := crew(t)
	alice := w.Open(t, "alice", w.Store)
	g := putGroup(t, w, alice, canonical.NewID(), 7, "vera")
	dora := ring(t, w, "dora", w.Store)
	must(t, second(dora.Grant(t.Context(), []Reader{{Name: "@ml", Recipient: g.Recipient}}, canonical.NewID())))
	for _, key := range []string{g.Object.Key, dora.Ledger.State().Generation().More[0].List.Key} {
		body, err := ledger.ReadObject(t.Context(), w.Store, key, 0)
		must(t, err)
		w.Store.Remove(key)
		spoilt := slices.Clone(body)
		spoilt[len(spoilt)/2] ^= 1
		must(t, second(w.Store.Put(t.Context(), key, spoilt)))
		r := ring(t, w, "vera", w.Store)
		r.Others = &Others{Store: w.Store}
		a, err := r.refresh(t.Context())
		must(t, err)
		if _, err := r.OpenVersion(t.Context(), a, a.Version(vids[0])); !errors.Is(err, ErrIntegrity) && !errors.Is(err, state.ErrUnverifiable) {
			t.Errorf("%s with a flipped bit: %v", key, err)
		}
		w.Store.Remove(key)
		must(t, second(w.Store.Put(t.Context(), key, body)))
	}
}
