package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// gated is an artefact with a version by push, and policy that asks for these things.
func (w *world) gated(asks ...state.Requirement) (*artefact, canonical.ID) {
	w.tb.Helper()
	a := w.register("m", nil)
	w.must("admin", state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: 1, AdminQuorum: 1, Channels: asks}})
	return a, a.push()
}

// promote moves a channel to a version, as op.
func (a *artefact) promote(channel string, vid canonical.ID) *state.Void {
	a.tb.Helper()
	return a.try("op", state.KindChannel, state.Channel{Channel: channel, From: a.state.Channel(channel), To: vid})
}

// show attests to a version, after a change to what is said.
func (a *artefact) show(by string, vid canonical.ID, evidence, name, result string, change ...func(*state.Attest)) {
	a.tb.Helper()
	b := state.Attest{Version: vid, Digest: a.state.Version(vid).Digest, Type: evidence, Name: name, Result: result, Statement: a.doc()}
	for _, c := range change {
		c(&b)
	}
	a.must(by, state.KindAttest, b)
}

func asks(evidence ...string) state.Requirement {
	return state.Requirement{Artefact: "*", Channel: "prod", Evidence: evidence}
}

func trained(role string) state.Requirement {
	return state.Requirement{Artefact: "*", Channel: "prod", Trained: []string{role}}
}

// train records that a member was trained for a role, for a day.
func (w *world) train(name, role string) {
	w.tb.Helper()
	w.must("admin", state.KindMemberTraining, state.MemberTraining{Name: name, Role: role, Course: "the course", Expires: entry.At(w.now.Add(24 * time.Hour))})
}

