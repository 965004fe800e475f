package keyring

import (
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// TestMigrateCoerced: after a migration whoever holds all that storage has ever
// held, every member's keys and the keepers before reaches no version by them;
// with the new keepers they reach all, and before the migration they did.
func TestMigrateCoerced(t *testing.T) {
	for _, mode := range []string{state.AnyOf, state.AllOf} {
		t.Run(mode, func(t *testing.T) {
			ctx := t.Context()
			w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Keepers: 4, Mode: mode})
			alice := ring(t, w, "alice", w.Store)
			to := func(keepers ...string) {
				t.Helper()
				c := state.Custody{Mode: mode}
				for _, k := range keepers {
					c.Keepers = append(c.Keepers, state.Keeper{Instance: k, Kind: "mem"})
				}
				_, err := alice.refresh(ctx)
				must(t, err)
				must(t, alice.Vault.Append(ctx, state.KindCustody, state.CustodySet{Custody: c}, canonical.NewID()))
				run := ring(t, w, "run", w.Store)
				_, err = run.Rotate(ctx, canonical.NewID())
				must(t, err)
				_, err = run.Destroy(ctx, canonical.NewID())
				must(t, err)
			}
			to("keeper-0", "keeper-1")
			vids := pushN(t, ring(t, w, "pat", w.Store), 3)
			var history []backendtest.Object
			seen := map[string]bool{}
			reached := func(keepers ...string) int {
				t.Helper()
				for _, key := range w.Store.Keys() { // nothing is overwritten, or erased here
					if !seen[key] {
						b, err := ledger.ReadObject(ctx, w.Store, key, 0)
						must(t, err)
						history, seen[key] = append(history, backendtest.Object{Key: key, Body: b}), true
					}
				}
				now := map[string]custodytest.State{}
				for _, k := range keepers {
					now[k] = w.Keepers[k].CurrentState()
				}
				keys, n := vaulttest.NewAdversary(w).Reach(history, now), 0
				a, err := alice.refresh(ctx)
				must(t, err)
				for _, vid := range vids {
					if keys[a.Version(vid).Recipient] != nil {
						n++
					}
				}
				return n
			}
			if n := reached("keeper-0", "keeper-1"); n != len(vids) {
				t.Fatalf("before, %d of %d versions are reached by the keepers", n, len(vids))
			}
			to("keeper-2", "keeper-3")
			if n := reached("keeper-0", "keeper-1"); n != 0 {
				t.Errorf("by the keepers before %d versions are reached", n)
			}
			if n := reached("keeper-0", "keeper-1", "keeper-2", "keeper-3"); n != len(vids) {
				t.Errorf("by the keepers of now %d of %d versions are reached", n, len(vids))
			}
			must(t, open(t, w, vids...))
		})
	}
}
