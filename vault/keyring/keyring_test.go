package keyring

import (
	"context"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

const artefact = "team/model"

func newWorld(t testing.TB, c vaulttest.Config) *vaulttest.World {
	t.Helper()
	if c.Members == nil {
		c.Members = map[string][]string{"bob": {state.Custodian, state.Operator}, "pat": {state.Pusher}, "run": {state.Runner}, "rita": {state.Developer}}
	}
	return vaulttest.NewWorld(t, c)
}

// ring returns a member's ring on a store that shows the world's storage.
func ring(t testing.TB, w *vaulttest.World, name string, s backends.Store) *Ring {
	t.Helper()
	v := w.Open(t, name, s)
	return &Ring{Vault: v, Ledger: v.Artefact(state.ArtefactID(v.NameKey(), artefact)), Store: s, Keepers: w.AllKeepers()}
}

func readers(w *vaulttest.World, names ...string) []Reader {
	var out []Reader
	for _, n := range names {
		out = append(out, Reader{Name: n, Recipient: w.Members[n].Key.Recipient()})
	}
	return out
}

// upload stands in for the data plane: it stores nothing and names objects as if it had.
func upload(r *Ring) func(context.Context, Attempt) (state.Version, error) {
	return func(_ context.Context, at Attempt) (state.Version, error) {
		object := func(part string) state.Object {
			return state.Object{Key: r.VersionPrefix(at.VID) + part + canonical.NewID().String(), SHA256: canonical.Sum([]byte(part))}
		}
		return state.Version{Manifest: object("m-"), References: object("r-"), Secret: canonical.Sum([]byte("s")), Digest: canonical.Sum(at.VID[:]),
			Kind: "model", Classification: "internal"}, nil
	}
}

func TestLifeWithAge(t *testing.T) { testLife(t, seal.Age{}) }

func TestLifeWithSymbols(t *testing.T) { testLife(t, vaulttest.Symbolic{}) }

func testLife(t *testing.T, c seal.Cipher) {
	ctx := t.Context()
	w := newWorld(t, vaulttest.Config{Cipher: c})
	alice := ring(t, w, "alice", w.Store)
	must(t, alice.Register(ctx, artefact, readers(w, "rita"), canonical.NewID()))
	pat := ring(t, w, "pat", w.Store)
	pat.Keepers = nil
	var vids []canonical.ID
	for range 70 {
		v, err := pat.Push(ctx, Push{Op: canonical.NewID(), Upload: upload(pat)})
		must(t, err)
		vids = append(vids, v.VID)
	}
	openAll(t, w, vids)
	run := ring(t, w, "run", w.Store)
	for range 2 {
		_, err := run.Rotate(ctx, canonical.NewID())
		must(t, err)
		openAll(t, w, vids)
		v, err := pat.Push(ctx, Push{Op: canonical.NewID(), Upload: upload(pat)})
		must(t, err)
		vids = append(vids, v.VID)
	}
}

func openAll(t *testing.T, w *vaulttest.World, vids []canonical.ID) {
	t.Helper()
	rita := ring(t, w, "rita", w.Store)
	a, err := rita.refresh(t.Context())
	must(t, err)
	for _, vid := range vids {
		v := a.Version(vid)
		key, err := rita.OpenVersion(t.Context(), a, v)
		must(t, err)
		if key.Recipient() != v.Recipient {
			t.Errorf("version %s opened with another identity", vid)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var _ = backendtest.NewCounting
var _ ledger.Pin