func gateCases() []ruleCase {
	approval := state.Requirement{Artefact: "*", Channel: "*", Approvals: 1}
	waive := func(a *artefact, by string, vid canonical.ID, gate string) *state.Void {
		return a.try(by, state.KindWaive, state.Waive{Version: vid, Channel: "prod", Gate: gate, Reason: "an emergency"})
	}
	// after promotes once evidence was given.
	after := func(ask state.Requirement, give func(w *world, a *artefact, vid canonical.ID)) func(*world) *state.Void {
		return func(w *world) *state.Void {
			a, vid := w.gated(ask)
			give(w, a, vid)
			return a.promote("prod", vid)
		}
	}
	pass := func(name string) func(*world, *artefact, canonical.ID) {
		return func(_ *world, a *artefact, vid canonical.ID) { a.show("dev", vid, state.Evaluation, name, state.Pass) }
	}
	nothing := func(*world, *artefact, canonical.ID) {}
	independent := asks("scan")
	independent.Independent = true
	return []ruleCase{
		{state.RuleGates, "nothing asked", false, func(w *world) *state.Void { a, vid := w.gated(); return a.promote("prod", vid) }},
		{state.RuleGates, "asked of another channel", false, func(w *world) *state.Void {
			a, vid := w.gated(asks("scan"))
			return a.promote("dev", vid)
		}},
		{state.RuleGates, "asked of another artefact", false, after(state.Requirement{Artefact: "n", Channel: "*", Approvals: 1}, nothing)},
		{state.RuleGates, "asked of another kind", false, after(state.Requirement{Artefact: "*", Channel: "*", Approvals: 1, Kinds: []string{"prompt"}}, nothing)},
		{state.RuleGates, "asked of this kind", true, after(state.Requirement{Artefact: "*", Channel: "*", Approvals: 1, Kinds: []string{"prompt", "model"}}, nothing)},
		{state.RuleGates, "no evidence", true, after(asks("evaluation"), nothing)},
		{state.RuleGates, "evidence", false, after(asks("evaluation"), pass("robustness"))},
		{state.RuleGates, "evidence by its name", false, after(asks("evaluation/robustness"), pass("robustness"))},
		{state.RuleGates, "evidence by another name", true, after(asks("evaluation/robustness"), pass("fairness"))},
		{state.RuleGates, "evidence of another type", true, after(asks("scan"), pass(""))},
		{state.RuleGates, "one of two", true, after(asks("evaluation/robustness", "scan"), pass("robustness"))},
		{state.RuleGates, "a warning", true, after(asks("evaluation"), func(_ *world, a *artefact, vid canonical.ID) {
			a.show("dev", vid, state.Evaluation, "", state.Warn)
		})},
		{state.RuleGates, "passed, then failed", true, after(asks("evaluation"), func(_ *world, a *artefact, vid canonical.ID) {
			a.show("dev", vid, state.Evaluation, "robustness", state.Pass)
			a.show("dev", vid, state.Evaluation, "robustness", state.Fail)
		})},
		{state.RuleGates, "failed, then passed", false, after(asks("evaluation"), func(_ *world, a *artefact, vid canonical.ID) {
			a.show("dev", vid, state.Evaluation, "robustness", state.Fail)
			a.show("dev", vid, state.Evaluation, "robustness", state.Pass)
		})},
		{state.RuleGates, "one passed, another failed", true, after(asks("evaluation"), func(_ *world, a *artefact, vid canonical.ID) {
			a.show("dev", vid, state.Evaluation, "fairness", state.Fail)
			a.show("dev", vid, state.Evaluation, "robustness", state.Pass)
		})},
		{state.RuleGates, "expired", true, after(asks("evaluation"), func(w *world, a *artefact, vid canonical.ID) {
			a.show("dev", vid, state.Evaluation, "", state.Pass, func(b *state.Attest) { b.Expires = entry.At(w.now.Add(time.Hour)) })
			w.pass(time.Hour)
		})},
		{state.RuleGates, "by who pushed, where others are asked for", true, func(w *world) *state.Void {
			a, _ := w.gated(independent)
			vid := w.id()
			a.must("all", state.KindVersion, a.version(vid))
			a.show("all", vid, state.Scan, "", state.Pass)
			return a.promote("prod", vid)
		}},
		{state.RuleGates, "by somebody else, where others are asked for", false, after(independent, func(_ *world, a *artefact, vid canonical.ID) {
			a.show("dev", vid, state.Scan, "", state.Pass)
		})},
		{state.RuleGates, "with a key that is tainted at that time", true, after(asks("evaluation"), func(w *world, a *artefact, vid canonical.ID) {
			a.show("dev", vid, state.Evaluation, "", state.Pass)
			w.must("op", state.KindMemberTaint, state.MemberTaint{Key: w.keyID("dev"), From: entry.At(w.now), To: entry.At(w.now)})
		})},
		{state.RuleGates, "on another version", true, after(asks("evaluation"), func(_ *world, a *artefact, vid canonical.ID) {
			a.show("dev", a.push(), state.Evaluation, "", state.Pass)
		})},
		{state.RuleGates, "not approved", true, after(approval, nothing)},
		{state.RuleGates, "approved", false, after(approval, func(_ *world, a *artefact, vid canonical.ID) {
			a.must("op", state.KindApprove, state.Approve{Version: vid})
		})},
		{state.RuleGates, "approved by one of two", true, after(state.Requirement{Artefact: "*", Channel: "*", Approvals: 2}, func(_ *world, a *artefact, vid canonical.ID) {
			a.must("op", state.KindApprove, state.Approve{Version: vid})
		})},
		{state.RuleGates, "approved with a key that is tainted at that time", true, after(approval, func(w *world, a *artefact, vid canonical.ID) {
			a.must("op2", state.KindApprove, state.Approve{Version: vid})
			w.must("op", state.KindMemberTaint, state.MemberTaint{Key: w.keyID("op2"), From: entry.At(w.now), To: entry.At(w.now)})
		})},
		{state.RuleGates, "who pushed was never trained", true, after(trained(state.Developer), nothing)},
		{state.RuleGates, "who pushed was trained for something else", true, after(trained(state.Developer), func(w *world, _ *artefact, _ canonical.ID) { w.train("push", state.Operator) })},
		{state.RuleGates, "who pushed is trained by now", false, after(trained(state.Developer), func(w *world, _ *artefact, _ canonical.ID) { w.train("push", state.Developer) })},
		{state.RuleGates, "who pushed was trained then", false, func(w *world) *state.Void {
			w.train("push", state.Developer)
			a, vid := w.gated(trained(state.Developer))
			w.pass(48 * time.Hour)
			return a.promote("prod", vid)
		}},
		{state.RuleGates, "who pushed was trained before, and is no more", true, func(w *world) *state.Void {
			w.train("push", state.Developer)
			w.pass(48 * time.Hour)
			a, vid := w.gated(trained(state.Developer))
			return a.promote("prod", vid)
		}},
		{state.RuleGates, "who moves it was never trained", true, after(trained(state.Operator), nothing)},
		{state.RuleGates, "who moves it is trained", false, after(trained(state.Operator), func(w *world, _ *artefact, _ canonical.ID) { w.train("op", state.Operator) })},
		{state.RuleGates, "who approved was never trained", true, after(trained(state.Operator), func(w *world, a *artefact, vid canonical.ID) {
			w.train("op", state.Operator)
			a.must("op2", state.KindApprove, state.Approve{Version: vid})
		})},
		{state.RuleGates, "training waived", false, after(trained(state.Operator), func(_ *world, a *artefact, vid canonical.ID) {
			waive(a, "op", vid, state.GateTrained+state.Operator)
		})},
		{state.RuleGates, "waived", false, after(approval, func(_ *world, a *artefact, vid canonical.ID) { waive(a, "op", vid, state.GateApproval) })},
		{state.RuleGates, "another version waived", true, after(approval, func(_ *world, a *artefact, vid canonical.ID) {
			waive(a, "op", a.push(), state.GateApproval)
		})},
		{state.RuleGates, "one of two waived", true, after(asks("scan", "notice"), func(_ *world, a *artefact, vid canonical.ID) { waive(a, "op", vid, "scan") })},
		{state.RuleGates, "waived for another channel", true, func(w *world) *state.Void {
			a, vid := w.gated(approval)
			waive(a, "op", vid, state.GateApproval)
			return a.promote("dev", vid)
		}},
		{state.RuleGates, "a push that moves a channel with gates", true, func(w *world) *state.Void {
			a, _ := w.gated(approval)
			b := a.version(w.id())
			b.Move = "main"
			return a.try("all", state.KindVersion, b)
		}},
		{state.RuleGates, "a push that moves a channel without", false, func(w *world) *state.Void {
			a, _ := w.gated(asks("scan"), state.Requirement{Artefact: "*", Channel: "main", Drill: state.Duration{Days: 7}})
			b := a.version(w.id())
			b.Move = "main"
			return a.try("all", state.KindVersion, b)
		}},

		{state.RuleTarget, "waived: no such gate", true, func(w *world) *state.Void {
			a, vid := w.gated(approval)
			return waive(a, "op", vid, "scan")
		}},
		{state.RuleTarget, "waived: no such version", true, func(w *world) *state.Void {
			a, _ := w.gated(approval)
			return waive(a, "op", w.id(), state.GateApproval)
		}},
		{state.RuleTarget, "waived: disabled", true, func(w *world) *state.Void {
			a, vid := w.gated(approval)
			a.execute(vid)
			return waive(a, "op", vid, state.GateApproval)
		}},
		{state.RuleSecondPerson, "waived by who pushed it", true, func(w *world) *state.Void {
			a, _ := w.gated(approval)
			vid := w.id()
			a.must("all", state.KindVersion, a.version(vid))
			return waive(a, "all", vid, state.GateApproval)
		}},
		{state.RuleBody, "waived for no reason", true, func(w *world) *state.Void {
			a, vid := w.gated(approval)
			return a.try("op", state.KindWaive, state.Waive{Version: vid, Channel: "prod", Gate: state.GateApproval})
		}},
	}
}

