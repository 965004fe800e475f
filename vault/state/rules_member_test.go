package state_test

import (
	"time"

	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// suspend and the like take a member's place in a world.
func (w *world) suspend(name string) {
	w.must("op", state.KindMemberSuspend, state.MemberMark{Name: name, Reason: "stolen"})
}

func (w *world) remove(name string) *state.Void {
	return w.try("admin", state.KindMemberRemove, state.MemberRemove{Name: name, Cut: w.doc(), Metadata: w.metadata()})
}

// rekey gives a member the identity called fresh; the old one is from then on called "old <name>".
func (w *world) rekey(name, fresh string) {
	w.must("admin", state.KindMemberRekey, state.MemberRekey{Name: name, Key: identities().get(fresh).Public().String(), Cut: w.doc(), Metadata: w.metadata()})
	w.keys["old "+name], w.keys[name] = w.keys[name], identities().get(fresh)
}

func (w *world) rotateBody(fresh string, overlap time.Duration) state.MemberRotate {
	w.keys[fresh] = identities().get(fresh)
	return state.MemberRotate{Key: w.keys[fresh].Public().String(), Overlap: entry.At(w.now.Add(overlap)), Former: w.named("grp/" + w.id().String() + "-"), Metadata: w.metadata()}
}

// turnKey is rekey by the member.
func (w *world) turnKey(name, fresh string, overlap time.Duration) {
	w.must(name, state.KindMemberRotate, w.rotateBody(fresh, overlap), cosigned(fresh))
	w.keys["old "+name], w.keys[name] = w.keys[name], w.keys[fresh]
}

func (w *world) fence(name string) *state.Void {
	return w.try(name, state.KindFence, state.Fence{})
}

func (w *world) addBody(name string, id *identity.Identity) state.MemberAdd {
	return state.MemberAdd{Member: state.MemberSpec{Name: name, Key: id.Public().String(), Roles: []state.Grant{}}, Metadata: w.metadata()}
}

func (w *world) setPolicy(approvals, quorum int, names ...string) *state.Void {
	return w.try("admin", state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: approvals, AdminQuorum: quorum}}, cosigned(names...))
}

func uncritical(h *entry.Header) { h.Critical = !h.Critical }

