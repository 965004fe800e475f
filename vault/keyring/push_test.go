package keyring

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

func TestPushOnce(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	pat := ring(t, w, "pat", w.Store)
	op := canonical.NewID()
	first, err := pat.Push(t.Context(), Push{Op: op, Upload: upload(pat)})
	must(t, err)
	again, err := ring(t, w, "pat", w.Store).Push(t.Context(), Push{Op: op, Upload: func(context.Context, Attempt) (state.Version, error) {
		t.Error("an operation that was committed uploads again")
		return state.Version{}, nil
	}})
	must(t, err)
	if first.VID != again.VID {
		t.Errorf("the operation made %s and %s", first.VID, again.VID)
	}
}

func TestPushRights(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	run := ring(t, w, "run", w.Store)
	counting := backendtest.NewCounting(w.Store)
	run.Store = counting
	if _, err := run.Push(t.Context(), Push{Op: canonical.NewID(), Upload: upload(run)}); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a push by a runner: %v", err)
	}
	if n := counting.Count(backendtest.Put, ""); n > 0 {
		t.Errorf("%d objects were stored before the right was checked", n)
	}
	refused := errors.New("refused")
	pat := ring(t, w, "pat", w.Store)
	pat.Store = counting
	if _, err := pat.Push(t.Context(), Push{Op: canonical.NewID(), Check: func(*state.Artefact) error { return refused }, Upload: upload(pat)}); !errors.Is(err, refused) {
		t.Errorf("a push that its check refuses: %v", err)
	}
	if n := counting.Count(backendtest.Put, ""); n > 0 {
		t.Errorf("%d objects were stored before the check", n)
	}
}

// TestPushOvertaken: what a push does when the journal moves on while it uploads.
func TestPushOvertaken(t *testing.T) {
	for _, c := range []struct {
		name      string
		meanwhile func(t *testing.T, w *vaulttest.World, alice *Ring, at Attempt)
		uploads   int
		same      bool // the version keeps its id
	}{
		{"epoch", func(t *testing.T, _ *vaulttest.World, alice *Ring, _ Attempt) {
			_, err := alice.Rotate(t.Context(), canonical.NewID())
			must(t, err)
		}, 1, true},
		{"generation", func(t *testing.T, w *vaulttest.World, alice *Ring, _ Attempt) {
			_, err := alice.refresh(t.Context())
			must(t, err)
			g, err := alice.newGeneration(t.Context(), readers(w, "rita"))
			must(t, err)
			must(t, alice.Ledger.Append(t.Context(), state.KindReaders, *g, canonical.NewID()))
		}, 2, false},
		{"condemned", func(t *testing.T, _ *vaulttest.World, alice *Ring, at Attempt) {
			_, err := alice.refresh(t.Context())
			must(t, err)
			must(t, alice.condemn(t.Context(), []canonical.ID{at.VID}, canonical.NewID()))
		}, 2, false},
		{"another version", func(t *testing.T, w *vaulttest.World, alice *Ring, _ Attempt) {
			pushN(t, alice, 1)
		}, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
			alice, pat := ring(t, w, "alice", w.Store), ring(t, w, "pat", w.Store)
			var tries []canonical.ID
			v, err := pat.Push(t.Context(), Push{Op: canonical.NewID(), Upload: func(ctx context.Context, at Attempt) (state.Version, error) {
				must(t, at.Begin(ctx))
				if tries = append(tries, at.VID); len(tries) == 1 {
					c.meanwhile(t, w, alice, at)
				}
				return upload(pat)(ctx, at)
			}})
			must(t, err)
			if len(tries) != c.uploads || (v.VID == tries[0]) != c.same {
				t.Errorf("uploads %v made version %s", tries, v.VID)
			}
			must(t, open(t, w, v.VID))
		})
	}
}

// TestPushSourceDies: once a version that was borrowed through is executed, all
// is stored anew, under another identity.
func TestPushSourceDies(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	alice, rita := ring(t, w, "alice", w.Store), ring(t, w, "rita", w.Store)
	source := pushN(t, rita, 1)[0]
	var tries []Attempt
	v, err := rita.Push(t.Context(), Push{Op: canonical.NewID(), Upload: func(ctx context.Context, at Attempt) (state.Version, error) {
		body, err := upload(rita)(ctx, at)
		if tries = append(tries, at); len(tries) == 1 {
			body.Borrowed = []canonical.ID{source}
			execute(t, w, alice, source)
		} else if at.Artefact.Version(source).State == state.Live {
			t.Error("the second attempt sees the source alive")
		}
		return body, err
	}})
	must(t, err)
	if len(tries) != 2 || tries[0].VID == v.VID || tries[0].Key.Recipient() == v.Recipient || len(v.Borrowed) > 0 {
		t.Errorf("%d attempts made %s, borrowed %v", len(tries), v.VID, v.Borrowed)
	}
}

