package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func (w *world) rule(glob string, revoke bool, readers ...string) {
	w.tb.Helper()
	w.must("op", state.KindRule, state.ReadRule{Glob: glob, Readers: readers, Revoke: revoke})
}

func TestRulesCoverArtefactsToCome(t *testing.T) {
	w := newWorld(t)
	w.rule("*", false, "aud")
	w.rule("team/**", false, "dev", "@ml")
	w.rule("team/secret", true, "@ml", "aud")
	w.rule("other", true, "dev")
	w.rule("team/open*", true, "dev")
	w.rule("team/open2", false, "dev")
	for name, want := range map[string][]string{
		"x": {"aud"}, "team/m": {"@ml", "aud", "dev"}, "team/secret": {"dev"}, "team/secret/x": {"@ml", "aud", "dev"},
		"team/open": {"@ml", "aud"}, "team/open2": {"@ml", "aud", "dev"}, "other": {"aud"},
	} {
		if got := w.state().Covered(name); !slices.Equal(got, want) {
			t.Errorf("%s is read by %v, want %v", name, got, want)
		}
	}
}

func (w *world) group(name string, id canonical.ID, recipient string) *state.Void {
	return w.try("admin", state.KindGroup, state.Group{Name: name, ID: id, Recipient: recipient, Object: w.named("grp/" + id.String() + "-"), List: w.doc()})
}

func TestGroupIdentities(t *testing.T) {
	w := newWorld(t)
	one, two := w.id(), w.id()
	for i, c := range []struct {
		name      string
		id        canonical.ID
		recipient string
		rule      state.Rule
	}{
		{"ml", one, "age1pq1one", ""},
		{"ml", one, "age1pq1one", ""},                  // more members
		{"ml", one, "age1pq1other", state.RuleUnused},  // the same id for another identity
		{"other", one, "age1pq1one", state.RuleUnused}, // another group's
		{"ml", two, "age1pq1two", ""},                  // a new identity
		{"ml", one, "age1pq1one", state.RuleUnused},    // back to the old one, which leavers hold
		{"other", one, "age1pq1one", state.RuleUnused}, // nor for another group
		{"other", w.id(), "age1pq1three", ""},
	} {
		void := w.group(c.name, c.id, c.recipient)
		if (void == nil) != (c.rule == "") || void != nil && void.Rule != c.rule {
			t.Errorf("case %d: %v, want rule %q", i, void, c.rule)
		}
	}
	g := w.state().Group("ml")
	if g.ID != two || len(g.Older) != 1 || g.Older[0].ID != one || len(w.state().Groups()) != 2 {
		t.Errorf("group %+v", g)
	}
	if !w.state().Holds("@ml", "age1pq1two") || w.state().Holds("@ml", "age1pq1one") || w.state().Recipient("@none", entry.At(w.now)) != "" {
		t.Error("a group holds an identity that was replaced, or not its own")
	}
}

// TestWhoHoldsWhat: what a member replaced themselves is theirs still; what an
// admin replaced, or took away, is not.
func TestWhoHoldsWhat(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	recipient := func(name string) string { return w.keys[name].Public().Recipient.String() }
	now := func() entry.Time { return entry.At(w.now) }
	w.turnKey("reader", "fresh", day)
	if !w.state().Holds("reader", recipient("old reader")) || w.state().Recipient("reader", now()) != recipient("reader") {
		t.Error("a member lost what they replaced themselves")
	}
	if n := len(w.state().FormerIdentities("reader")); n != 1 {
		t.Errorf("%d former identities", n)
	}
	if !slices.Contains(w.state().MetadataRecipients(now()), recipient("old reader")) {
		t.Error("metadata is not sealed to the old key in the overlap")
	}
	w.pass(day)
	if slices.Contains(w.state().MetadataRecipients(now()), recipient("old reader")) {
		t.Error("metadata is sealed to the old key after the overlap")
	}
	w.rekey("reader", "fresh2")
	if w.state().Holds("reader", recipient("old reader")) || len(w.state().FormerIdentities("reader")) != 0 || w.state().Fence != w.head() {
		t.Error("a rekeyed member keeps what the old key opened")
	}
	w.suspend("dev")
	if w.state().Recipient("dev", now()) != "" || w.state().Fence != w.head() {
		t.Error("a suspended member is sealed to")
	}
	w.remove("dev")
	if w.state().Holds("dev", recipient("dev")) || w.state().Recipient("dev", now()) != "" || len(w.state().MetadataRecipients(now())) != len(cast)-1 {
		t.Error("a removed member holds something")
	}
	if at, cut, ok := w.state().EndedKey(w.keyID("dev")); !ok || at != w.head() || cut.SHA256.IsZero() {
		t.Errorf("the removed key ended at %v with cut %v, %v", at, cut, ok)
	}
	if _, _, ok := w.state().EndedKey(w.keyID("op")); ok {
		t.Error("a living key has ended")
	}
}

func TestResealPending(t *testing.T) {
	w := newWorld(t)
	a := w.register("m", nil)
	pending := func() int { return len(a.state.ResealPending()) }
	a.push()
	if pending() != 0 {
		t.Error("pending before any revocation")
	}
	a.must("op", state.KindReaders, a.readers(a.world.id()))
	a.push()
	if pending() != 1 {
		t.Errorf("%d versions pending after a revocation, want the one before it", pending())
	}
	a.rotate() // copies rows
	if pending() != 1 {
		t.Errorf("%d versions pending after a plain rotation", pending())
	}
	eid := a.prepare()
	b := a.activate(eid)
	b.GID = a.world.id()
	if void := a.try("run", state.KindActivate, b); void == nil || void.Rule != state.RuleTarget {
		t.Errorf("rows of a generation that is not there: %v", void)
	}
	b = a.activate(eid)
	b.GID = a.state.Generation().GID
	a.must("run", state.KindActivate, b)
	a.push()
	if pending() != 0 {
		t.Errorf("%d versions pending after all were sealed again", pending())
	}
	a.must("op", state.KindReaders, a.readers(a.world.id()))
	if pending() != 3 {
		t.Errorf("%d versions pending after the next revocation", pending())
	}
}
