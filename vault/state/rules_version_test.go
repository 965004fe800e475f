package state_test

import (
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func versionCases() []ruleCase {
	// pushed pushes a version that was changed first.
	pushed := func(w *world, change func(a *artefact, v *state.Version)) *state.Void {
		a := w.register("m", nil)
		a.push()
		v := a.version(a.world.id())
		change(a, &v)
		return a.try("push", state.KindVersion, v)
	}
	return []ruleCase{
		{state.RuleUnused, "a version's id again", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) {
				*v = a.version(a.state.Versions[0].VID)
			})
		}},
		{state.RuleUnused, "an operation again", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			a.push()
			op := a.state.Versions[0].Op
			return a.try("push", state.KindVersion, a.version(a.world.id()), edit(func(h *entry.Header) { h.Op = op }))
		}},
		{state.RuleUnused, "another author's operation", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			a.push()
			op := a.state.Versions[0].Op
			return a.try("dev", state.KindVersion, a.version(a.world.id()), edit(func(h *entry.Header) { h.Op = op }))
		}},
		{state.RuleUnused, "an operation that made nothing", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			op := a.world.id()
			same := edit(func(h *entry.Header) { h.Op = op })
			bad := a.version(a.world.id())
			bad.EID = a.world.id()
			if a.try("push", state.KindVersion, bad, same) == nil {
				return &state.Void{Why: "the first try counts"}
			}
			return a.try("push", state.KindVersion, a.version(a.world.id()), same)
		}},

		{state.RuleEpoch, "the current epoch", false, func(w *world) *state.Void { return pushed(w, func(*artefact, *state.Version) {}) }},
		{state.RuleEpoch, "a superseded epoch", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) { a.rotate() })
		}},
		{state.RuleEpoch, "a candidate", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) { v.EID = a.prepare() })
		}},
		{state.RuleEpoch, "before the first activation", true, func(w *world) *state.Void {
			a := w.blank("m", nil)
			a.must("dev", state.KindRegister, state.Register{Name: "m"})
			a.must("dev", state.KindReaders, a.readers(a.world.id()))
			v := a.version(a.world.id())
			v.EID = a.prepare()
			return a.try("push", state.KindVersion, v)
		}},
		{state.RuleGeneration, "the current readers", false, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) {
				a.must("dev", state.KindReaders, a.more(a.state.Generation().GID))
			})
		}},
		{state.RuleGeneration, "former readers", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) { a.must("op", state.KindReaders, a.readers(a.world.id())) })
		}},
		{state.RuleGeneration, "no readers", true, func(w *world) *state.Void {
			a := w.blank("m", nil)
			a.must("dev", state.KindRegister, state.Register{Name: "m"})
			a.rotate()
			return a.tryPush("push")
		}},
		{state.RuleWhole, "a disposal of another version under way", false, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) { a.execute(a.state.Versions[0].VID) })
		}},
		{state.RuleWhole, "a disposal of the whole under way", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) { a.execute() })
		}},
		{state.RuleWhole, "a disposal of the whole cancelled", false, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) {
				a.must("cust", state.KindCancel, state.Disposal{Disposal: a.execute()})
			})
		}},
		{state.RuleCondemned, "another id condemned", false, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) {
				a.must("run", state.KindCondemn, state.Versions{Versions: []canonical.ID{a.world.id()}})
			})
		}},
		{state.RuleCondemned, "condemned", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) {
				a.must("run", state.KindCondemn, state.Versions{Versions: []canonical.ID{a.world.id(), v.VID}})
			})
		}},
		{state.RuleBorrowed, "through a live version", false, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) { v.Borrowed = []canonical.ID{a.state.Versions[0].VID} })
		}},
		{state.RuleBorrowed, "through a disabled version", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) {
				v.Borrowed = []canonical.ID{a.push(), a.state.Versions[0].VID}
				a.execute(a.state.Versions[0].VID)
			})
		}},
		{state.RuleBorrowed, "through a disabled version that is held", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) {
				v.Borrowed = []canonical.ID{a.state.Versions[0].VID}
				a.execute(a.state.Versions[0].VID)
				a.hold(a.state.Versions[0].VID)
			})
		}},
		{state.RuleBorrowed, "through no version", true, func(w *world) *state.Void {
			return pushed(w, func(a *artefact, v *state.Version) { v.Borrowed = []canonical.ID{a.world.id()} })
		}},
	}
}

