package keyring

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

func TestDestroyPending(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Delay: 48 * time.Hour})
	alice := ring(t, w, "alice", w.Store)
	vids := pushN(t, ring(t, w, "pat", w.Store), 2)
	execute(t, w, alice, vids[0])
	must(t, alice.Drop(t.Context(), canonical.NewID()))
	begun := w.Clock.Now()
	for range 2 {
		w.Clock.Advance(time.Hour)
		_, err := alice.Destroy(t.Context(), canonical.NewID())
		var pending *PendingError
		if !errors.As(err, &pending) || len(pending.Keys) != 1 {
			t.Fatalf("Destroy of a key that the keeper delays: %v", err)
		}
		if until := begun.Add(49 * time.Hour); !pending.Until().Equal(until) || !strings.Contains(err.Error(), "2026-11-25T13:00:00Z") {
			t.Errorf("it waits until %v (%v), not %v", pending.Until(), err, until)
		}
	}
	if s := alice.Ledger.State().Version(vids[0]).State; s != state.Dropped {
		t.Errorf("a version whose key is pending is %s", s)
	}
	w.Clock.Advance(48 * time.Hour)
	done, err := alice.Destroy(t.Context(), canonical.NewID())
	must(t, err)
	if len(done.Versions) != 1 || done.Versions[0] != vids[0] || len(done.Keys) != 1 || done.Keys[0].Evidence.IsZero() {
		t.Errorf("Destroy after the delay: %+v", done)
	}
	must(t, open(t, w, vids[1]))
}

// TestDestroyForeignKey plants, in a candidate, the key of something else: whoever
// may destroy must not be made to destroy that.
func TestDestroyForeignKey(t *testing.T) {
	ctx := t.Context()
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	alice := ring(t, w, "alice", w.Store)
	var keeper *custodytest.Mem
	for _, k := range w.Keepers {
		keeper = k
	}
	foreign, err := keeper.Create(ctx, "the-key-of-another-artefact")
	must(t, err)
	a, err := alice.refresh(ctx)
	must(t, err)
	eid := canonical.NewID()
	must(t, alice.Ledger.Append(ctx, state.KindIntent, state.Intent{EID: eid, Label: state.EpochLabel(a.Vault.Genesis, a.ID, eid), Custody: a.Vault.Custody}, canonical.NewID()))
	must(t, alice.Ledger.Append(ctx, state.KindCandidate, state.Candidate{EID: eid, Mode: a.Vault.Custody.Mode, Recipient: "nobody",
		Keys: []state.KeyRef{{Instance: a.Vault.Custody.Keepers[0].Instance, Ref: string(foreign)}}}, canonical.NewID()))
	_, err = alice.Rotate(ctx, canonical.NewID())
	must(t, err)
	before := len(keeper.CurrentState())
	if _, err := alice.Destroy(ctx, canonical.NewID()); !errors.Is(err, ErrIntegrity) {
		t.Errorf("Destroy of a key that is not the epoch's: %v", err)
	}
	if after := len(keeper.CurrentState()); after != before {
		t.Errorf("%d of %d keys are left", after, before)
	}
}

// TestIntentLabel: an intent cannot claim the label, and so the key, of another epoch.
func TestIntentLabel(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	alice := ring(t, w, "alice", w.Store)
	a, err := alice.refresh(t.Context())
	must(t, err)
	err = alice.Ledger.Append(t.Context(), state.KindIntent, state.Intent{EID: canonical.NewID(), Label: a.Current.Label, Custody: a.Vault.Custody}, canonical.NewID())
	var void *state.Void
	if !errors.As(err, &void) || void.Rule != state.RuleCustody {
		t.Errorf("an intent with the label of another epoch: %v", err)
	}
}

// faulty lets one keeper of a world fail as told.
func faulty(w *vaulttest.World, r *Ring, instance string, ops ...custodytest.Op) {
	r.Keepers[instance] = custodytest.NewFaulty(w.Keepers[instance], func(c custodytest.Call) custodytest.Fault {
		for _, op := range ops {
			if c.Op == op {
				return custodytest.FailBefore
			}
		}
		return custodytest.NoFault
	})
}

func TestAnyOf(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Mode: state.AnyOf, Keepers: 2})
	vids := pushN(t, ring(t, w, "pat", w.Store), 2)
	alice, rita := ring(t, w, "alice", w.Store), ring(t, w, "rita", w.Store)
	delete(rita.Keepers, "keeper-0")
	a, err := rita.refresh(t.Context())
	must(t, err)
	_, err = rita.OpenVersion(t.Context(), a, a.Version(vids[0]))
	must(t, err) // with the other keeper alone
	execute(t, w, alice, vids[0])
	must(t, alice.Drop(t.Context(), canonical.NewID()))
	faulty(w, alice, "keeper-1", custodytest.OpDestroy)
	if _, err := alice.Destroy(t.Context(), canonical.NewID()); !errors.Is(err, custody.ErrUnavailable) {
		t.Errorf("Destroy that one of two keepers refuses: %v", err)
	}
	if s := alice.Ledger.State().Version(vids[0]).State; s != state.Dropped {
		t.Errorf("a version that a keeper still opens is %s", s)
	}
	alice.Keepers = w.AllKeepers()
	done, err := alice.Destroy(t.Context(), canonical.NewID())
	must(t, err)
	if len(done.Keys) != 2 || len(done.Versions) != 1 {
		t.Errorf("Destroy names %d keys and %d versions, not 2 and 1", len(done.Keys), len(done.Versions))
	}
	must(t, open(t, w, vids[1]))
}

