package vault_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// as returns the place as somebody else sees it. The same name is the same person.
func (p *place) as(t testing.TB, name string) *place {
	t.Helper()
	if p.people == nil {
		p.people = map[string]*identity.Identity{"ada": p.id}
	}
	if p.people[name] == nil {
		id, err := identity.New()
		if err != nil {
			t.Fatal(err)
		}
		p.people[name] = id
	}
	q := *p
	q.id = p.people[name]
	return &q
}

func (p *place) spec(t testing.TB, name string, roles ...string) state.MemberSpec {
	s := state.MemberSpec{Name: name, Key: p.as(t, name).id.Public().String(), Roles: []state.Grant{}}
	for _, r := range roles {
		s.Roles = append(s.Roles, state.Grant{Role: r, Glob: "*"})
	}
	return s
}

// join lets ada add a member.
func (p *place) join(t testing.TB, name string, roles ...string) *place {
	t.Helper()
	if _, err := p.open(t).MemberAdd(t.Context(), p.spec(t, name, roles...)); err != nil {
		t.Fatal(err)
	}
	return p.as(t, name)
}

func (p *place) push(t testing.TB, artefact string, version int) {
	t.Helper()
	if _, err := p.open(t).Push(t.Context(), vault.PushOptions{Artefact: artefact, Paths: []string{smallModel(t, version)}}); err != nil {
		t.Fatal(err)
	}
}

// reads pulls a version and returns the error.
func (p *place) reads(t testing.TB, artefact string, version int) error {
	t.Helper()
	return pulls(t, p.config(), artefact, version)
}

func pulls(t testing.TB, c vault.Config, artefact string, version int) error {
	t.Helper()
	v, err := vault.Open(t.Context(), c)
	if err != nil {
		return err
	}
	_, err = v.Pull(t.Context(), vault.Ref{Artefact: artefact, Number: version}, t.TempDir(), vault.PullOptions{})
	return err
}

func ok[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func done(t testing.TB, s *vault.Settlement, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if s == nil || len(s.Waiting) > 0 {
		t.Fatalf("something waits: %+v", s)
	}
}

// TestPushOnlyReadsNothing: not even what it pushed, once the process has ended.
func TestPushOnlyReadsNothing(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	p.open(t).Register(t.Context(), "m")
	pat, aud := p.join(t, "pat", state.Pusher), p.join(t, "aud", state.Auditor)
	pat.push(t, "m", 1)
	if err := p.reads(t, "m", 1); err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]*place{"the pusher": pat, "an auditor": aud} {
		if err := who.reads(t, "m", 1); !errors.Is(err, vault.ErrNotPermitted) {
			t.Errorf("%s pulls: %v", name, err)
		}
		if h, err := who.open(t).History(t.Context(), "m"); err != nil || len(h.Events) < 5 {
			t.Errorf("%s reads the journal: %v", name, err)
		}
	}
}

func TestMemberAddTwice(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	spec := p.spec(t, "bob", state.Developer)
	for _, want := range []bool{true, false} {
		c, err := p.open(t).MemberAdd(t.Context(), spec)
		if err != nil || c.Changed != want {
			t.Fatalf("%+v, %v; want changed %v", c, err, want)
		}
	}
	spec.Roles = nil
	if _, err := p.open(t).MemberAdd(t.Context(), spec); !errors.Is(err, vault.ErrConflict) {
		t.Errorf("other roles under the same name: %v", err)
	}
	spec.Name = "carl"
	if _, err := p.open(t).MemberAdd(t.Context(), spec); !errors.Is(err, vault.ErrConflict) {
		t.Errorf("the same key under another name: %v", err)
	}
	if _, err := p.as(t, "bob").open(t).MemberAdd(t.Context(), p.spec(t, "eve")); !errors.Is(err, vault.ErrNotPermitted) || !strings.Contains(err.Error(), "rule role") {
		t.Errorf("by a developer: %v", err)
	}
}

// TestRemovedMember: must show 3. Bucket credentials, and keys that were good,
// give no later version and no entry that anybody accepts.
func TestRemovedMember(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	mal := p.join(t, "mal", state.Developer)
	ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), "m", []string{"mal"}))
	p.push(t, "m", 1)
	if err := mal.reads(t, "m", 1); err != nil {
		t.Fatal(err)
	}
	before := mal.open(t) // a session that goes on in memory
	_, s, err := p.open(t).MemberRemove(t.Context(), "mal", "left")
	done(t, s, err)
	if len(s.Fenced) != 1 || len(s.Resized) != 1 || len(s.Rotated) != 1 {
		t.Errorf("settled %+v", s)
	}
	p.push(t, "m", 2)
	for n := 1; n <= 2; n++ {
		if err := mal.reads(t, "m", n); !errors.Is(err, vault.ErrNoAccess) {
			t.Errorf("a removed member reads v%d: %v", n, err)
		}
		if _, err := before.Pull(t.Context(), vault.Ref{Artefact: "m", Number: n}, t.TempDir(), vault.PullOptions{}); err == nil {
			t.Errorf("a removed member's open session reads v%d", n)
		}
	}
	if _, err := before.Push(t.Context(), vault.PushOptions{Artefact: "m", Paths: []string{smallModel(t, 3)}}); err == nil {
		t.Error("a removed member pushed")
	}
	if err := p.reads(t, "m", 2); err != nil {
		t.Errorf("who stayed reads: %v", err)
	}
	if c, s, err := p.open(t).MemberRemove(t.Context(), "mal", ""); err != nil || c.Changed || len(s.Fenced)+len(s.Resized)+len(s.Rotated)+len(s.Waiting) != 0 {
		t.Errorf("removing again: %+v, %+v, %v", c, s, err)
	}
	if _, _, err := p.open(t).MemberRemove(t.Context(), "nobody", ""); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("removing nobody: %v", err)
	}
	if _, _, err := p.open(t).MemberRemove(t.Context(), "ada", ""); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("removing the last admin: %v", err)
	}
}