func TestPushResume(t *testing.T) {
	w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
	rita := ring(t, w, "rita", w.Store)
	cut := errors.New("cut off")
	var resume Resume
	begin := func() {
		_, err := rita.Push(t.Context(), Push{Op: canonical.NewID(), Upload: func(ctx context.Context, at Attempt) (state.Version, error) {
			must(t, at.Begin(ctx))
			resume.VID = at.VID
			return state.Version{}, cut
		}})
		if !errors.Is(err, cut) {
			t.Fatalf("a push that is cut off: %v", err)
		}
	}
	push := func() *state.CommittedVersion {
		r := ring(t, w, "rita", w.Store)
		v, err := r.Push(t.Context(), Push{Op: canonical.NewID(), Upload: upload(r), Resume: &resume})
		must(t, err)
		must(t, open(t, w, v.VID))
		return v
	}
	begin()
	r := ring(t, w, "rita", w.Store)
	a, err := r.refresh(t.Context())
	must(t, err)
	resume.Key, _, err = r.OpenPending(t.Context(), a, resume.VID)
	must(t, err)
	if v := push(); v.VID != resume.VID || v.Recipient != resume.Key.Recipient() {
		t.Errorf("resuming %s made %s", resume.VID, v.VID)
	}
	if v := push(); v.VID == resume.VID {
		t.Error("a version was resumed that is committed")
	}
	begin()
	resume.Key, _, err = r.OpenPending(t.Context(), a, resume.VID)
	must(t, err)
	_, err = ring(t, w, "run", w.Store).Rotate(t.Context(), canonical.NewID())
	must(t, err)
	if v := push(); v.VID == resume.VID {
		t.Error("a version was resumed whose row is under a superseded epoch")
	}
	begin()
	alice := ring(t, w, "alice", w.Store)
	_, err = alice.refresh(t.Context())
	must(t, err)
	g, err := alice.newGeneration(t.Context(), readers(w, "rita", "bob"))
	must(t, err)
	must(t, alice.Ledger.Append(t.Context(), state.KindReaders, *g, canonical.NewID()))
	a, err = r.refresh(t.Context())
	must(t, err)
	if _, _, err := r.OpenPending(t.Context(), a, resume.VID); !errors.Is(err, backends.NotExist) {
		t.Errorf("opening a row that is sealed to other readers: %v", err)
	}
	if v := push(); v.VID == resume.VID {
		t.Error("a version was resumed whose row is sealed to other readers")
	}
	if _, _, err := r.OpenPending(t.Context(), a, canonical.NewID()); !errors.Is(err, backends.NotExist) {
		t.Errorf("opening what was never begun: %v", err)
	}
}

// TestResumeWithManifest: a manifest that is stored already must be known to name
// no chunks of others.
func TestResumeWithManifest(t *testing.T) {
	own, other := canonical.NewID(), canonical.NewID()
	root := func(n int) string { return fmt.Sprintf("m-%032x", n) }
	type list struct {
		root    string
		creator canonical.ID
	}
	for name, c := range map[string]struct {
		roots []string
		lists []list
		spoil bool
		want  bool
	}{
		"nothing":                           {nil, nil, false, true},
		"references before their root":      {nil, []list{{root(1), own}}, false, true},
		"a root on its way names others":    {nil, []list{{root(1), other}}, false, false},
		"a root of its own":                 {[]string{root(1)}, []list{{root(1), own}}, false, true},
		"two":                               {[]string{root(1), root(2)}, []list{{root(1), own}, {root(2), own}}, false, true},
		"a root without references":         {[]string{root(1)}, nil, false, false},
		"references of another root":        {[]string{root(1)}, []list{{root(2), own}}, false, false},
		"a root that names others":          {[]string{root(1)}, []list{{root(1), other}}, false, false},
		"one of two names others":           {[]string{root(1), root(2)}, []list{{root(1), own}, {root(2), other}}, false, false},
		"references that nobody can open":   {[]string{root(1)}, []list{{root(1), own}}, true, false},
		"two references of the one, differ": {[]string{root(1)}, []list{{root(1), own}, {root(1), other}}, false, false},
	} {
		w := registered(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}})
		rita := ring(t, w, "rita", w.Store)
		prefix := rita.VersionPrefix(own)
		put := func(name string, b []byte) {
			_, err := w.Store.Put(t.Context(), prefix+name, b)
			must(t, err)
		}
		for _, r := range c.roots {
			put(r, []byte("root"))
		}
		for _, l := range c.lists {
			refs := manifest.References{Artefact: rita.Ledger.ID, Version: own, Root: l.root, RootSize: 4096,
				Objects: []manifest.Reference{{Creator: l.creator, Name: canonical.Sum(nil).String() + "-0123456789abcdef", Size: 4096}}}
			plain, err := refs.Encode()
			must(t, err)
			sealed, err := rita.Vault.SealMetadata(plain)
			must(t, err)
			if c.spoil {
				sealed = sealed[1:]
			}
			put("r-"+canonical.NewID().String(), sealed)
		}
		if got, err := rita.namesOwn(t.Context(), own); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