// TestBadRequirements: each is refused for itself.
func TestBadRequirements(t *testing.T) {
	good := state.Requirement{Artefact: "team/**", Channel: "prod", Kinds: []string{"model"}, Evidence: []string{"scan", "evaluation/robustness"}, Approvals: 2, Drill: state.Duration{Days: 90}}
	policy := func(r ...state.Requirement) state.Policy {
		return state.Policy{Approvals: 1, AdminQuorum: 1, Channels: r}
	}
	if err := policy(good).Check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*state.Requirement){
		"a glob that is none":  func(r *state.Requirement) { r.Artefact = "**/x" },
		"no artefact":          func(r *state.Requirement) { r.Artefact = "" },
		"no channel":           func(r *state.Requirement) { r.Channel = "" },
		"a glob of channels":   func(r *state.Requirement) { r.Channel = "p*" },
		"no such kind":         func(r *state.Requirement) { r.Kinds = []string{"poem"} },
		"no such evidence":     func(r *state.Requirement) { r.Evidence = []string{"horoscope"} },
		"evidence of no name":  func(r *state.Requirement) { r.Evidence = []string{"scan/"} },
		"evidence, long name":  func(r *state.Requirement) { r.Evidence = []string{"scan/" + wide(state.MaxWord+1)} },
		"approvals below none": func(r *state.Requirement) { r.Approvals = -1 },
		"too many approvals":   func(r *state.Requirement) { r.Approvals = 17 },
		"no such training":     func(r *state.Requirement) { r.Trained = []string{state.Admin} },
		"it asks for nothing":  func(r *state.Requirement) { *r = state.Requirement{Artefact: "*", Channel: "*", Independent: true} },
		"too long":             func(r *state.Requirement) { r.Evidence = slices.Repeat([]string{"evaluation/" + wide(64)}, 64) },
	} {
		r := good
		change(&r)
		if err := policy(r).Check(); err == nil {
			t.Errorf("%s: it is taken", what)
		}
	}
	if err := policy(slices.Repeat([]state.Requirement{{Artefact: "*", Channel: "*", Approvals: 1}}, 65)...).Check(); err == nil {
		t.Error("65 of them are taken")
	}
}