// before shows a store's vault journal as it was: whoever signs by what they
// read there dates back.
type before struct {
	backends.Store
	keys []string
}

func (s before) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		for info, err := range s.Store.List(ctx, prefix, o) {
			if err == nil && strings.HasPrefix(info.Key, "log/") && !slices.Contains(s.keys, info.Key) {
				continue
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// TestBackdatedArtefact: an artefact that somebody registers after their
// removal, by a vault journal as it was before, is nobody's, for whoever knows
// of the removal.
func TestBackdatedArtefact(t *testing.T) {
	for _, end := range []string{"removed", "rekeyed"} {
		t.Run(end, func(t *testing.T) {
			p := newPlace(t)
			p.init(t)
			mal, eve := p.join(t, "mal", state.Developer), p.join(t, "eve")
			mal.push(t, "honest", 1)
			past := before{p.store, p.mem.Keys()}
			sleeper := eve.open(t)
			finish := func() {
				t.Helper()
				var s *vault.Settlement
				var err error
				if end == "removed" {
					_, s, err = p.open(t).MemberRemove(t.Context(), "mal", "")
				} else {
					_, s, err = p.open(t).MemberRekey(t.Context(), "mal", p.as(t, "mal2").id.Public().String())
				}
				if err != nil {
					t.Fatal(err, s)
				}
			}
			if end == "rekeyed" {
				ok[*vault.GrantResult](t)(mal.open(t).Grant(t.Context(), "honest", []string{"ada"}))
			}
			finish()
			late := *mal
			late.store = past
			late.push(t, "evil", 1)
			list, _, err := p.open(t).List(t.Context(), "")
			if err != nil || len(list) != 1 || list[0].Artefact != "honest" {
				t.Errorf("listed: %+v, %v", list, err)
			}
			r, err := vault.Verify(t.Context(), p.config(), vault.VerifyOptions{})
			if err != nil || !slices.ContainsFunc(r.Voids, func(v vault.JournalVoid) bool { return v.Rule == state.RuleCut && v.Author == "mal" }) {
				t.Errorf("verify reports voids %+v, %v", r, err)
			}
			if _, _, err := sleeper.Members(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := sleeper.History(t.Context(), "evil"); !errors.Is(err, vault.ErrNotFound) {
				t.Errorf("for a client that was open before: %v", err)
			}
		})
	}
}

// TestRekey: the old key ends, the new one reads what the member read.
func TestRekey(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	dev := p.join(t, "dev", state.Developer)
	ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), "m", []string{"dev"}))
	p.push(t, "m", 1)
	fresh := p.as(t, "fresh")
	_, s, err := p.open(t).MemberRekey(t.Context(), "dev", fresh.id.Public().String())
	done(t, s, err)
	if err := fresh.reads(t, "m", 1); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if err := dev.reads(t, "m", 1); err == nil {
		t.Error("the old key reads")
	}
	if c, _, err := p.open(t).MemberRekey(t.Context(), "dev", fresh.id.Public().String()); err != nil || c.Changed {
		t.Errorf("again: %+v, %v", c, err)
	}
}

// TestIdentityRotate: the same readers, no artefact touched; both keys serve in
// the overlap, and the old identity's reading is not lost with its file.
func TestIdentityRotate(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	clock := time.Now()
	p.now = func() time.Time { return clock }
	host := p.join(t, "host") // no role at all
	ok[*vault.Change](t)(p.open(t).GroupAdd(t.Context(), "serving", []string{"host", "ada"}))
	ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), "own", []string{"host"}))
	ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), "grouped", []string{"@serving"}))
	p.push(t, "own", 1)
	p.push(t, "grouped", 1)
	for i, name := range []string{"host2", "host3"} {
		next := p.as(t, name)
		c, err := host.open(t).IdentityRotate(t.Context(), next.id, time.Hour)
		if err != nil || !c.Changed {
			t.Fatalf("rotation %d: %+v, %v", i, c, err)
		}
		for _, a := range []string{"own", "grouped"} {
			if err := next.reads(t, a, 1); err != nil {
				t.Errorf("rotation %d: %s with the new key: %v", i, a, err)
			}
			if err := host.reads(t, a, 1); err != nil {
				t.Errorf("rotation %d: %s with the old key in the overlap: %v", i, a, err)
			}
		}
		host = next
	}
	ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), "later", []string{"host"}))
	p.push(t, "later", 1)
	clock = clock.Add(2 * time.Hour)
	if err := host.reads(t, "later", 1); err != nil {
		t.Errorf("what is granted later: %v", err)
	}
	p.join(t, "somebody") // a new metadata identity, after the overlap
	if _, err := vault.Open(t.Context(), p.as(t, "host").config()); err == nil {
		t.Error("a key opens the vault after its overlap and a new metadata identity")
	}
}

