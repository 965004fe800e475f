package keyring

import (
	"context"
	"errors"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

const artefact = "team/model"

func newWorld(t testing.TB, c vaulttest.Config) *vaulttest.World {
	t.Helper()
	c.Members = map[string][]string{"bob": {state.Custodian, state.Operator}, "pat": {state.Pusher}, "run": {state.Runner}, "rita": {state.Developer}}
	return vaulttest.NewWorld(t, c)
}

// ring returns a member's ring on a store that shows the world's storage.
func ring(t testing.TB, w *vaulttest.World, name string, s backends.Store) *Ring {
	t.Helper()
	v := w.Open(t, name, s)
	return &Ring{Vault: v, Ledger: v.Artefact(state.ArtefactID(v.NameKey(), artefact)), Store: s, Keepers: w.AllKeepers()}
}

// registered returns a world with a registered artefact that rita reads.
func registered(t testing.TB, c vaulttest.Config) *vaulttest.World {
	t.Helper()
	w := newWorld(t, c)
	must(t, ring(t, w, "alice", w.Store).Register(t.Context(), artefact, readers(w, "rita"), canonical.NewID()))
	return w
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

func pushN(t testing.TB, r *Ring, n int) []canonical.ID {
	t.Helper()
	var vids []canonical.ID
	for range n {
		v, err := r.Push(t.Context(), Push{Op: canonical.NewID(), Upload: upload(r)})
		must(t, err)
		vids = append(vids, v.VID)
	}
	return vids
}

// execute disposes of versions, or of all if none is named, up to the execute entry.
func execute(t testing.TB, w *vaulttest.World, r *Ring, vids ...canonical.ID) {
	t.Helper()
	id, err := w.Dispose(t.Context(), r.Vault, w.Open(t, "bob", w.Store), r.Ledger.ID, vids...)
	must(t, err)
	_, err = r.refresh(t.Context())
	must(t, err)
	must(t, r.Ledger.Append(t.Context(), state.KindExecute, state.Execute{Disposal: id, Versions: vids, Whole: len(vids) == 0}, canonical.NewID()))
}

// open opens versions as rita, who reads.
func open(t testing.TB, w *vaulttest.World, vids ...canonical.ID) error {
	t.Helper()
	rita := ring(t, w, "rita", w.Store)
	a, err := rita.refresh(t.Context())
	must(t, err)
	var errs []error
	for _, vid := range vids {
		v := a.Version(vid)
		key, err := rita.OpenVersion(t.Context(), a, v)
		if err == nil && key.Recipient() != v.Recipient {
			t.Errorf("version %s opens with another identity", vid)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func TestLifeWithAge(t *testing.T) { testLife(t, seal.Age{}) }

func TestLifeWithSymbols(t *testing.T) { testLife(t, vaulttest.Symbolic{}) }

// testLife takes an artefact from its registration to its end, each step by a
// member that has just the role for it.
func testLife(t *testing.T, c seal.Cipher) {
	ctx := t.Context()
	w := registered(t, vaulttest.Config{Cipher: c})
	pat := ring(t, w, "pat", w.Store)
	pat.Keepers = nil // a pipeline has no keeper
	vids := pushN(t, pat, 70)
	must(t, open(t, w, vids...))
	run := ring(t, w, "run", w.Store)
	for range 2 {
		_, err := run.Rotate(ctx, canonical.NewID())
		must(t, err)
		vids = append(vids, pushN(t, pat, 1)...)
		must(t, open(t, w, vids...))
	}
	alice := ring(t, w, "alice", w.Store)
	execute(t, w, alice, vids[:3]...)
	must(t, run.Drop(ctx, canonical.NewID()))
	must(t, open(t, w, vids[3:]...))
	done, err := run.Destroy(ctx, canonical.NewID())
	must(t, err)
	if len(done.Versions) != 3 || len(done.Keys) != 3 {
		t.Errorf("Destroy names %d versions and %d keys, not 3 and 3", len(done.Versions), len(done.Keys))
	}
	if err := open(t, w, vids[0]); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("opening a destroyed version: %v", err)
	}
	must(t, open(t, w, vids[3:]...))
	execute(t, w, alice)
	must(t, run.Drop(ctx, canonical.NewID()))
	_, err = run.Destroy(ctx, canonical.NewID())
	must(t, err)
	if _, err := pat.Push(ctx, Push{Op: canonical.NewID(), Upload: upload(pat)}); !errors.Is(err, ErrEnded) {
		t.Errorf("a push after the end: %v", err)
	}
	for id, k := range w.Keepers {
		if n := len(k.CurrentState()); n > 0 {
			t.Errorf("keeper %s still has %d keys after the end", id, n)
		}
	}
}

func TestNoReaders(t *testing.T) {
	w := newWorld(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	before := len(w.Store.Keys())
	if err := ring(t, w, "alice", w.Store).Register(t.Context(), artefact, nil, canonical.NewID()); !errors.Is(err, ErrNoReaders) {
		t.Errorf("registering without readers: %v", err)
	}
	if n := len(w.Store.Keys()); n != before {
		t.Errorf("%d objects were stored", n-before)
	}
}

func TestNotAReader(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	vid := pushN(t, ring(t, w, "pat", w.Store), 1)[0]
	alice := ring(t, w, "alice", w.Store)
	a, err := alice.refresh(t.Context())
	must(t, err)
	if _, err := alice.OpenVersion(t.Context(), a, a.Version(vid)); !errors.Is(err, ErrNoReader) {
		t.Errorf("opening without being a reader: %v", err)
	}
}

// TestRequests holds a rotation to what it may cost: 20 requests, 4 for each 64
// survivors, and one for each version pushed since the current epoch.
func TestRequests(t *testing.T) {
	sizes := []int{10, 100, 5000}
	if raceDetector || testing.Short() {
		sizes[2] = 500
	}
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	pat := ring(t, w, "pat", w.Store)
	vids := []canonical.ID{}
	for _, n := range sizes {
		pushed := pushN(t, pat, n-len(vids))
		vids = append(vids, pushed...)
		for _, since := range []int{len(pushed), 0} {
			counting := backendtest.NewCounting(w.Store)
			run := ring(t, w, "run", counting)
			counting.Reset()
			rot, err := run.Rotate(t.Context(), canonical.NewID())
			must(t, err)
			if rot.Survivors != n {
				t.Fatalf("%d survivors, not %d", rot.Survivors, n)
			}
			got, most := len(counting.Requests()), 20+4*((n+63)/64)+since
			t.Logf("%d survivors, %d pushed since: %d requests, at most %d", n, since, got, most)
			if got > most {
				t.Errorf("%d survivors, %d pushed since: %d requests, more than %d", n, since, got, most)
			}
		}
		must(t, open(t, w, vids[0], vids[len(vids)-1]))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
