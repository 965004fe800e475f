package ledger_test

import (
	"errors"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// TestForkOfARemovedMembersJournal: when the key ends that registered an artefact,
// the artefact is folded anew; what was read of it, by a client that remembers
// nothing else, is still what any later journal must begin with.
func TestForkOfARemovedMembersJournal(t *testing.T) {
	w := vaulttest.NewWorld(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Members: map[string][]string{"dana": {state.Developer}, "mel": {state.Developer}}})
	forger := vaulttest.NewForger(t, w, "dana")
	alice := w.Open(t, "alice", w.Store)
	aid := state.ArtefactID(alice.NameKey(), "c")
	view := (&vaulttest.Hostile{Truth: w.Store}).View()
	slot := ledger.ArtefactPrefix(aid) + "log/" + journal.Slot(0)
	e := forger.Sign(t.Context(), w.Members["mel"].Identity, entry.Header{Kind: state.KindRegister, Critical: true, Genesis: w.Genesis, Journal: aid.String(),
		Vault: alice.State().Head, Time: alice.State().Time, Op: canonical.NewID()}, state.Register{Name: "c"})
	view.Show(slot, forger.Object([]*entry.Entry{e}))

	dana := w.Open(t, "dana", view)
	c := dana.Artefact(aid)
	_, err := c.Fold(t.Context())
	must(t, err)

	a := alice.Artefact(aid)
	if _, err := a.Fold(t.Context()); !errors.Is(err, journal.ErrEmpty) {
		t.Fatal(err)
	}
	must(t, a.Append(t.Context(), state.KindRegister, state.Register{Name: "c"}, canonical.NewID()))
	remove(t, w, alice, map[canonical.Digest]entry.Position{aid: a.State().Head})
	must(t, a.Append(t.Context(), state.KindFence, state.Fence{}, canonical.NewID()))

	must(t, dana.Refresh(t.Context()))
	for range 2 {
		if _, err := c.Fold(t.Context()); !errors.Is(err, journal.ErrRolledBack) {
			t.Errorf("a journal that begins otherwise: %v", err)
		}
	}
	view.Heal()
	if _, err := w.Open(t, "dana", view).Artefact(aid).Fold(t.Context()); err != nil {
		t.Errorf("a new process, on the truth: %v", err)
	}
}

// remove removes mel, with a cut of these heads.
func remove(t *testing.T, w *vaulttest.World, alice *ledger.Vault, heads map[canonical.Digest]entry.Position) {
	t.Helper()
	var recipients []string
	for _, p := range alice.State().Recipients() {
		if p.Recipient.String() != w.Members["mel"].Identity.Public().Recipient.String() {
			recipients = append(recipients, p.Recipient.String())
		}
	}
	meta, sealed, err := alice.NewMetadata(t.Context(), recipients)
	must(t, err)
	_, err = w.Store.Put(t.Context(), ledger.MetadataKey(meta.MID), sealed)
	must(t, err)
	plain, err := ledger.NewCut(heads)
	must(t, err)
	sealed, err = alice.SealMetadata(plain)
	must(t, err)
	cut := state.Object{Key: "doc/" + canonical.Sum(sealed).String(), SHA256: canonical.Sum(sealed)}
	_, err = w.Store.Put(t.Context(), cut.Key, sealed)
	must(t, err)
	must(t, alice.Append(t.Context(), state.KindMemberRemove, state.MemberRemove{Name: "mel", Metadata: meta, Cut: cut}, canonical.NewID()))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