func TestAllOf(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Mode: state.AllOf, Keepers: 3})
	vids := pushN(t, ring(t, w, "pat", w.Store), 2)
	must(t, open(t, w, vids...))
	alice, rita := ring(t, w, "alice", w.Store), ring(t, w, "rita", w.Store)
	delete(rita.Keepers, "keeper-1")
	a, err := rita.refresh(t.Context())
	must(t, err)
	if _, err := rita.OpenVersion(t.Context(), a, a.Version(vids[0])); !errors.Is(err, custody.ErrUnavailable) {
		t.Errorf("opening without one of the shares: %v", err)
	}
	execute(t, w, alice, vids[0])
	must(t, alice.Drop(t.Context(), canonical.NewID()))
	faulty(w, alice, "keeper-1", custodytest.OpDestroy)
	faulty(w, alice, "keeper-2", custodytest.OpDestroy)
	var warned error
	alice.Warn = func(err error) { warned = err }
	done, err := alice.Destroy(t.Context(), canonical.NewID())
	must(t, err)
	if len(done.Keys) != 1 || len(done.Versions) != 1 {
		t.Errorf("Destroy names %d keys and %d versions: not 1 and 1", len(done.Keys), len(done.Versions))
	}
	if warned == nil || !strings.Contains(warned.Error(), "keeper-1") || !strings.Contains(warned.Error(), "keeper-2") {
		t.Errorf("of the keepers that failed it says %v", warned)
	}
	must(t, open(t, w, vids[1]))
}

// TestManyKeys: abandoned candidates pile up, and one entry has no room for all
// their keys.
func TestManyKeys(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	alice := ring(t, w, "alice", w.Store)
	vids := pushN(t, ring(t, w, "pat", w.Store), 200)
	for range 3 * maxNamedKeys {
		_, err := alice.Rotate(t.Context(), canonical.NewID())
		must(t, err)
	}
	execute(t, w, alice, vids[:150]...)
	must(t, alice.Drop(t.Context(), canonical.NewID()))
	done, err := alice.Destroy(t.Context(), canonical.NewID())
	must(t, err)
	if len(done.Keys) != 3*maxNamedKeys+1 || len(done.Versions) != 150 {
		t.Errorf("Destroy names %d keys and %d versions, not %d and 150", len(done.Keys), len(done.Versions), 3*maxNamedKeys+1)
	}
	if left := alice.Ledger.State().Doomed(); len(left) > 0 {
		t.Errorf("%d epochs are left", len(left))
	}
	must(t, open(t, w, vids[150:]...))
}

// TestDamage: an epoch that is damaged is neither copied nor trusted.
func TestDamage(t *testing.T) {
	for _, part := range []string{"/k-", "/i-", "/id"} {
		t.Run(part, func(t *testing.T) {
			w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
			alice := ring(t, w, "alice", w.Store)
			vids := pushN(t, ring(t, w, "pat", w.Store), 3)
			_, err := alice.Rotate(t.Context(), canonical.NewID())
			must(t, err)
			prefix := alice.epochPrefix(alice.Ledger.State().Current.EID)
			for _, key := range w.Store.Keys() {
				if strings.HasPrefix(key, prefix) && strings.Contains(key, part) {
					w.Store.Tamper(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
				}
			}
			if err := open(t, w, vids...); !errors.Is(err, ErrIntegrity) {
				t.Errorf("opening: %v", err)
			}
			fresh := ring(t, w, "alice", w.Store)
			if _, err := fresh.Destroy(t.Context(), canonical.NewID()); !errors.Is(err, ErrIntegrity) {
				t.Errorf("Destroy: %v", err)
			}
			if _, err := fresh.Rotate(t.Context(), canonical.NewID()); !errors.Is(err, ErrIntegrity) {
				t.Errorf("Rotate: %v", err)
			}
			execute(t, w, fresh, vids...) // and cancellable
			if _, err := fresh.Destroy(t.Context(), canonical.NewID()); !errors.Is(err, ErrIntegrity) {
				t.Errorf("Destroy after execute: %v", err)
			}
			if n := len(w.Keepers["keeper-0"].CurrentState()); n < 2 {
				t.Errorf("%d keys are left", n)
			}
		})
	}
}