// TestQuorum: an entry that takes two admins is a proposal, and loosening that
// takes the two as well.
func TestQuorum(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	bob, dev := p.join(t, "bob", state.Admin), p.join(t, "dev", state.Developer)
	set := func(who *place, approvals, quorum int) (*vault.Change, error) {
		return who.open(t).SetPolicy(t.Context(), func(state.Policy) (state.Policy, error) {
			return state.Policy{Approvals: approvals, AdminQuorum: quorum}, nil
		})
	}
	var void *state.Void
	if _, err := set(p, 1, 3); !errors.As(err, &void) || void.Rule != state.RuleLastAdmin {
		t.Fatalf("more than there are: %v", err)
	}
	if c, err := set(p, 1, 2); err != nil || c.Proposal != nil {
		t.Fatalf("tightening takes one: %+v, %v", c, err)
	}
	c, err := set(p, 1, 1)
	if err != nil || c.Proposal == nil || c.Proposal.Lacks != 1 || p.open(t).State().Policy.AdminQuorum != 2 {
		t.Fatalf("loosening: %+v, %v", c, err)
	}
	id := c.Proposal.ID
	if _, _, err := dev.open(t).Approve(t.Context(), id); !errors.Is(err, vault.ErrNotPermitted) {
		t.Errorf("approved by a developer: %v", err)
	}
	if c, _, err := p.open(t).Approve(t.Context(), id); err != nil || c.Changed || c.Proposal == nil {
		t.Errorf("approved by who proposed: %+v, %v", c, err)
	}
	if _, _, err := bob.open(t).Approve(t.Context(), "0000"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
	all, _, err := bob.open(t).Proposals(t.Context())
	if err != nil || len(all) != 1 || all[0].By != "ada" || !strings.Contains(all[0].What, "1 admins") || !slices.Equal(all[0].Signed, []string{"ada"}) {
		t.Errorf("proposals %+v, %v", all, err)
	}
	if c, _, err := bob.open(t).Approve(t.Context(), id[:12]); err != nil || c.Proposal != nil || !c.Changed || bob.open(t).State().Policy.AdminQuorum != 1 {
		t.Errorf("the second admin: %+v, %v", c, err)
	}
}

// TestProposalsAreJudged: what somebody with bucket credentials, or an admin who
// binds a metadata identity that does not open, leaves there is not signed.
func TestProposalsAreJudged(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	bob := p.join(t, "bob", state.Admin)
	ok[*vault.Change](t)(p.open(t).SetPolicy(t.Context(), func(q state.Policy) (state.Policy, error) { return vault.SetField(q, "admin_quorum", "2") }))
	c := ok[*vault.Change](t)(p.open(t).MemberAdd(t.Context(), p.spec(t, "eve", state.Admin)))
	for _, key := range p.mem.Keys() {
		if strings.HasPrefix(key, "prop/") {
			if _, err := p.mem.Put(t.Context(), key[:len(key)-1]+"x", []byte("junk")); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := must2(bob.open(t).Proposals(t.Context()))
	if len(all) != 1 {
		t.Fatalf("%d proposals beside junk", len(all))
	}
	// The identity that the proposal binds is taken away before the second admin signs.
	bound := map[string]bool{}
	for _, m := range p.open(t).State().Metadata {
		bound["meta/"+m.MID.String()] = true
	}
	for _, key := range p.mem.Keys() {
		if strings.HasPrefix(key, "meta/") && !bound[key] {
			p.mem.Remove(key)
		}
	}
	if _, _, err := bob.open(t).Approve(t.Context(), c.Proposal.ID); !errors.Is(err, state.ErrUnverifiable) {
		t.Errorf("approved without the metadata identity: %v", err)
	}
	// The journal goes on: what was proposed for its next place has come to nothing.
	if _, _, err := p.open(t).MemberSuspend(t.Context(), "bob", "lost"); err == nil {
		t.Fatal("fewer admins were left than must sign")
	}
	p.push(t, "m", 1)
	ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), "team/*", []string{"bob"}))
	if all := must2(bob.open(t).Proposals(t.Context())); len(all) != 0 {
		t.Errorf("%d proposals after the journal went on", len(all))
	}
}

func must2(all []*vault.Proposal, _ string, _ error) []*vault.Proposal { return all }
