package state_test

import (
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// edge is to a version of an artefact that nobody has registered.
func edge(n byte, role string) state.Edge {
	return state.Edge{Artefact: canonical.Digest{n}, Version: canonical.ID{n}, Role: role}
}

// to is an edge to a version.
func (a *artefact) to(vid canonical.ID, role string) state.Edge {
	return state.Edge{Artefact: a.id, Version: vid, Role: role}
}

// descendant pushes a version with these edges, after a change.
func (a *artefact) descendant(change func(*state.Version), edges ...state.Edge) canonical.ID {
	a.tb.Helper()
	b := a.version(a.world.id())
	b.Lineage = edges
	if change != nil {
		change(&b)
	}
	a.must("push", state.KindVersion, b)
	return b.VID
}

func complete(b *state.Version) { b.Complete = true }

func lineageCases() []ruleCase {
	// after promotes a version that was described first, where prod asks for this.
	after := func(ask state.Requirement, describe func(*state.Version)) func(*world) *state.Void {
		return func(w *world) *state.Void {
			ask.Artefact, ask.Channel = "*", "prod"
			a, _ := w.gated(ask)
			return a.promote("prod", a.descendant(describe))
		}
	}
	from := []state.Source{{URL: "https://hub.example/m", Acquired: entry.At(dawn)}}
	because := state.Document{Artefact: canonical.Digest{1}, Version: canonical.ID{1}, Digest: canonical.Digest{1}}
	lineage, source, justified := state.Requirement{Complete: true}, state.Requirement{Sourced: true}, state.Requirement{Justified: true}
	return []ruleCase{
		{state.RuleTarget, "a version that descends from an earlier one", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			b := a.version(w.id())
			b.Lineage = []state.Edge{a.to(a.push(), state.FineTunedFrom)}
			return a.try("push", state.KindVersion, b)
		}},
		{state.RuleTarget, "a version that descends from one of another artefact", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			b := a.version(w.id())
			b.Lineage = []state.Edge{edge(7, state.TrainedOn)}
			return a.try("push", state.KindVersion, b)
		}},
		{state.RuleTarget, "a version that descends from one to come", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			b := a.version(w.id())
			b.Lineage = []state.Edge{a.to(w.id(), state.FineTunedFrom)}
			return a.try("push", state.KindVersion, b)
		}},
		{state.RuleTarget, "a version that descends from itself", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			b := a.version(w.id())
			b.Lineage = []state.Edge{a.to(b.VID, state.FineTunedFrom)}
			return a.try("push", state.KindVersion, b)
		}},
		{state.RuleGates, "lineage not declared complete", true, after(lineage, nil)},
		{state.RuleGates, "lineage declared complete", false, after(lineage, complete)},
		{state.RuleGates, "public, from nowhere", true, after(source, func(b *state.Version) { b.Classification = "public" })},
		{state.RuleGates, "public, with its source", false, after(source, func(b *state.Version) { b.Classification, b.Sources = "public", from })},
		{state.RuleGates, "not public, from nowhere", false, after(source, func(b *state.Version) { b.Classification = "internal" })},
		{state.RuleGates, "from outside, for no reason", true, after(justified, func(b *state.Version) { b.Sources = from })},
		{state.RuleGates, "from outside, for a reason", false, after(justified, func(b *state.Version) { b.Sources, b.Justification = from, because })},
		{state.RuleGates, "not from outside", false, after(justified, nil)},
		{state.RuleGates, "lineage waived", false, func(w *world) *state.Void {
			a, vid := w.gated(state.Requirement{Artefact: "*", Channel: "prod", Complete: true})
			a.must("op", state.KindWaive, state.Waive{Version: vid, Channel: "prod", Gate: state.GateLineage, Reason: "an emergency"})
			return a.promote("prod", vid)
		}},
		{state.RuleGates, "a push that moves a channel which asks for lineage", true, func(w *world) *state.Void {
			a, _ := w.gated(state.Requirement{Artefact: "*", Channel: "main", Complete: true})
			b := a.version(w.id())
			b.Move, b.Complete = "main", true
			return a.try("all", state.KindVersion, b)
		}},
	}
}

