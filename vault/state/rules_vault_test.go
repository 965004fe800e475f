package state_test

import (
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func vaultCases() []ruleCase {
	fresh := func() string { return identities().get("fresh").Public().String() }
	return []ruleCase{
		{state.RuleUnused, "a new member", false, func(w *world) *state.Void {
			return w.try("admin", state.KindMemberAdd, w.addBody("somebody", identities().get("fresh")))
		}},
		{state.RuleUnused, "a member's name", true, func(w *world) *state.Void {
			return w.try("admin", state.KindMemberAdd, w.addBody("reader", identities().get("fresh")))
		}},
		{state.RuleUnused, "a removed member's name", true, func(w *world) *state.Void {
			w.remove("reader")
			return w.try("admin", state.KindMemberAdd, w.addBody("reader", identities().get("fresh")))
		}},
		{state.RuleUnused, "a member's key", true, func(w *world) *state.Void {
			return w.try("admin", state.KindMemberAdd, w.addBody("somebody", w.keys["reader"]))
		}},
		{state.RuleUnused, "a removed member's key", true, func(w *world) *state.Void {
			w.remove("reader")
			return w.try("admin", state.KindMemberAdd, w.addBody("somebody", w.keys["reader"]))
		}},
		{state.RuleUnused, "a replaced key", true, func(w *world) *state.Void {
			w.rekey("reader", "fresh")
			return w.try("admin", state.KindMemberAdd, w.addBody("somebody", w.keys["old reader"]))
		}},
		{state.RuleUnused, "rekey to another member's key", true, func(w *world) *state.Void {
			return w.try("admin", state.KindMemberRekey, state.MemberRekey{Name: "reader", Key: w.keys["dev"].Public().String(), Cut: w.doc(), Metadata: w.metadata()})
		}},
		{state.RuleUnused, "a metadata identity bound again", true, func(w *world) *state.Void {
			b := w.addBody("somebody", identities().get("fresh"))
			b.Metadata = w.state().Metadata[0]
			return w.try("admin", state.KindMemberAdd, b)
		}},

		{state.RuleTarget, "remove a member", false, func(w *world) *state.Void { return w.remove("reader") }},
		{state.RuleTarget, "remove nobody", true, func(w *world) *state.Void { return w.remove("nobody") }},
		{state.RuleTarget, "remove twice", true, func(w *world) *state.Void { w.remove("reader"); return w.remove("reader") }},
		{state.RuleTarget, "rekey nobody", true, func(w *world) *state.Void {
			return w.try("admin", state.KindMemberRekey, state.MemberRekey{Name: "nobody", Key: fresh(), Cut: w.doc(), Metadata: w.metadata()})
		}},
		{state.RuleTarget, "rekey a removed member", true, func(w *world) *state.Void {
			w.remove("reader")
			return w.try("admin", state.KindMemberRekey, state.MemberRekey{Name: "reader", Key: fresh(), Cut: w.doc(), Metadata: w.metadata()})
		}},
		{state.RuleTarget, "suspend nobody", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberSuspend, state.MemberMark{Name: "nobody"})
		}},
		{state.RuleTarget, "resume a removed member", true, func(w *world) *state.Void {
			w.remove("reader")
			return w.try("admin", state.KindMemberResume, state.MemberMark{Name: "reader"})
		}},
		{state.RuleTarget, "an old key turns the key again", true, func(w *world) *state.Void {
			w.turnKey("reader", "fresh", time.Hour)
			return w.try("old reader", state.KindMemberRotate, w.rotateBody("thief", 0), cosigned("thief"))
		}},
		{state.RuleTarget, "train a member", false, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTraining, state.MemberTraining{Name: "dev", Role: state.Developer, Course: "c"})
		}},
		{state.RuleTarget, "train nobody", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTraining, state.MemberTraining{Name: "nobody", Role: state.Developer, Course: "c"})
		}},
		{state.RuleTarget, "train a removed member", true, func(w *world) *state.Void {
			w.remove("reader")
			return w.try("op", state.KindMemberTraining, state.MemberTraining{Name: "reader", Role: state.Developer, Course: "c"})
		}},
		{state.RuleSecondPerson, "one's own training", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTraining, state.MemberTraining{Name: "op", Role: state.Operator, Course: "c"})
		}},
		{state.RuleBody, "training for no role", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTraining, state.MemberTraining{Name: "dev", Role: "pilot", Course: "c"})
		}},
		{state.RuleBody, "training in nothing", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTraining, state.MemberTraining{Name: "dev", Role: state.Developer})
		}},
		{state.RuleBody, "training that is over", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTraining, state.MemberTraining{Name: "dev", Role: state.Developer, Course: "c", Expires: entry.At(dawn)})
		}},
		{state.RuleBody, "training with a document elsewhere", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTraining, state.MemberTraining{Name: "dev", Role: state.Developer, Course: "c", Document: w.named("doc/")})
		}},
		{state.RuleTarget, "taint a member's key", false, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTaint, state.MemberTaint{Key: w.keyID("dev"), From: entry.At(dawn), To: entry.At(w.now)})
		}},
		{state.RuleTarget, "taint a replaced key", false, func(w *world) *state.Void {
			w.rekey("dev", "fresh")
			return w.try("op", state.KindMemberTaint, state.MemberTaint{Key: w.keyID("old dev"), From: entry.At(dawn), To: entry.At(w.now)})
		}},
		{state.RuleTarget, "taint an unknown key", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTaint, state.MemberTaint{Key: w.digest(), From: entry.At(dawn), To: entry.At(w.now)})
		}},
		{state.RuleTarget, "a window that ends before it begins", true, func(w *world) *state.Void {
			return w.try("op", state.KindMemberTaint, state.MemberTaint{Key: w.keyID("dev"), From: entry.At(w.now), To: entry.At(dawn.Add(-time.Hour))})
		}},

		{state.RuleLastAdmin, "one of two removed", false, func(w *world) *state.Void { return w.remove("all") }},
		{state.RuleLastAdmin, "the last one removed", true, func(w *world) *state.Void { w.remove("all"); return w.remove("admin") }},
		{state.RuleLastAdmin, "one of two suspended", false, func(w *world) *state.Void {
			return w.try("op", state.KindMemberSuspend, state.MemberMark{Name: "admin"})
		}},
		{state.RuleLastAdmin, "the last one suspended", true, func(w *world) *state.Void {
			w.suspend("all")
			return w.try("op", state.KindMemberSuspend, state.MemberMark{Name: "admin"})
		}},
		{state.RuleLastAdmin, "fewer left than sign", true, func(w *world) *state.Void {
			w.setPolicy(1, 2)
			return w.try("admin", state.KindMemberRemove, state.MemberRemove{Name: "all", Cut: w.doc(), Metadata: w.metadata()}, cosigned("all"))
		}},
		{state.RuleLastAdmin, "as many as there are must sign", false, func(w *world) *state.Void { return w.setPolicy(1, 2) }},
		{state.RuleLastAdmin, "more than there are must sign", true, func(w *world) *state.Void { return w.setPolicy(1, 3) }},
	}
}

