package keyring

import (
	"errors"
	"slices"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// TestMigrate moves an artefact to another custody, past a candidate that was
// begun in the old one.
func TestMigrate(t *testing.T) {
	ctx := t.Context()
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Keepers: 2})
	vids := pushN(t, ring(t, w, "pat", w.Store), 3)
	alice := ring(t, w, "alice", w.Store)
	a, err := alice.refresh(ctx)
	must(t, err)
	old := a.Current
	begun := canonical.NewID()
	must(t, alice.Ledger.Append(ctx, state.KindIntent, state.Intent{EID: begun, Label: state.EpochLabel(a.Vault.Genesis, a.ID, begun), Custody: a.Vault.Custody}, canonical.NewID()))
	to := state.Custody{Mode: state.AnyOf, Keepers: []state.Keeper{{Instance: "keeper-1", Kind: "mem"}}}
	must(t, alice.Vault.Append(ctx, state.KindCustody, state.CustodySet{Custody: to}, canonical.NewID()))

	run := ring(t, w, "run", w.Store)
	_, err = run.Rotate(ctx, canonical.NewID())
	must(t, err)
	current := run.Ledger.State().Current
	if current.EID == begun || !slices.Equal(current.Custody.Keepers, to.Keepers) {
		t.Errorf("the current epoch has the custody %v", current.Custody)
	}
	delete(run.Keepers, "keeper-0")
	if _, err := run.Destroy(ctx, canonical.NewID()); !errors.Is(err, custody.ErrUnavailable) {
		t.Errorf("Destroy without the old keeper: %v", err)
	}
	run.Keepers = w.AllKeepers()
	_, err = run.Destroy(ctx, canonical.NewID())
	must(t, err)
	if n := len(w.Keepers["keeper-0"].CurrentState()); n != 0 || !run.Ledger.State().Epoch(old.EID).KeysDestroyed {
		t.Errorf("the old keeper has %d keys", n)
	}
	must(t, open(t, w, vids...))
}

// TestReap: the key of an intent that was overtaken is destroyed, and no other.
func TestReap(t *testing.T) {
	ctx := t.Context()
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	alice := ring(t, w, "alice", w.Store)
	a, err := alice.refresh(ctx)
	must(t, err)
	eid := canonical.NewID()
	label := state.EpochLabel(a.Vault.Genesis, a.ID, eid)
	must(t, alice.Ledger.Append(ctx, state.KindIntent, state.Intent{EID: eid, Label: label, Custody: a.Vault.Custody}, canonical.NewID()))
	ref, err := w.Keepers["keeper-0"].Create(ctx, label)
	must(t, err)
	if n, err := alice.ReapIntents(ctx); n != 0 || err != nil {
		t.Errorf("an intent that may still get its candidate: %d keys, %v", n, err)
	}
	// An activation of another epoch, as if two rotators had raced.
	other := &rotation{Ring: alice, op: canonical.NewID(), given: map[canonical.ID]bool{eid: true}}
	other.drawn = map[canonical.ID]seal.Key{}
	must(t, other.step(ctx, a))
	if n, err := alice.ReapIntents(ctx); n != 1 || err != nil {
		t.Errorf("an abandoned intent: %d keys, %v", n, err)
	}
	if s, err := w.Keepers["keeper-0"].Status(ctx, ref); err != nil || s.State != custody.Destroyed {
		t.Errorf("its key: %v, %v", s.State, err)
	}
	if n := len(w.Keepers["keeper-0"].CurrentState()); n != 2 {
		t.Errorf("%d keys are left, not those of the current epoch and the one before", n)
	}
	if n, err := alice.ReapIntents(ctx); n != 0 || err != nil {
		t.Errorf("again: %d keys, %v", n, err)
	}
}