func executeCases() []ruleCase {
	execute := func(a *artefact, id canonical.ID, vids ...canonical.ID) *state.Void {
		return a.try("run", state.KindExecute, state.Execute{Disposal: id, Versions: vids, Whole: len(vids) == 0})
	}
	// one makes an artefact with a version.
	one := func(w *world) (*artefact, canonical.ID) {
		a := w.register("m", nil)
		return a, a.push()
	}
	cancel := func(a *artefact, id canonical.ID) *state.Void {
		return a.try("cust", state.KindCancel, state.Disposal{Disposal: id, Reason: "no"})
	}
	return []ruleCase{
		{state.RuleApproved, "as policy asks", false, func(w *world) *state.Void {
			a, vid := one(w)
			return execute(a, w.approved(a.scope(vid)), vid)
		}},
		{state.RuleApproved, "not approved", true, func(w *world) *state.Void {
			a, vid := one(w)
			id, _ := w.request("cust", a.scope(vid))
			return execute(a, id, vid)
		}},
		{state.RuleApproved, "not requested", true, func(w *world) *state.Void {
			a, vid := one(w)
			return execute(a, w.id(), vid)
		}},
		{state.RuleApproved, "cancelled", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := w.approved(a.scope(vid))
			w.must("cust", state.KindDisposalCancel, state.DisposalMark{ID: id})
			return execute(a, id, vid)
		}},
		{state.RuleApproved, "approved since the vault head it cites", true, func(w *world) *state.Void {
			a, vid := one(w)
			id, plan := w.request("cust", a.scope(vid))
			cited := w.head()
			w.approve("cust2", id, plan)
			return a.try("run", state.KindExecute, state.Execute{Disposal: id, Versions: []canonical.ID{vid}}, edit(func(h *entry.Header) { h.Vault = cited }))
		}},
		{state.RuleApproved, "policy asks for more since the request", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := w.approved(a.scope(vid))
			w.setPolicy(2, 1)
			return execute(a, id, vid)
		}},
		{state.RuleApproved, "policy asked for more in between", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := w.approved(a.scope(vid))
			w.setPolicy(2, 1)
			w.setPolicy(1, 1)
			return execute(a, id, vid)
		}},
		{state.RuleApproved, "policy asked for more before the request", false, func(w *world) *state.Void {
			a, vid := one(w)
			w.setPolicy(2, 1)
			w.setPolicy(1, 1)
			return execute(a, w.approved(a.scope(vid)), vid)
		}},
		{state.RuleApproved, "two approvals where policy asks for two", false, func(w *world) *state.Void {
			a, vid := one(w)
			w.setPolicy(2, 1)
			id, plan := w.request("cust", a.scope(vid))
			w.approve("cust2", id, plan)
			w.approve("all", id, plan)
			return execute(a, id, vid)
		}},
		{state.RuleApproved, "the sole custodian's own approval", false, func(w *world) *state.Void { return sole(w, func() {}) }},
		{state.RuleApproved, "the sole custodian's own, where policy asks for two", true, func(w *world) *state.Void { return sole(w, func() { w.setPolicy(2, 1) }) }},
		{state.RuleApproved, "the sole custodian's own, once there is a second", true, func(w *world) *state.Void {
			return sole(w, func() { w.join("cust3", state.Custodian) })
		}},
		{state.RuleApproved, "an activation, policy as it was", false, func(w *world) *state.Void {
			a, vid := one(w)
			a.execute(vid)
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},
		{state.RuleApproved, "an activation, policy asks for more since the execution", true, func(w *world) *state.Void {
			a, vid := one(w)
			a.execute(vid)
			w.setPolicy(2, 1)
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},
		{state.RuleApproved, "an activation, approved once more since", false, func(w *world) *state.Void {
			a, vid := one(w)
			id, plan := w.request("cust", a.scope(vid))
			w.approve("cust2", id, plan)
			execute(a, id, vid)
			w.setPolicy(2, 1)
			w.approve("all", id, plan)
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},
		{state.RuleApproved, "an activation, cancelled in the vault since the execution", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.execute(vid)
			w.must("cust", state.KindDisposalCancel, state.DisposalMark{ID: id})
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},
		{state.RuleApproved, "an end, cancelled in the vault since the execution", true, func(w *world) *state.Void {
			a, _ := one(w)
			id := a.execute()
			w.must("cust", state.KindDisposalCancel, state.DisposalMark{ID: id})
			return a.try("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
		}},
		{state.RuleApproved, "an activation, what was cancelled is held", false, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.execute(vid)
			a.hold(vid)
			w.must("cust", state.KindDisposalCancel, state.DisposalMark{ID: id})
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},

		{state.RuleDue, "on the day", false, func(w *world) *state.Void { return due(w, 24*time.Hour) }},
		{state.RuleDue, "a second before", true, func(w *world) *state.Void { return due(w, 24*time.Hour-time.Second) }},

		{state.RuleHeld, "no hold any more", false, func(w *world) *state.Void {
			a, vid := one(w)
			a.release(a.hold(vid))
			return execute(a, w.approved(a.scope(vid)), vid)
		}},
		{state.RuleHeld, "a hold on the version", true, func(w *world) *state.Void {
			a, vid := one(w)
			a.hold(vid)
			return execute(a, w.approved(a.scope(vid)), vid)
		}},
		{state.RuleHeld, "a hold on another version", false, func(w *world) *state.Void {
			a, vid := one(w)
			a.hold(a.push())
			return execute(a, w.approved(a.scope(vid)), vid)
		}},
		{state.RuleHeld, "a hold on the artefact", true, func(w *world) *state.Void {
			a, vid := one(w)
			a.hold()
			return execute(a, w.approved(a.scope(vid)), vid)
		}},
		{state.RuleHeld, "a hold on the artefact, before the push", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			a.hold()
			vid := a.push()
			return execute(a, w.approved(a.scope(vid)), vid)
		}},
		{state.RuleHeld, "the whole, a hold on a version", true, func(w *world) *state.Void {
			a, vid := one(w)
			a.hold(vid)
			return execute(a, w.approved(a.scope()))
		}},
		{state.RuleHeld, "the whole, a hold on the empty artefact", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			a.hold()
			return execute(a, w.approved(a.scope()))
		}},

		{state.RuleInScope, "part of the request", false, func(w *world) *state.Void {
			a, v1 := one(w)
			return execute(a, w.approved(a.scope(v1, a.push())), v1)
		}},
		{state.RuleInScope, "another version", true, func(w *world) *state.Void {
			a, v1 := one(w)
			return execute(a, w.approved(a.scope(v1)), v1, a.push())
		}},
		{state.RuleInScope, "another artefact", true, func(w *world) *state.Void {
			a, vid := one(w)
			b := w.register("other", nil)
			return execute(a, w.approved(b.scope(b.push())), vid)
		}},
		{state.RuleInScope, "the whole where versions were requested", true, func(w *world) *state.Void {
			a, vid := one(w)
			return execute(a, w.approved(a.scope(vid)))
		}},
		{state.RuleInScope, "a version where the whole was requested", true, func(w *world) *state.Void {
			a, vid := one(w)
			return execute(a, w.approved(a.scope()), vid)
		}},
		{state.RuleTarget, "execute twice", true, func(w *world) *state.Void {
			a, vid := one(w)
			return execute(a, a.execute(vid), vid)
		}},
		{state.RuleUnused, "execute the whole twice", true, func(w *world) *state.Void {
			a, _ := one(w)
			return execute(a, a.execute())
		}},

		{state.RuleCancel, "before the activation", false, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.execute(vid)
			a.prepare()
			return cancel(a, id)
		}},
		{state.RuleCancel, "after the activation", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.execute(vid)
			a.rotate()
			return cancel(a, id)
		}},
		{state.RuleCancel, "after the activation, but held", false, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.execute(vid)
			a.hold(vid)
			a.rotate()
			return cancel(a, id)
		}},
		{state.RuleCancel, "nothing executed", true, func(w *world) *state.Void {
			a, vid := one(w)
			return cancel(a, w.approved(a.scope(vid)))
		}},
		{state.RuleCancel, "cancelled already", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.execute(vid)
			cancel(a, id)
			return cancel(a, id)
		}},
		{state.RuleCancel, "the whole, without versions", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			return cancel(a, a.execute())
		}},
		{state.RuleCancel, "the whole, after a rotation dropped its versions", true, func(w *world) *state.Void {
			a, _ := one(w)
			id := a.execute()
			a.rotate()
			return cancel(a, id)
		}},

		{state.RuleSecondPerson, "released by another", false, func(w *world) *state.Void {
			a, vid := one(w)
			return a.try("op2", state.KindRelease, state.Release{ID: a.hold(vid), Reason: "settled"})
		}},
		{state.RuleSecondPerson, "released by who placed it", true, func(w *world) *state.Void {
			a, vid := one(w)
			return a.try("op", state.KindRelease, state.Release{ID: a.hold(vid), Reason: "settled"})
		}},
		{state.RuleSecondPerson, "released by who placed it, with a new key", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.hold(vid)
			w.rekey("op", "fresh")
			return a.try("op", state.KindRelease, state.Release{ID: id, Reason: "settled"})
		}},
		{state.RuleUnused, "a hold's id again", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.hold(vid)
			a.release(id)
			return a.try("op", state.KindHold, state.Hold{ID: id, Versions: []canonical.ID{vid}, Reason: "again"})
		}},
		{state.RuleTarget, "released twice", true, func(w *world) *state.Void {
			a, vid := one(w)
			id := a.hold(vid)
			a.release(id)
			return a.try("cust", state.KindRelease, state.Release{ID: id, Reason: "again"})
		}},
		{state.RuleTarget, "a hold on what is dropped", true, func(w *world) *state.Void {
			a, vid := one(w)
			a.execute(vid)
			a.rotate()
			return a.try("op", state.KindHold, state.Hold{ID: w.id(), Versions: []canonical.ID{vid}, Reason: "late"})
		}},
		{state.RuleTarget, "a hold on nothing", true, func(w *world) *state.Void {
			a, _ := one(w)
			return a.try("op", state.KindHold, state.Hold{ID: w.id(), Versions: []canonical.ID{w.id()}, Reason: "r"})
		}},
	}
}

// sole lets the only custodian request and approve, and executes after what happens then.
func sole(w *world, then func()) *state.Void {
	w.remove("cust2")
	w.remove("all")
	a := w.register("m", nil)
	vid := a.push()
	id, plan := w.request("cust", a.scope(vid))
	if void := w.approve("cust", id, plan); void != nil {
		w.tb.Fatal(void)
	}
	then()
	return a.try("run", state.KindExecute, state.Execute{Disposal: id, Versions: []canonical.ID{vid}})
}

// due executes so long after a request that is due after a day.
func due(w *world, after time.Duration) *state.Void {
	a := w.register("m", nil)
	vid, id, plan := a.push(), w.id(), w.doc()
	w.must("cust", state.KindDisposalRequest, state.DisposalRequest{ID: id, Scope: []state.DisposalScope{a.scope(vid)}, Plan: plan, Reason: "r",
		After: entry.At(w.now.Add(24 * time.Hour))})
	w.approve("cust2", id, plan)
	w.pass(after)
	return a.try("run", state.KindExecute, state.Execute{Disposal: id, Versions: []canonical.ID{vid}})
}