// disposalCases are those of the vault's journal.
func disposalCases() []ruleCase {
	scope := func(w *world) state.DisposalScope { return state.DisposalScope{Artefact: w.digest(), Whole: true} }
	mark := func(w *world, author, kind string, id canonical.ID) *state.Void {
		return w.try(author, kind, state.DisposalMark{ID: id})
	}
	lone := func(w *world) { // only cust is custodian
		w.remove("cust2")
		w.remove("all")
	}
	return []ruleCase{
		{state.RuleUnused, "a new disposal", false, func(w *world) *state.Void {
			return w.try("cust", state.KindDisposalRequest, state.DisposalRequest{ID: w.id(), Scope: []state.DisposalScope{scope(w)}, Plan: w.doc(), Reason: "r"})
		}},
		{state.RuleUnused, "a disposal's id again", true, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			return w.try("cust", state.KindDisposalRequest, state.DisposalRequest{ID: id, Scope: []state.DisposalScope{scope(w)}, Plan: plan, Reason: "r"})
		}},
		{state.RuleUnused, "approved twice by one", true, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			w.approve("cust2", id, plan)
			return w.approve("cust2", id, plan)
		}},
		{state.RuleUnused, "cancelled twice", true, func(w *world) *state.Void {
			id := w.approved(scope(w))
			mark(w, "cust", state.KindDisposalCancel, id)
			return mark(w, "cust", state.KindDisposalCancel, id)
		}},
		{state.RuleUnused, "accepted twice", true, func(w *world) *state.Void {
			id := w.approved(scope(w))
			mark(w, "cust", state.KindDisposalAccept, id)
			return mark(w, "cust2", state.KindDisposalAccept, id)
		}},
		{state.RuleTarget, "approve nothing", true, func(w *world) *state.Void { return w.approve("cust2", w.id(), w.doc()) }},
		{state.RuleTarget, "approve another plan", true, func(w *world) *state.Void {
			id, _ := w.request("cust", scope(w))
			return w.approve("cust2", id, w.doc())
		}},
		{state.RuleTarget, "approve what was cancelled", true, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			mark(w, "cust", state.KindDisposalCancel, id)
			return w.approve("cust2", id, plan)
		}},
		{state.RuleTarget, "cancel", false, func(w *world) *state.Void { return mark(w, "cust", state.KindDisposalCancel, w.approved(scope(w))) }},
		{state.RuleTarget, "cancel what was accepted", true, func(w *world) *state.Void {
			id := w.approved(scope(w))
			mark(w, "cust", state.KindDisposalAccept, id)
			return mark(w, "cust", state.KindDisposalCancel, id)
		}},
		{state.RuleTarget, "accept", false, func(w *world) *state.Void { return mark(w, "cust", state.KindDisposalAccept, w.approved(scope(w))) }},
		{state.RuleTarget, "accept what was cancelled too late", false, func(w *world) *state.Void {
			id := w.approved(scope(w))
			mark(w, "cust", state.KindDisposalCancel, id)
			return mark(w, "cust", state.KindDisposalAccept, id)
		}},

		{state.RuleTarget, "a checkpoint", false, func(w *world) *state.Void {
			return w.try("aud", state.KindCheckpoint, state.Checkpoint{Heads: w.doc(), Size: 7})
		}},
		{state.RuleTarget, "a checkpoint of no more than the last one", true, func(w *world) *state.Void {
			w.must("aud", state.KindCheckpoint, state.Checkpoint{Heads: w.doc(), Size: 7})
			return w.try("aud", state.KindCheckpoint, state.Checkpoint{Heads: w.doc(), Size: 7})
		}},
		{state.RuleTarget, "a checkpoint of nothing", true, func(w *world) *state.Void {
			return w.try("aud", state.KindCheckpoint, state.Checkpoint{Heads: w.doc()})
		}},

		{state.RuleSecondPerson, "another custodian approves", false, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			return w.approve("cust2", id, plan)
		}},
		{state.RuleSecondPerson, "the requester approves", true, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			return w.approve("cust", id, plan)
		}},
		{state.RuleSecondPerson, "the requester, with a new key", true, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			w.turnKey("cust", "fresh", 0)
			return w.approve("cust", id, plan)
		}},
		{state.RuleSecondPerson, "the sole custodian", false, func(w *world) *state.Void {
			lone(w)
			id, plan := w.request("cust", scope(w))
			return w.approve("cust", id, plan)
		}},
		{state.RuleSecondPerson, "once there is a second custodian", true, func(w *world) *state.Void {
			lone(w)
			id, plan := w.request("cust", scope(w))
			w.join("cust3", state.Custodian)
			return w.approve("cust", id, plan)
		}},
		{state.RuleSecondPerson, "once a second custodian is back", true, func(w *world) *state.Void {
			w.remove("all")
			w.suspend("cust2")
			id, plan := w.request("cust", scope(w))
			w.must("admin", state.KindMemberResume, state.MemberMark{Name: "cust2"})
			return w.approve("cust", id, plan)
		}},

		{state.RuleApproved, "an approver who turned their key since", false, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			w.turnKey("cust2", "fresh", 0)
			return w.approve("cust2", id, plan)
		}},
		{state.RuleApproved, "an approver who was added since", true, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			w.join("cust3", state.Custodian)
			return w.approve("cust3", id, plan)
		}},
		{state.RuleApproved, "an approver who was re-keyed since", true, func(w *world) *state.Void {
			id, plan := w.request("cust", scope(w))
			w.rekey("cust2", "fresh")
			return w.approve("cust2", id, plan)
		}},
	}
}