// TestLineageCheck: what is known good of a version's descent.
func TestLineageCheck(t *testing.T) {
	strict := state.Requirement{Artefact: "*", Channel: "prod", Complete: true}
	for name, c := range map[string]struct {
		ask    state.Requirement
		build  func(w *world, data, m *artefact) canonical.ID // the version of m to look at
		check  string
		status string
		why    string
	}{
		"nothing named": {state.Requirement{}, func(_ *world, _, m *artefact) canonical.ID { return m.descendant(nil) },
			state.CheckLineage, state.CheckPass, "names nothing that it descends from; the lineage of m@v1 is not complete, and policy does not ask for that"},
		"incomplete, and asked for": {strict, func(_ *world, _, m *artefact) canonical.ID { return m.descendant(nil) },
			state.CheckLineage, state.CheckFail, "has not declared its lineage complete"},
		"complete": {strict, func(_ *world, data, m *artefact) canonical.ID {
			return m.descendant(complete, data.to(data.descendant(complete), state.TrainedOn))
		}, state.CheckLineage, state.CheckPass, "from data@v1 (trained-on), which is in no quarantine, and all of that is declared complete"},
		"complete but for an ancestor": {strict, func(_ *world, data, m *artefact) canonical.ID {
			return m.descendant(complete, data.to(data.descendant(nil), state.TrainedOn))
		}, state.CheckLineage, state.CheckUnknown, "the lineage of data@v1, which it descends from, is not complete"},
		"an ancestor that is not there": {strict, func(_ *world, _, m *artefact) canonical.ID {
			return m.descendant(complete, edge(7, state.TrainedOn))
		}, state.CheckLineage, state.CheckUnknown, "of artefact 0700"},
		"a poisoned set": {state.Requirement{}, func(_ *world, data, m *artefact) canonical.ID {
			d := data.descendant(nil)
			data.must("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{d}, Reason: "poisoned"})
			return m.descendant(nil, data.to(d, state.TrainedOn))
		}, state.CheckLineage, state.CheckFail, "descends from data@v1 (trained-on), which is in quarantine since 2026-01-01T00:00:00Z, by op: poisoned"},
		"a poisoned set, two steps away": {state.Requirement{}, func(_ *world, data, m *artefact) canonical.ID {
			d := data.descendant(nil)
			one := m.descendant(nil, data.to(d, state.TrainedOn))
			data.must("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{d}, Reason: "poisoned"})
			return m.descendant(nil, m.to(one, "quantized-from"))
		}, state.CheckLineage, state.CheckFail, "descends from data@v1 (trained-on)"},
		"a prompt of a poisoned model": {state.Requirement{}, func(_ *world, data, m *artefact) canonical.ID {
			d := data.descendant(nil)
			data.must("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{d}, Reason: "poisoned"})
			return m.descendant(nil, data.to(d, state.PromptOf))
		}, state.CheckLineage, state.CheckPass, "names nothing"},
		"evaluated with a poisoned set": {state.Requirement{}, func(_ *world, data, m *artefact) canonical.ID {
			d := data.descendant(nil)
			vid := m.descendant(nil, data.to(d, state.EvaluatedWith))
			m.show("dev", vid, state.Evaluation, "robustness", state.Pass)
			data.must("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{d}, Reason: "poisoned"})
			return vid
		}, state.Evaluation, state.CheckFail, "evaluated with data@v1, which is in quarantine since"},
		"evaluated with what was made of a poisoned set": {state.Requirement{}, func(_ *world, data, m *artefact) canonical.ID {
			d := data.descendant(nil)
			vid := m.descendant(nil, data.to(data.descendant(nil, data.to(d, state.MergedFrom)), state.EvaluatedWith))
			m.show("dev", vid, state.Evaluation, "", state.Pass)
			data.must("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{d}, Reason: "poisoned"})
			return vid
		}, state.Evaluation, state.CheckFail, "evaluated with data@v1, which is in quarantine since"},
		"evaluated anew": {state.Requirement{}, func(w *world, data, m *artefact) canonical.ID {
			d := data.descendant(nil)
			vid := m.descendant(nil, data.to(d, state.EvaluatedWith))
			m.show("dev", vid, state.Evaluation, "robustness", state.Pass)
			data.must("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{d}, Reason: "poisoned"})
			w.pass(1e9)
			m.show("dev", vid, state.Evaluation, "robustness", state.Pass)
			return vid
		}, state.Evaluation, state.CheckNotRequired, ""},
		"two that name each other": {strict, func(w *world, data, m *artefact) canonical.ID {
			b := m.version(w.id())
			b.Complete, b.Lineage = true, []state.Edge{data.to(data.descendant(complete, m.to(b.VID, state.TrainedOn)), state.TrainedOn)}
			m.must("push", state.KindVersion, b)
			return b.VID
		}, state.CheckLineage, state.CheckPass, "from data@v1 (trained-on), which is in no quarantine"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			data, m := w.register("data", nil), w.register("m", nil)
			if c.ask.Complete {
				w.must("admin", state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: 1, AdminQuorum: 1, Channels: []state.Requirement{c.ask}}})
			}
			vid := c.build(w, data, m)
			m.state.Kin = state.Kin{data.id: data.state}
			for _, k := range m.state.Checks(m.state.Version(vid), "prod", w.state(), entry.At(w.now)) {
				if k.Name == c.check && (k.Status != c.status || !strings.Contains(k.Why, c.why)) {
					t.Errorf("%s %s: %s", k.Name, k.Status, k.Why)
				}
			}
			m.state.Kin = nil
			for _, k := range m.state.Checks(m.state.Version(vid), "prod", w.state(), entry.At(w.now)) {
				if k.Name == state.CheckLineage && k.Status == state.CheckPass && c.ask.Complete {
					t.Errorf("nobody has looked: %+v", k)
				}
			}
		})
	}
}

// TestDefaultRoles: a default is a role, and nobody's relation is guessed that
// could be several.
func TestDefaultRoles(t *testing.T) {
	kinds := state.ArtefactKinds()
	n := 0
	for _, kind := range kinds {
		for _, of := range kinds {
			role := state.DefaultRole(kind, of)
			if role == "" {
				continue
			}
			n++
			b := state.Version{Kind: kind, Classification: "internal", Lineage: []state.Edge{edge(1, role)}}
			if err := b.Check(); err != nil {
				t.Errorf("%s of %s: %v", kind, of, err)
			}
		}
	}
	if n != 7 || state.DefaultRole("config", "dataset") != "" {
		t.Errorf("%d defaults", n)
	}
}
