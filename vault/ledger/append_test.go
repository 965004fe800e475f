package ledger_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// TestAppendRefuses: what is not permitted is not sent, nor what would not
// count in the vault's journal. In an artefact's it stands, and is reported.
func TestAppendRefuses(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	p.join(alice, "bob", state.Pusher)
	a := p.register(alice, "m")
	counting := backendtest.NewCounting(p.mem)
	s := p.session("bob")
	s.Store = counting
	bob, err := ledger.Open(bg, s, p.genesis.Hash)
	p.ok(err)
	b := bob.Artefact(a.ID)
	_, err = b.Fold(bg)
	p.ok(err)
	counting.Reset()
	for _, kind := range []string{state.KindPolicy, state.KindMemberResume, state.KindDisposalRequest, "telepathy"} {
		if err := bob.Append(bg, kind, struct{}{}, canonical.NewID()); !errors.Is(err, state.ErrNotPermitted) {
			t.Errorf("%s in the vault's journal: %v", kind, err)
		}
	}
	for _, kind := range []string{state.KindChannel, state.KindExecute, state.KindHold, "telepathy"} {
		if err := b.Append(bg, kind, struct{}{}, canonical.NewID()); !errors.Is(err, state.ErrNotPermitted) {
			t.Errorf("%s in the artefact's journal: %v", kind, err)
		}
	}
	if err := bob.Artefact(canonical.Sum([]byte("n"))).Append(bg, state.KindRegister, state.Register{Name: "n"}, canonical.NewID()); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a pusher registers: %v", err)
	}
	slots := []entry.SkippedSlot{{Seq: b.State().Head.Seq + 1}}
	if err := b.Skip(bg, slots, "r"); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a pusher skips: %v", err)
	}
	slots[0].Seq = bob.State().Head.Seq + 1
	if err := bob.Skip(bg, slots, "r"); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a pusher skips in the vault's journal: %v", err)
	}
	var void *state.Void
	before := alice.State().Head
	if err := alice.Append(bg, state.KindMemberSuspend, state.MemberMark{Name: "nobody"}, canonical.NewID()); !errors.As(err, &void) || void.Rule != state.RuleTarget {
		t.Errorf("suspending nobody: %v", err)
	}
	if err := alice.Append(bg, state.KindMemberSuspend, state.MemberMark{Name: "alice"}, canonical.NewID()); !errors.As(err, &void) || void.Rule != state.RuleLastAdmin {
		t.Errorf("suspending the last admin: %v", err)
	}
	if puts := counting.Count(backendtest.Put, ""); puts != 0 || alice.State().Head != before || len(alice.Voids()) != 0 {
		t.Errorf("%d objects were sent; the head is %s; voids %v", puts, alice.State().Head, alice.Voids())
	}
	p.ok(alice.Refresh(bg))
	if alice.State().Head != before {
		t.Error("a void entry stands in the vault's journal")
	}
	if err := a.Append(bg, state.KindCondemn, state.Versions{}, canonical.NewID()); !errors.As(err, &void) || void.Rule != state.RuleBody {
		t.Errorf("condemning nothing: %v", err)
	}
	if st, err := b.Fold(bg); err != nil || len(st.Voids) != 1 || st.Voids[0].Rule != state.RuleBody || st.Head != a.State().Head {
		t.Errorf("another client sees %+v, %v", st.Voids, err)
	}
}

// TestVoidsOfOthers: entries that do not count, written past the ledger.
func TestVoidsOfOthers(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	p.join(alice, "bob", state.Pusher)
	e := p.sign("bob", alice.Log(), state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: 3, AdminQuorum: 1}}, nil)
	p.slot("log/", append(slices.Clip(alice.Log().Entries), e), alice.State().CurrentMetadata().Recipient)
	p.ok(alice.Refresh(bg))
	if v := alice.Voids(); len(v) != 1 || v[0].Rule != state.RuleRole || v[0].Author != "bob" || alice.State().Policy.Approvals != 1 || alice.State().Head != e.Position() {
		t.Errorf("voids %+v, policy %+v", v, alice.State().Policy)
	}
	p.ok(alice.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	if v := p.open("bob").Voids(); len(v) != 1 {
		t.Errorf("a cold client sees %+v", v)
	}
}

func TestAppendLost(t *testing.T) {
	p := newPlace(t)
	one, two := p.open("alice"), p.open("alice")
	p.ok(one.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	if err := two.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()); !errors.Is(err, journal.ErrLost) {
		t.Errorf("in the vault's journal: %v", err)
	}
	p.ok(two.Refresh(bg))
	p.ok(two.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	a := p.register(one, "m")
	b := two.Artefact(a.ID)
	_, err := b.Fold(bg)
	p.ok(err)
	p.ok(a.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	if err := b.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()); !errors.Is(err, journal.ErrLost) {
		t.Errorf("in the artefact's journal: %v", err)
	}
	_, err = b.Fold(bg)
	p.ok(err)
	p.ok(b.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
}

// TestAppendRemembers: what a client has written it has seen.
func TestAppendRemembers(t *testing.T) {
	p := newPlace(t)
	m := &memory{}
	s := p.session("alice")
	s.Memory = m
	v, err := ledger.Open(bg, s, p.genesis.Hash)
	p.ok(err)
	a := p.register(v, "m")
	p.ok(v.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	if h, _ := m.Head(entry.VaultJournal); h != v.State().Head {
		t.Errorf("remembers %s of the vault, not %s", h, v.State().Head)
	}
	if h, _ := m.Head(a.ID.String()); h != a.State().Head {
		t.Errorf("remembers %s of the artefact, not %s", h, a.State().Head)
	}
}
