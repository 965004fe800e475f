package state_test

import (
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

func epochCases() []ruleCase {
	return []ruleCase{
		{state.RuleUnused, "an epoch's id again", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("run", state.KindIntent, a.intent(a.state.Current.EID))
		}},
		{state.RuleCustody, "the keepers that the vault pins", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("run", state.KindIntent, a.intent(a.world.id()))
		}},
		{state.RuleCustody, "another keeper", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			b := a.intent(a.world.id())
			b.Custody = state.Custody{Mode: state.AnyOf, Keepers: []state.Keeper{{Instance: "mine", Kind: "local"}}}
			return a.try("run", state.KindIntent, b)
		}},
		{state.RuleCustody, "another mode", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			b := a.intent(a.world.id())
			b.Custody.Mode = state.AllOf
			return a.try("run", state.KindIntent, b)
		}},
		{state.RuleCustody, "another epoch's label", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			b := a.intent(a.world.id())
			b.Label = a.state.Current.Label
			return a.try("run", state.KindIntent, b)
		}},
		{state.RuleCustody, "after the vault changed its keepers", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			w.must("admin", state.KindCustody, state.CustodySet{Custody: state.Custody{Mode: state.AllOf, Keepers: []state.Keeper{{Instance: "new", Kind: "pkcs11"}}}})
			return a.try("run", state.KindIntent, a.intent(a.world.id()))
		}},
		{state.RuleCustody, "a candidate with another keeper", true, func(w *world) *state.Void {
			return w.proposed(func(c *state.Candidate) { c.Keys[0].Instance = "mine" })
		}},
		{state.RuleCustody, "a candidate with keepers in another order", true, func(w *world) *state.Void {
			return w.proposed(func(c *state.Candidate) { c.Keys[0], c.Keys[1] = c.Keys[1], c.Keys[0] })
		}},
		{state.RuleCustody, "a candidate with a keeper less", true, func(w *world) *state.Void {
			return w.proposed(func(c *state.Candidate) { c.Keys = c.Keys[:1] })
		}},
		{state.RuleCustody, "a candidate in another mode", true, func(w *world) *state.Void {
			return w.proposed(func(c *state.Candidate) { c.Mode = state.AllOf })
		}},
		{state.RuleTarget, "a candidate without an intent", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("run", state.KindCandidate, a.candidate(a.world.id()))
		}},
		{state.RuleUnused, "a candidate with the key of the current epoch", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			eid := a.world.id()
			a.must("run", state.KindIntent, a.intent(eid))
			c := a.candidate(eid)
			c.Keys[1] = a.state.Current.Candidate.Keys[1]
			return a.try("run", state.KindCandidate, c)
		}},

		{state.RuleFirst, "the first candidate", false, func(w *world) *state.Void { return w.proposed(func(*state.Candidate) {}) }},
		{state.RuleFirst, "a second candidate", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("dev", state.KindCandidate, a.candidate(a.prepare()))
		}},
		{state.RuleIntentFresh, "after another candidate", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			eid := a.world.id()
			a.must("run", state.KindIntent, a.intent(eid))
			a.prepare()
			return a.try("run", state.KindCandidate, a.candidate(eid))
		}},
		{state.RuleIntentFresh, "after a death", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			eid := a.world.id()
			a.must("run", state.KindIntent, a.intent(eid))
			a.execute(vid)
			return a.try("run", state.KindCandidate, a.candidate(eid))
		}},
		{state.RuleIntentFresh, "after an activation", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			eid := a.world.id()
			a.must("run", state.KindIntent, a.intent(eid))
			a.rotate()
			return a.try("run", state.KindCandidate, a.candidate(eid))
		}},

		{state.RuleActivateFresh, "at once", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},
		{state.RuleActivateFresh, "after another activation", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			eid := a.prepare()
			a.rotate()
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleActivateFresh, "after a death", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			eid := a.prepare()
			a.execute(vid)
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleActivateFresh, "after a death between intent and candidate", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid, eid := a.push(), a.world.id()
			a.must("run", state.KindIntent, a.intent(eid))
			a.execute(vid)
			a.must("run", state.KindCandidate, a.candidate(eid))
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleActivateFresh, "after a push, a cancel, a hold and a rotation's intent", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			v1, v2 := a.push(), a.push()
			d := a.execute(v1)
			a.execute(v2)
			eid := a.prepare()
			a.push()
			a.must("cust", state.KindCancel, state.Disposal{Disposal: d})
			a.hold(v2)
			a.prepare()
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleActivateFresh, "after the release of a hold on a disabled version", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute(vid)
			hold := a.hold(vid)
			eid := a.prepare()
			a.release(hold)
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleActivateFresh, "after the release of one of two holds", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute(vid)
			hold := a.hold(vid)
			a.hold(vid)
			eid := a.prepare()
			a.release(hold)
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleActivateFresh, "after the release of a hold on a live version", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			hold := a.hold(a.push())
			eid := a.prepare()
			a.release(hold)
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleTarget, "activate what is no candidate", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			eid := a.world.id()
			a.must("run", state.KindIntent, a.intent(eid))
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleTarget, "activate the current epoch", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("run", state.KindActivate, a.activate(a.state.Current.EID))
		}},

		{state.RuleSurvivors, "the live versions", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			a.push()
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},
		{state.RuleSurvivors, "one less", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			eid := a.prepare()
			before := a.activate(eid)
			a.push()
			return a.try("run", state.KindActivate, before)
		}},
		{state.RuleSurvivors, "a dead one more", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			before := a.state.Survivors()
			a.execute(vid)
			b := a.activate(a.prepare())
			b.Survivors = before
			return a.try("run", state.KindActivate, b)
		}},
		{state.RuleSurvivors, "as many, but others", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			v1 := a.push()
			a.push()
			a.execute(v1)
			b := a.activate(a.prepare())
			b.Survivors = state.BindSurvivors([]canonical.ID{v1})
			return a.try("run", state.KindActivate, b)
		}},
		{state.RuleSurvivors, "without a held one", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute(vid)
			a.hold(vid)
			b := a.activate(a.prepare())
			b.Survivors = state.BindSurvivors(nil)
			return a.try("run", state.KindActivate, b)
		}},
		{state.RuleSurvivors, "the end of an artefact executed as a whole", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			a.push()
			a.execute()
			return a.try("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
		}},
		{state.RuleSurvivors, "the end of an artefact that was not executed", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
		}},
		{state.RuleSurvivors, "the end of an artefact with a held version", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute()
			a.hold(vid)
			return a.try("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
		}},
		{state.RuleSurvivors, "the end of an artefact whose execution was cancelled", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			id := a.execute()
			a.must("cust", state.KindCancel, state.Disposal{Disposal: id})
			return a.try("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
		}},

		{state.RuleEveryKey, "every superseded key", false, func(w *world) *state.Void {
			a, vid, old := w.dropped()
			return a.try("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{vid}, Keys: a.destroyedKeys(old)})
		}},
		{state.RuleEveryKey, "every key, in two entries", false, func(w *world) *state.Void {
			a, vid, old := w.dropped()
			a.must("run", state.KindDestroyed, state.Destroyed{Keys: a.destroyedKeys(old)})
			return a.try("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{vid}, Keys: []state.DestroyedKey{}})
		}},
		{state.RuleEveryKey, "one of two keepers, any-of", true, func(w *world) *state.Void {
			a, vid, old := w.dropped()
			return a.try("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{vid}, Keys: a.destroyedKeys(old)[:1]})
		}},
		{state.RuleEveryKey, "one of two keepers, all-of", false, func(w *world) *state.Void {
			c := custody()
			c.Mode = state.AllOf
			w.must("admin", state.KindCustody, state.CustodySet{Custody: c})
			a, vid, old := w.dropped()
			return a.try("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{vid}, Keys: a.destroyedKeys(old)[1:]})
		}},
		{state.RuleEveryKey, "none", true, func(w *world) *state.Void {
			a, vid, _ := w.dropped()
			return a.try("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{vid}})
		}},
		{state.RuleEveryKey, "not those of a candidate that was passed over", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid, old := a.push(), a.state.Current.EID
			a.prepare()
			a.execute(vid)
			a.rotate()
			return a.try("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{vid}, Keys: a.destroyedKeys(old)})
		}},
		{state.RuleEveryKey, "only pending", true, func(w *world) *state.Void {
			a, vid, old := w.dropped()
			keys := a.destroyedKeys(old)
			keys[1].State = "pending"
			return a.try("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{vid}, Keys: keys})
		}},
		{state.RuleTarget, "the current key", true, func(w *world) *state.Void {
			a, _, _ := w.dropped()
			return a.try("run", state.KindDestroyed, state.Destroyed{Keys: a.destroyedKeys(a.state.Current.EID)})
		}},
		{state.RuleTarget, "the key of an open candidate", true, func(w *world) *state.Void {
			a, _, _ := w.dropped()
			return a.try("run", state.KindDestroyed, state.Destroyed{Keys: a.destroyedKeys(a.prepare())})
		}},
		{state.RuleTarget, "a version that is not dropped", true, func(w *world) *state.Void {
			a, _, old := w.dropped()
			return a.try("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{a.push()}, Keys: a.destroyedKeys(old)})
		}},
		{state.RuleTarget, "purged before destroyed", true, func(w *world) *state.Void {
			a, vid, _ := w.dropped()
			return a.try("run", state.KindPurged, state.Purged{Versions: []canonical.ID{vid}})
		}},
	}
}

// proposed announces an epoch and returns what became of its candidate.
func (w *world) proposed(change func(*state.Candidate)) *state.Void {
	w.tb.Helper()
	a := w.register("m", nil)
	eid := a.world.id()
	a.must("run", state.KindIntent, a.intent(eid))
	c := a.candidate(eid)
	change(&c)
	return a.try("run", state.KindCandidate, c)
}

// dropped destroys one version of an artefact as far as the activation. It
// returns the version and the epoch before.
func (w *world) dropped() (a *artefact, vid, old canonical.ID) {
	w.tb.Helper()
	a = w.register("m", nil)
	vid, old = a.push(), a.state.Current.EID
	a.execute(vid)
	a.rotate()
	return a, vid, old
}
