package keyring

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// restored is a keeper whose keys came back from a backup, although it says that
// they are destroyed.
type restored struct {
	custody.Keeper
	backup custodytest.State
}

func (k restored) Unwrap(ctx context.Context, ref custody.KeyRef, bound [32]byte, wrapped []byte) ([]byte, error) {
	if part, err := k.backup.Unwrap(ref, bound, wrapped); err == nil {
		return part, nil
	}
	return k.Keeper.Unwrap(ctx, ref, bound, wrapped)
}

// refusing is a keeper that says of every key that it is destroyed.
type refusing struct{ custody.Keeper }

func (refusing) Unwrap(context.Context, custody.KeyRef, [32]byte, []byte) ([]byte, error) {
	return nil, custody.ErrDestroyed
}

// denying is a keeper that this caller may not ask.
type denying struct{ custody.Keeper }

func (denying) Unwrap(context.Context, custody.KeyRef, [32]byte, []byte) ([]byte, error) {
	return nil, custody.ErrDenied
}

// wavering is a keeper that refuses keys which are not gone.
type wavering struct{ custody.Keeper }

func (k wavering) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	s, err := k.Keeper.Status(ctx, ref)
	if s.State == custody.Destroyed {
		s.State = custody.Pending
	}
	return s, err
}

// attacked disposes of the first of two versions and returns who attacks.
func attacked(t *testing.T, c vaulttest.Config, change func(*vaulttest.World)) (*vaulttest.World, *Ring, []canonical.ID) {
	t.Helper()
	c.Cipher = vaulttest.Symbolic{}
	w := registered(t, c)
	vids := pushN(t, ring(t, w, "pat", w.Store), 2)
	if change != nil {
		change(w)
	}
	alice := ring(t, w, "alice", w.Store)
	execute(t, w, alice, vids[0])
	must(t, alice.Drop(t.Context(), canonical.NewID()))
	_, err := alice.Destroy(t.Context(), canonical.NewID())
	must(t, err)
	return w, alice, vids
}

// attack attacks, and compares the result.
func attack(t *testing.T, r *Ring, want string) *Attacked {
	t.Helper()
	x, err := r.Attack(t.Context(), nil)
	must(t, err)
	if got := x.Result(r.Ledger.State()); got != want {
		t.Errorf("%s, not %s: %+v", got, want, x)
	}
	return x
}

func TestAttack(t *testing.T) {
	for _, c := range []vaulttest.Config{{}, {Mode: state.AnyOf, Keepers: 2}, {Mode: state.AllOf, Keepers: 3}} {
		w, alice, vids := attacked(t, c, nil)
		x := attack(t, alice, ResultVerified)
		if len(x.Tries) != max(1, c.Keepers) || len(x.Controls) != max(1, c.Keepers) || x.Tables == 0 {
			t.Errorf("%+v: %+v", c, x)
		}
		for _, control := range x.Controls {
			if control.What != "current epoch" {
				t.Errorf("%+v: %+v", c, control)
			}
		}
		must(t, open(t, w, vids[1]))
	}
}

// TestAttackWithoutSeeds: gc has taken the wrappings, and any bytes serve.
func TestAttackWithoutSeeds(t *testing.T) {
	w, alice, _ := attacked(t, vaulttest.Config{}, nil)
	_, err := w.Store.Erase(t.Context(), alice.seedKey(alice.Ledger.State().Epochs[0].EID))
	must(t, err)
	x := attack(t, alice, ResultVerified)
	if len(x.Tries) != 1 || x.Tries[0].Object != "" {
		t.Errorf("%+v", x.Tries)
	}
}

// TestAttackAfterTheEnd: with no epoch left a canary is the control.
func TestAttackAfterTheEnd(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	pushN(t, ring(t, w, "pat", w.Store), 1)
	alice := ring(t, w, "alice", w.Store)
	execute(t, w, alice)
	must(t, alice.Drop(t.Context(), canonical.NewID()))
	_, err := alice.Destroy(t.Context(), canonical.NewID())
	must(t, err)
	before := len(w.Keepers["keeper-0"].CurrentState())
	if x := attack(t, alice, ResultVerified); x.Controls[0].What != "canary" {
		t.Errorf("%+v", x.Controls)
	}
	if after := len(w.Keepers["keeper-0"].CurrentState()); after != before {
		t.Errorf("a canary lives on: %d keys, not %d", after, before)
	}
}

func TestAttackSucceeds(t *testing.T) {
	t.Run("a key from a backup", func(t *testing.T) {
		var backup custodytest.State
		w, alice, _ := attacked(t, vaulttest.Config{}, func(w *vaulttest.World) { backup = w.Keepers["keeper-0"].CurrentState() })
		alice.Keepers["keeper-0"] = restored{w.Keepers["keeper-0"], backup}
		attack(t, alice, ResultFailed)
	})
	t.Run("one of two keys from a backup", func(t *testing.T) {
		var backup custodytest.State
		w, alice, _ := attacked(t, vaulttest.Config{Mode: state.AnyOf, Keepers: 2}, func(w *vaulttest.World) { backup = w.Keepers["keeper-1"].CurrentState() })
		alice.Keepers["keeper-1"] = restored{w.Keepers["keeper-1"], backup}
		attack(t, alice, ResultFailed)
	})
	t.Run("a row under the current epoch", func(t *testing.T) {
		for _, place := range []func(*Ring, *state.Artefact, canonical.ID) string{
			func(r *Ring, a *state.Artefact, _ canonical.ID) string {
				return r.tableKey(a.Current.EID, canonical.NewID())
			},
			func(r *Ring, a *state.Artefact, vid canonical.ID) string { return r.rowKey(vid, a.Current.EID) },
		} {
			w, alice, vids := attacked(t, vaulttest.Config{}, nil)
			a := alice.Ledger.State()
			plain, err := encodeTable([]row{{VID: vids[0], GID: a.Generation().GID, Row: []byte("row")}})
			must(t, err)
			sealed, err := alice.cipher().Seal(plain, a.Current.Candidate.Recipient)
			must(t, err)
			_, err = w.Store.Put(t.Context(), place(alice, a, vids[0]), sealed)
			must(t, err)
			if x := attack(t, alice, ResultFailed); len(x.Exposures) != 1 {
				t.Errorf("%+v", x)
			}
		}
	})
}