func memberCases() []ruleCase {
	const day = 24 * time.Hour
	return []ruleCase{
		{state.RuleKind, "a kind of both journals", false, func(w *world) *state.Void { return w.fence("reader") }},
		{state.RuleKind, "an artefact's kind in the vault's journal", true, func(w *world) *state.Void {
			return w.try("all", state.KindRegister, state.Register{Name: "m"})
		}},
		{state.RuleKind, "a vault's kind in an artefact's journal", true, func(w *world) *state.Void {
			return w.register("m", nil).try("all", state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: 1, AdminQuorum: 1}})
		}},
		{state.RuleKind, "a second genesis", true, func(w *world) *state.Void {
			return w.try("all", state.KindGenesis, state.Genesis{Founder: w.spec("all"), Metadata: w.metadata(), Custody: custody(), Policy: w.state().Policy})
		}},
		{state.RuleKind, "a genesis in an artefact's journal", true, func(w *world) *state.Void {
			return w.register("m", nil).try("all", state.KindGenesis, state.Genesis{})
		}},
		{state.RuleKind, "not critical where it must be", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("push", state.KindVersion, a.version(a.world.id()), edit(uncritical))
		}},
		{state.RuleKind, "critical where it must not be", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("op", state.KindApprove, state.Approve{Version: a.push()}, edit(uncritical))
		}},
		{state.RuleKind, "unknown, not critical", true, func(w *world) *state.Void {
			return w.try("reader", "telepathy", struct{}{})
		}},
		{state.RuleKind, "unknown, not critical, in an artefact's journal", true, func(w *world) *state.Void {
			return w.register("m", nil).try("reader", "telepathy", struct{}{})
		}},

		{state.RuleMember, "a member", false, func(w *world) *state.Void { return w.fence("reader") }},
		{state.RuleMember, "before it expires", false, func(w *world) *state.Void { return expiring(w, day-time.Second) }},
		{state.RuleMember, "expired", true, func(w *world) *state.Void { return expiring(w, day) }},
		{state.RuleMember, "suspended", true, func(w *world) *state.Void { w.suspend("reader"); return w.fence("reader") }},
		{state.RuleMember, "resumed", false, func(w *world) *state.Void {
			w.suspend("reader")
			w.must("admin", state.KindMemberResume, state.MemberMark{Name: "reader"})
			return w.fence("reader")
		}},
		{state.RuleMember, "removed", true, func(w *world) *state.Void { w.remove("reader"); return w.fence("reader") }},
		{state.RuleMember, "removed, a critical kind nobody knows", true, func(w *world) *state.Void {
			w.remove("reader")
			return w.try("reader", "telepathy", struct{}{}, edit(uncritical))
		}},
		{state.RuleMember, "the new key", false, func(w *world) *state.Void { w.rekey("reader", "fresh"); return w.fence("reader") }},
		{state.RuleMember, "a replaced key", true, func(w *world) *state.Void { w.rekey("reader", "fresh"); return w.fence("old reader") }},
		{state.RuleMember, "the old key in the overlap", false, func(w *world) *state.Void {
			w.turnKey("reader", "fresh", day)
			w.pass(day - time.Second)
			return w.fence("old reader")
		}},
		{state.RuleMember, "the old key after the overlap", true, func(w *world) *state.Void {
			w.turnKey("reader", "fresh", day)
			w.pass(day)
			return w.fence("old reader")
		}},
		{state.RuleMember, "the new key in the overlap", false, func(w *world) *state.Void { w.turnKey("reader", "fresh", day); return w.fence("reader") }},
		{state.RuleMember, "both keys after the member's removal", true, func(w *world) *state.Void {
			w.turnKey("reader", "fresh", day)
			w.remove("reader")
			w.must("admin", state.KindFence, state.Fence{})
			if void := w.fence("old reader"); void == nil {
				return nil
			}
			return w.fence("reader")
		}},
		{state.RuleMember, "removed, as of the vault head it cites", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			w.remove("push")
			return a.try("push", state.KindVersion, a.version(a.world.id()))
		}},
		{state.RuleMember, "removed since the vault head it cites", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			cited := w.head()
			w.remove("push")
			return a.try("push", state.KindVersion, a.version(a.world.id()), edit(func(h *entry.Header) { h.Vault = cited }))
		}},
		{state.RuleMember, "removed, and fenced before it", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			w.remove("push")
			a.must("reader", state.KindFence, state.Fence{})
			return a.try("push", state.KindVersion, a.version(a.world.id()))
		}},

		{state.RuleRole, "vault-wide", false, func(w *world) *state.Void { return w.register("m", nil).tryPush("push") }},
		{state.RuleRole, "for a glob that covers the name", false, func(w *world) *state.Void { return w.globbed("team/m") }},
		{state.RuleRole, "for a glob that does not cover the name", true, func(w *world) *state.Void { return w.globbed("teams/m") }},
		{state.RuleRole, "none", true, func(w *world) *state.Void { return w.register("m", nil).tryPush("reader") }},
		{state.RuleRole, "a glob is not vault-wide", true, func(w *world) *state.Void {
			w.keys["local"] = identities().get("local")
			b := w.addBody("local", w.keys["local"])
			b.Member.Roles = []state.Grant{{Role: state.Admin, Glob: "team/**"}}
			w.must("admin", state.KindMemberAdd, b)
			return w.try("local", state.KindMemberResume, state.MemberMark{Name: "reader"})
		}},
		{state.RuleRole, "a push that moves a channel, by no operator", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			v := a.version(a.world.id())
			v.Move = "main"
			return a.try("push", state.KindVersion, v)
		}},
		{state.RuleRole, "a push that moves a channel, by an operator", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			v := a.version(a.world.id())
			v.Move = "main"
			return a.try("all", state.KindVersion, v)
		}},
		{state.RuleRole, "readers taken away by a developer", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("dev", state.KindReaders, a.readers(a.world.id()))
		}},
		{state.RuleRole, "readers taken away by an operator", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("op", state.KindReaders, a.readers(a.world.id()))
		}},

		{state.RuleQuorum, "one admin where one is enough", false, func(w *world) *state.Void { return w.setPolicy(1, 1) }},
		{state.RuleQuorum, "two admins", false, func(w *world) *state.Void { w.two(); return w.setPolicy(2, 2, "admin2") }},
		{state.RuleQuorum, "one of two admins", true, func(w *world) *state.Void { w.two(); return w.setPolicy(2, 2) }},
		{state.RuleQuorum, "an admin and an operator", true, func(w *world) *state.Void { w.two(); return w.setPolicy(2, 2, "op") }},
		{state.RuleQuorum, "two keys of one admin", true, func(w *world) *state.Void {
			w.two()
			w.turnKey("admin", "fresh", day)
			return w.setPolicy(2, 2, "old admin")
		}},
		{state.RuleQuorum, "an admin and one who is suspended", true, func(w *world) *state.Void {
			w.two()
			w.keys["admin3"] = identities().get("admin3")
			w.must("admin", state.KindMemberAdd, state.MemberAdd{Member: w.spec("admin3", state.Admin), Metadata: w.metadata()}, cosigned("admin2"))
			w.suspend("admin3")
			return w.setPolicy(2, 2, "admin3")
		}},
		{state.RuleQuorum, "the operator's brake needs no quorum", false, func(w *world) *state.Void {
			w.two()
			return w.try("op", state.KindMemberSuspend, state.MemberMark{Name: "reader"})
		}},
		{state.RuleQuorum, "a rotation signed with both keys", false, func(w *world) *state.Void {
			return w.try("reader", state.KindMemberRotate, w.rotateBody("fresh", 0), cosigned("fresh"))
		}},
		{state.RuleQuorum, "a rotation not signed with the new key", true, func(w *world) *state.Void {
			return w.try("reader", state.KindMemberRotate, w.rotateBody("fresh", 0))
		}},
	}
}

// two makes the vault ask for two admins.
func (w *world) two() {
	w.join("admin2", state.Admin)
	if void := w.setPolicy(1, 2); void != nil {
		w.tb.Fatal(void)
	}
}

// globbed registers an artefact and pushes to it as a member who is pusher for team/** alone.
func (w *world) globbed(artefact string) *state.Void {
	w.keys["local"] = identities().get("local")
	b := w.addBody("local", w.keys["local"])
	b.Member.Roles = []state.Grant{{Role: state.Pusher, Glob: "team/**"}}
	w.must("admin", state.KindMemberAdd, b)
	return w.register(artefact, nil).tryPush("local")
}

func (a *artefact) tryPush(author string) *state.Void {
	return a.try(author, state.KindVersion, a.version(a.world.id()))
}

// expiring adds a member for a day and writes as them after so long.
func expiring(w *world, after time.Duration) *state.Void {
	w.keys["temp"] = identities().get("temp")
	b := w.addBody("temp", w.keys["temp"])
	b.Member.Expires = entry.At(w.now.Add(24 * time.Hour))
	w.must("admin", state.KindMemberAdd, b)
	w.pass(after)
	return w.fence("temp")
}
