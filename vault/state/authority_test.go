package state_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func TestFounding(t *testing.T) {
	found(t, []string{state.Admin}, state.Policy{Approvals: 1, AdminQuorum: 1})
	w := &world{tb: t, keys: nil, now: dawn}
	w.keys = newWorld(t).keys
	genesis := func(change func(*entry.Header, *state.Genesis), signer string, cosigners ...string) error {
		h := entry.Header{Kind: state.KindGenesis, Critical: true, Format: entry.Format, Journal: entry.VaultJournal, Time: entry.At(dawn)}
		b := state.Genesis{Founder: w.spec("admin", state.Admin), Metadata: w.metadata(), Custody: custody(), Policy: state.Policy{Approvals: 1, AdminQuorum: 1}}
		change(&h, &b)
		_, err := state.NewVault(w.sign(h, b, append([]string{signer}, cosigners...)...))
		return err
	}
	if err := genesis(func(*entry.Header, *state.Genesis) {}, "admin"); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*entry.Header, *state.Genesis){
		"another kind":                          func(h *entry.Header, b *state.Genesis) { h.Kind = state.KindMemberAdd },
		"not critical":                          func(h *entry.Header, b *state.Genesis) { h.Critical = false },
		"not first":                             func(h *entry.Header, b *state.Genesis) { h.Seq = 1 },
		"an artefact's journal":                 func(h *entry.Header, b *state.Genesis) { h.Journal = canonical.Digest{1}.String() },
		"founder is no admin":                   func(h *entry.Header, b *state.Genesis) { b.Founder.Roles[0].Role = state.Operator },
		"founder is an admin of some artefacts": func(h *entry.Header, b *state.Genesis) { b.Founder.Roles[0].Glob = "a/**" },
		"founder has expired":                   func(h *entry.Header, b *state.Genesis) { b.Founder.Expires = h.Time },
		"founder has no name":                   func(h *entry.Header, b *state.Genesis) { b.Founder.Name = "" },
		"more admins must sign than there are":  func(h *entry.Header, b *state.Genesis) { b.Policy.AdminQuorum = 2 },
		"no policy":                             func(h *entry.Header, b *state.Genesis) { b.Policy = state.Policy{} },
		"no keeper":                             func(h *entry.Header, b *state.Genesis) { b.Custody.Keepers = nil },
		"no metadata identity":                  func(h *entry.Header, b *state.Genesis) { b.Metadata = state.Metadata{} },
	} {
		if err := genesis(change, "admin"); !errors.Is(err, state.ErrUnverifiable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := genesis(func(*entry.Header, *state.Genesis) {}, "op"); !errors.Is(err, state.ErrUnverifiable) {
		t.Errorf("signed by another than the founder: %v", err)
	}
	if err := genesis(func(*entry.Header, *state.Genesis) {}, "admin", "op"); !errors.Is(err, state.ErrUnverifiable) {
		t.Errorf("signed by a stranger as well: %v", err)
	}
}

// TestUnverifiable: what no member can have written stops a reader, and leaves
// the state as it was.
func TestUnverifiable(t *testing.T) {
	w := newWorld(t)
	w.keys["stranger"] = identities().get("stranger")
	a := w.register("m", nil)
	forged := func(e *entry.Entry) *entry.Entry { // the signature of another entry under the same key id
		other := a.nextEntry("reader", state.KindFence, state.Fence{Cut: w.digest()})
		env := &dsse.Envelope{Payload: e.Envelope.Payload, PayloadType: e.Envelope.PayloadType, Signatures: other.Envelope.Signatures}
		raw, err := env.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		out, err := entry.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	cite := func(p entry.Position) edit { return func(h *entry.Header) { h.Vault = p } }
	head := w.head()
	bad := map[string]*entry.Entry{
		"a stranger":                 a.nextEntry("stranger", state.KindFence, state.Fence{}),
		"a stranger as well":         a.nextEntry("reader", state.KindFence, state.Fence{}, cosigned("stranger")),
		"a wrong signature":          forged(a.nextEntry("reader", state.KindFence, state.Fence{})),
		"another vault head":         a.nextEntry("reader", state.KindFence, state.Fence{}, cite(entry.Position{Seq: head.Seq + 1, Hash: w.digest()})),
		"a far vault head":           a.nextEntry("reader", state.KindFence, state.Fence{}, cite(entry.Position{Seq: entry.MaxSeq, Hash: w.digest()})),
		"a skip without the right":   a.nextEntry("reader", state.KindSkip, entry.Skip{}),
		"a stranger, unknown kind":   a.nextEntry("stranger", "telepathy", struct{}{}, edit(uncritical)),
		"a rotation by a stranger":   a.nextEntry("reader", state.KindMemberRotate, w.rotateBody("fresh", 0), cosigned("stranger", "fresh")),
		"a rotation nobody can read": a.nextEntry("reader", state.KindMemberRotate, struct{}{}, cosigned("stranger")),
	}
	before := state.DumpArtefact(a.state)
	for name, e := range bad {
		if void, err := a.state.Apply(e); !errors.Is(err, state.ErrUnverifiable) {
			t.Errorf("%s: %v, %v", name, void, err)
		}
		if err := w.state().Verify(e); name != "another vault head" && name != "a far vault head" && name != "a skip without the right" && !errors.Is(err, state.ErrUnverifiable) {
			t.Errorf("%s: Verify says %v", name, err)
		}
	}
	for name, e := range map[string]*entry.Entry{
		"a stranger":         w.next("stranger", state.KindFence, state.Fence{}),
		"a stranger as well": w.next("reader", state.KindFence, state.Fence{}, cosigned("stranger")),
		"a wrong signature":  forged(w.next("reader", state.KindFence, state.Fence{})),
	} {
		if v, void, err := w.state().Apply(e); v != nil || !errors.Is(err, state.ErrUnverifiable) {
			t.Errorf("%s, in the vault's journal: %v, %v", name, void, err)
		}
	}
	if after := state.DumpArtefact(a.state); after != before {
		t.Errorf("the state has changed:\n%s\n%s", before, after)
	}
	// A refused entry that cites a newer head must not lend its authority to the next.
	cited := w.head()
	w.remove("push")
	if _, err := a.put("stranger", state.KindFence, state.Fence{}); err == nil {
		t.Error("a stranger's fence counts")
	}
	if void := a.try("push", state.KindVersion, a.version(w.id()), cite(cited)); void != nil {
		t.Errorf("before any fence: %v", void)
	}
	// An error of the lookup passes through.
	failing := state.NewArtefact(a.id, w.nameKey, func(entry.Position) (*state.Vault, error) { return nil, context.Canceled }, nil)
	if _, err := failing.Apply(a.entries[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("a failing lookup: %v", err)
	}
}

// TestAuthorityIsJudgedOnce: by the highest vault head cited at or before an
// entry; what was judged stays so, and keeps its number.
func TestAuthorityIsJudgedOnce(t *testing.T) {
	w := newWorld(t)
	a := w.register("m", nil)
	v1 := a.push()
	old := w.head()
	w.remove("push")
	citing := edit(func(h *entry.Header) { h.Vault = old })
	late := a.world.id()
	a.must("push", state.KindVersion, a.version(late), citing)
	a.must("aud", state.KindFence, state.Fence{})
	if void := a.try("push", state.KindVersion, a.version(a.world.id())); void == nil || void.Rule != state.RuleMember {
		t.Errorf("after the fence: %v", void)
	}
	a.must("dev", state.KindVersion, a.version(a.world.id()))
	if n := a.state.Version(late).Number; n != 2 || a.state.Version(v1).By != "push" || len(a.state.Versions) != 3 || len(a.state.Voids) != 1 {
		t.Errorf("number %d, %d versions, voids %v", n, len(a.state.Versions), a.state.Voids)
	}
	void := a.state.Voids[0]
	if void.Author != "push" || void.Kind != state.KindVersion || void.At != a.entries[len(a.entries)-2].Position() || void.Key != w.keyID("push") {
		t.Errorf("void %+v", void)
	}
}

func TestMembers(t *testing.T) {
	w := newWorld(t)
	v := w.state()
	if n := len(v.Members()); n != len(cast) || len(v.Recipients()) != n || len(v.Metadata) != n {
		t.Errorf("%d members, %d recipients, %d metadata identities", n, len(v.Recipients()), len(v.Metadata))
	}
	before := state.DumpVault(v)
	w.rekey("dev", "fresh")
	w.suspend("reader")
	w.remove("push")
	if state.DumpVault(v) != before {
		t.Error("a later entry changed an earlier state")
	}
	v = w.state()
	if m := v.ByKey(w.keyID("old dev")); m == nil || m.Name != "dev" || m.Public.Key.KeyID() != w.keyID("dev").String() {
		t.Errorf("by the old key: %+v", m)
	}
	if m := v.Member("reader"); !m.Suspended || m.Active(entry.At(w.now)) {
		t.Errorf("suspended: %+v", m)
	}
	if m := v.Member("push"); !m.Removed || len(v.Members()) != len(cast)-1 {
		t.Errorf("removed: %+v", m)
	}
	for _, p := range v.Recipients() {
		if p.Equal(w.keys["push"].Public()) || p.Equal(w.keys["old dev"].Public()) {
			t.Error("metadata is sealed to a removed member, or a replaced key")
		}
	}
	if v.ByKey(w.digest()) != nil || v.Member("nobody") != nil {
		t.Error("found a stranger")
	}
	if err := v.May(w.digest(), state.KindFence, "", entry.At(w.now)); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a stranger may fence: %v", err)
	}
	if err := v.May(w.keyID("push"), state.KindFence, "", entry.At(w.now)); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a removed member may fence: %v", err)
	}
}

func TestTaint(t *testing.T) {
	w := newWorld(t)
	at := func(d time.Duration) entry.Time { return entry.At(dawn.Add(d)) }
	w.must("op", state.KindMemberTaint, state.MemberTaint{Key: w.keyID("dev"), From: at(time.Hour), To: at(2 * time.Hour)})
	for d, want := range map[time.Duration]bool{time.Hour - time.Second: false, time.Hour: true, 2 * time.Hour: true, 2*time.Hour + time.Second: false} {
		if got := w.state().Tainted(w.keyID("dev"), at(d)); got != want {
			t.Errorf("after %v: tainted %v", d, got)
		}
		if w.state().Tainted(w.keyID("op"), at(d)) {
			t.Error("another key is tainted")
		}
	}
}

func TestOperations(t *testing.T) {
	w := newWorld(t)
	a := w.register("m", nil)
	op := w.id()
	same := edit(func(h *entry.Header) { h.Op = op })
	vid := w.id()
	a.must("push", state.KindVersion, a.version(vid), same)
	if void := a.try("push", state.KindVersion, a.version(w.id()), same); void == nil || void.Rule != state.RuleUnused {
		t.Errorf("the same operation: %v", void)
	}
	if v := a.state.ByOp(w.keyID("push"), op); v == nil || v.VID != vid || v.Number != 1 {
		t.Errorf("by operation: %+v", v)
	}
	if a.state.ByOp(w.keyID("dev"), op) != nil || a.state.ByOp(w.keyID("push"), w.id()) != nil {
		t.Error("found what nobody made")
	}
	a.execute(vid)
	if v := a.state.ByOp(w.keyID("push"), op); v == nil || v.VID != vid {
		t.Error("an operation is forgotten when its version dies")
	}
	none := edit(func(h *entry.Header) { h.Op = canonical.ID{} })
	for range 2 {
		a.must("push", state.KindVersion, a.version(w.id()), none)
	}
	if a.state.ByOp(w.keyID("push"), canonical.ID{}) != nil {
		t.Error("no operation names a version")
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob string
		yes  []string
		no   []string
	}{
		{"*", []string{"", "a", "a/b/c"}, nil},
		{"a", []string{"a"}, []string{"", "b", "a/b", "aa"}},
		{"a*", []string{"a", "ab"}, []string{"a/b", "ba"}},
		{"a/*", []string{"a/b"}, []string{"a", "a/b/c", "b/a"}},
		{"a/**", []string{"a/b", "a/b/c"}, []string{"", "a", "ab", "b/a/c"}},
		{"a*/**", []string{"a/b", "ab/c/d"}, []string{"ab", "b/a"}},
		{"*/**", []string{"a/b", "a/b/c"}, []string{"a"}},
		{"*/b/**", []string{"a/b/c"}, []string{"a/b", "a/c/b"}},
		{"[ab]?", []string{"ax", "b1"}, []string{"c1", "a"}},
		{"[^a]", []string{"b"}, []string{"a", ""}},
	} {
		if err := state.CheckGlob(c.glob); err != nil {
			t.Error(err)
		}
		for _, n := range c.yes {
			if !state.MatchGlob(c.glob, n) {
				t.Errorf("%s does not match %q", c.glob, n)
			}
		}
		for _, n := range c.no {
			if state.MatchGlob(c.glob, n) {
				t.Errorf("%s matches %q", c.glob, n)
			}
		}
	}
	for _, g := range []string{"", "/", "/a", "a/", "**", "/**", "a**", "a/**/b", "**/a", "[", "a[", "A", "a b", "a\\*", "../a", "a//b", string(make([]byte, 300))} {
		if err := state.CheckGlob(g); !errors.Is(err, state.ErrBadName) {
			t.Errorf("glob %q: %v", g, err)
		}
	}
}