func TestAttackInconclusive(t *testing.T) {
	for name, wrap := range map[string]func(custody.Keeper) custody.Keeper{
		"a keeper that refuses everything": func(k custody.Keeper) custody.Keeper { return refusing{k} },
		"a keeper that denies":             func(k custody.Keeper) custody.Keeper { return denying{k} },
		"a keeper that may cancel":         func(k custody.Keeper) custody.Keeper { return wavering{k} },
		"a keeper that is not there":       func(custody.Keeper) custody.Keeper { return nil },
		"a keeper that does not answer": func(k custody.Keeper) custody.Keeper {
			return custodytest.NewFaulty(k, func(custodytest.Call) custodytest.Fault { return custodytest.FailBefore })
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, alice, _ := attacked(t, vaulttest.Config{}, nil)
			alice.Keepers["keeper-0"] = wrap(alice.Keepers["keeper-0"])
			attack(t, alice, ResultInconclusive)
		})
	}
}

// TestAttackOneKeeperAway: of shares one refusal is enough, but only of a keeper
// that opens something; of whole seeds every keeper is needed.
func TestAttackOneKeeperAway(t *testing.T) {
	for _, c := range []struct {
		mode, want string
		first      func(custody.Keeper) custody.Keeper
		second     func(custody.Keeper) custody.Keeper
	}{
		{state.AllOf, ResultVerified, nil, func(custody.Keeper) custody.Keeper { return nil }},
		{state.AllOf, ResultInconclusive, func(k custody.Keeper) custody.Keeper { return refusing{k} }, func(custody.Keeper) custody.Keeper { return nil }},
		{state.AnyOf, ResultInconclusive, nil, func(custody.Keeper) custody.Keeper { return nil }},
		{state.AnyOf, ResultInconclusive, nil, func(k custody.Keeper) custody.Keeper { return refusing{k} }},
	} {
		w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Mode: c.mode, Keepers: 2})
		pushN(t, ring(t, w, "pat", w.Store), 1)
		alice := ring(t, w, "alice", w.Store)
		execute(t, w, alice) // all of it: no new keys are needed
		must(t, alice.Drop(t.Context(), canonical.NewID()))
		_, err := alice.Destroy(t.Context(), canonical.NewID())
		must(t, err)
		for id, wrap := range map[string]func(custody.Keeper) custody.Keeper{"keeper-0": c.first, "keeper-1": c.second} {
			if wrap != nil {
				alice.Keepers[id] = wrap(alice.Keepers[id])
			}
		}
		attack(t, alice, c.want)
	}
}

// TestAttackAfterMigration: a keeper that the vault has left and that is not
// configured any more is taken at its word of then; one that is, is asked; one
// that is configured and not reached is none of either.
func TestAttackAfterMigration(t *testing.T) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		change func(*Ring)
		want   string
		of     string // what came of the old keeper's keys
	}{
		"asked":       {func(*Ring) {}, ResultVerified, Refused},
		"left":        {func(r *Ring) { delete(r.Keepers, "keeper-0") }, ResultVerified, Acknowledged},
		"not reached": {func(r *Ring) { delete(r.Keepers, "keeper-0"); r.Unreached = errors.New("away") }, ResultInconclusive, Inconclusive},
		"denying":     {func(r *Ring) { r.Keepers["keeper-0"] = denying{r.Keepers["keeper-0"]} }, ResultInconclusive, Inconclusive},
	} {
		w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Keepers: 2})
		alice := ring(t, w, "alice", w.Store)
		for _, keeper := range []string{"keeper-0", "keeper-1"} {
			_, err := alice.refresh(ctx)
			must(t, err)
			must(t, alice.Vault.Append(ctx, state.KindCustody, state.CustodySet{Custody: state.Custody{Mode: state.AnyOf, Keepers: []state.Keeper{{Instance: keeper, Kind: "mem"}}}}, canonical.NewID()))
			_, err = alice.Rotate(ctx, canonical.NewID())
			must(t, err)
			_, err = alice.Destroy(ctx, canonical.NewID())
			must(t, err)
		}
		c.change(alice)
		x := attack(t, alice, c.want)
		tries := 0
		for _, try := range x.Tries {
			if try.Keeper == "keeper-0" {
				if tries++; try.Outcome != c.of {
					t.Errorf("%s: %+v", name, try)
				}
			}
		}
		if tries == 0 {
			t.Errorf("%s: the old keeper's keys stand in no try", name)
		}
	}
}

func TestCanary(t *testing.T) {
	k := custodytest.NewMem(time.Now, 0)
	must(t, canary(t.Context(), k))
	if err := canary(t.Context(), restored{k, nil}); err != nil {
		t.Error(err)
	}
	if err := canary(t.Context(), refusing{k}); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("a keeper that refuses everything: %v", err)
	}
	if n := len(k.CurrentState()); n > 0 {
		t.Errorf("%d keys are left", n)
	}
}
