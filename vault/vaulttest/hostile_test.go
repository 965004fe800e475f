package vaulttest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// shown is what a view shows: keys by listing, and their bodies.
func shown(t *testing.T, v *View, prefix string, o backends.ListOptions) map[string]string {
	t.Helper()
	out := map[string]string{}
	var keys []string
	for info, err := range v.List(t.Context(), prefix, o) {
		must(t, err)
		keys = append(keys, info.Key)
		b, err := ledger.ReadObject(t.Context(), v, info.Key, 0)
		if err != nil && !o.OneLevel {
			t.Errorf("%s is listed and cannot be read: %v", info.Key, err)
		}
		out[info.Key] = string(b)
	}
	if !slices.IsSorted(keys) {
		t.Errorf("listed out of order: %v", keys)
	}
	return out
}

func TestViews(t *testing.T) {
	h := &Hostile{Truth: mem.New(mem.Options{})}
	put := func(s backends.Store, key, body string) error {
		_, err := s.Put(context.Background(), key, []byte(body))
		return err
	}
	a, b := h.View(), h.View()
	must(t, put(a, "x/1", "one"))
	must(t, put(b, "x/2", "two"))
	if got := shown(t, a, "", backends.ListOptions{}); len(got) != 2 || got["x/2"] != "two" || !a.Honest() {
		t.Errorf("an honest view: %v", got)
	}
	a.Hide("x/1")
	a.Show("x/2", []byte("other"))
	a.Show("x/3", nil)
	if got := shown(t, a, "x/", backends.ListOptions{}); len(got) != 2 || got["x/2"] != "other" || a.Honest() {
		t.Errorf("with lies: %v", got)
	}
	if got := shown(t, a, "", backends.ListOptions{OneLevel: true}); len(got) != 1 {
		t.Errorf("one level: %v", got)
	}
	if got := shown(t, a, "", backends.ListOptions{Limit: 1}); len(got) != 1 {
		t.Errorf("limited: %v", got)
	}
	if err := put(a, "x/1", "again"); !errors.Is(err, backends.Exists) {
		t.Errorf("putting what is hidden: %v", err)
	}
	if got := shown(t, b, "", backends.ListOptions{}); got["x/1"] != "one" || got["x/2"] != "two" {
		t.Errorf("another's view: %v", got)
	}
	a.Heal()
	b.Freeze()
	must(t, put(a, "x/4", "four"))
	if got := shown(t, b, "", backends.ListOptions{}); len(got) != 2 {
		t.Errorf("a frozen view: %v", got)
	}
	b.Fork()
	must(t, put(b, "x/4", "mine"))
	if err := put(b, "x/4", "again"); !errors.Is(err, backends.Exists) {
		t.Errorf("putting twice on a fork: %v", err)
	}
	if shown(t, b, "", backends.ListOptions{})["x/4"] != "mine" || shown(t, a, "", backends.ListOptions{})["x/4"] != "four" {
		t.Error("a fork is seen by others")
	}
	c := h.View()
	c.Join(b)
	if shown(t, c, "", backends.ListOptions{})["x/4"] != "mine" {
		t.Error("who joins a fork does not see it")
	}
	a.Swallow(1)
	must(t, put(a, "x/5", "lost"))
	must(t, put(a, "x/6", "kept"))
	if got := shown(t, a, "", backends.ListOptions{}); got["x/5"] != "" || got["x/6"] != "kept" {
		t.Errorf("after a put that was swallowed: %v", got)
	}
}

// TestForger: what a forger makes with a stolen key is accepted where the key's
// owner may write it, so that a refusal of the rest says something.
func TestForger(t *testing.T) {
	w := NewWorld(t, Config{Cipher: Symbolic{}, Members: map[string][]string{"dana": {state.Developer}}})
	v := w.Open(t, "alice", w.Store)
	a := v.Artefact(state.ArtefactID(v.NameKey(), "m"))
	_, _ = a.Fold(t.Context())
	must(t, a.Append(t.Context(), state.KindRegister, state.Register{Name: "m"}, canonical.NewID()))
	f := NewForger(t, w, "dana")
	key := ledger.ArtefactPrefix(a.ID) + "log/"
	for range 40 {
		head := a.Log().Entries[len(a.Log().Entries)-1]
		e := f.Sign(t.Context(), w.Members["dana"].Identity, entry.Header{Kind: state.KindFence, Critical: true, Genesis: w.Genesis, Journal: head.Journal,
			Seq: head.Seq + 1, Prev: head.Hash, Vault: head.Vault, Time: head.Time, Op: canonical.NewID()}, state.Fence{})
		_, err := w.Store.Put(t.Context(), key+journal.Slot(e.Seq), f.Object(append(a.Log().Entries, e)))
		must(t, err)
		_, err = a.Fold(t.Context())
		must(t, err)
	}
	fresh := w.Open(t, "alice", w.Store).Artefact(a.ID)
	s, err := fresh.Fold(t.Context())
	must(t, err)
	if len(s.Voids) != 0 || s.Head.Seq != 40 {
		t.Errorf("%d entries, void: %v", s.Head.Seq, s.Voids)
	}
	for what, raw := range Respellings(t, a.Log().Entries[3]) {
		if _, err := entry.Parse(raw); err == nil {
			t.Errorf("%s: accepted", what)
		}
		if string(raw) == string(a.Log().Entries[3].Raw) {
			t.Errorf("%s: nothing is changed", what)
		}
	}
}
