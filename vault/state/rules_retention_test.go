package state_test

import (
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func duration(s string) state.Duration {
	d, err := state.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

// retain sets a policy of one approval.
func (w *world) retain(grace string, list ...state.Retention) {
	w.tb.Helper()
	w.must("admin", state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: 1, AdminQuorum: 1, Grace: duration(grace), Retention: list}})
}

func weights(least string) state.Retention {
	return state.Retention{Class: state.Weights, Min: duration(least)}
}

func retentionCases() []ruleCase {
	execute := func(a *artefact, id canonical.ID, vid canonical.ID) *state.Void {
		return a.try("run", state.KindExecute, state.Execute{Disposal: id, Versions: []canonical.ID{vid}})
	}
	// after pushes, lets time pass and executes; between changes policy after the request.
	after := func(w *world, d time.Duration, between func()) *state.Void {
		a := w.register("m", nil)
		vid := a.push()
		id := w.approved(a.scope(vid))
		between()
		w.pass(d)
		return execute(a, id, vid)
	}
	nothing := func() {}
	return []ruleCase{
		{state.RuleRetained, "at the end of minimum retention", false, func(w *world) *state.Void {
			w.retain("P0D", weights("P30D"))
			return after(w, 30*24*time.Hour, nothing)
		}},
		{state.RuleRetained, "a second before the end of minimum retention", true, func(w *world) *state.Void {
			w.retain("P0D", weights("P30D"))
			return after(w, 30*24*time.Hour-time.Second, nothing)
		}},
		{state.RuleRetained, "retention of another class", false, func(w *world) *state.Void {
			w.retain("P0D", state.Retention{Class: state.Data, Min: duration("P30D")})
			return after(w, 0, nothing)
		}},
		{state.RuleRetained, "the whole, within minimum retention", true, func(w *world) *state.Void {
			w.retain("P0D", weights("P30D"))
			a := w.register("m", nil)
			a.push()
			return a.try("run", state.KindExecute, state.Execute{Disposal: w.approved(a.scope()), Whole: true})
		}},
		{state.RuleRetained, "policy keeps longer since the request", true, func(w *world) *state.Void {
			return after(w, 0, func() { w.retain("P0D", weights("P1D")) })
		}},
		{state.RuleRetained, "policy kept longer in between", true, func(w *world) *state.Void {
			return after(w, 0, func() { w.retain("P0D", weights("P1D")); w.retain("P0D") })
		}},
		{state.RuleRetained, "policy kept longer before the request", false, func(w *world) *state.Void {
			w.retain("P0D", weights("P1D"))
			w.retain("P0D")
			return after(w, 0, nothing)
		}},
		{state.RuleRetained, "an activation, policy keeps longer since the execution", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute(vid)
			w.retain("P0D", weights("P1D"))
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},
		{state.RuleRetained, "an activation, what policy keeps longer is held", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute(vid)
			a.hold(vid)
			w.retain("P0D", weights("P1D"))
			return a.try("run", state.KindActivate, a.activate(a.prepare()))
		}},
		{state.RuleDue, "at the end of the grace", false, func(w *world) *state.Void {
			w.retain("PT1H")
			return after(w, time.Hour, nothing)
		}},
		{state.RuleDue, "within the grace", true, func(w *world) *state.Void {
			w.retain("PT1H")
			return after(w, time.Hour-time.Second, nothing)
		}},
		{state.RuleDue, "within a grace that policy asks for since the request", true, func(w *world) *state.Void {
			return after(w, 0, func() { w.retain("PT1H") })
		}},
		{state.RuleBody, "retention of every class", false, func(w *world) *state.Void {
			var list []state.Retention
			for _, c := range state.RetentionClasses() {
				list = append(list, state.Retention{Class: c, Min: duration("P6M"), Max: duration("P10Y")})
			}
			w.retain("P14D", list...)
			return nil
		}},
		{state.RuleBody, "retention of no class", true, retention(state.Retention{Class: "models", Min: duration("P1D")})},
		{state.RuleBody, "retention twice", true, retention(weights("P1D"), weights("P2D"))},
		{state.RuleBody, "retention out of order", true, retention(weights("P1D"), state.Retention{Class: state.Data, Max: duration("P2D")})},
		{state.RuleBody, "retention that says nothing", true, retention(state.Retention{Class: state.Data})},
		{state.RuleBody, "at most shorter than at least", true, retention(state.Retention{Class: state.Data, Min: duration("P2D"), Max: duration("P1D")})},
		{state.RuleBody, "receipts of no mode", true, func(w *world) *state.Void {
			return w.try("admin", state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: 1, AdminQuorum: 1, Receipts: "always"}})
		}},
	}
}

func retention(list ...state.Retention) func(*world) *state.Void {
	return func(w *world) *state.Void {
		return w.try("admin", state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: 1, AdminQuorum: 1, Retention: list}})
	}
}

func TestClassOf(t *testing.T) {
	want := map[string]string{"model": state.Weights, "dataset": state.Data, "config": state.Configuration, "prompt": state.Configuration,
		"system": state.Configuration, "evaluation": state.Documentation}
	for _, kind := range state.ArtefactKinds() {
		if got := state.ClassOf(kind); got != want[kind] {
			t.Errorf("%s: %q, want %q", kind, got, want[kind])
		}
	}
}

func TestOverdue(t *testing.T) {
	p := state.Policy{Retention: []state.Retention{{Class: state.Weights, Max: duration("P1M")}}}
	at := entry.At(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC))
	if got := p.OverdueFrom("model", at).String(); got != "2026-02-28T00:00:00Z" {
		t.Error(got)
	}
	if got := p.OverdueFrom("dataset", at); !got.IsZero() {
		t.Error(got)
	}
}

func TestReceiptMode(t *testing.T) {
	for _, c := range []struct{ policy, classification, want string }{
		{"", "internal", state.ReceiptsBestEffort}, {"", "confidential", state.ReceiptsRequired},
		{state.ReceiptsOff, "confidential", state.ReceiptsOff}, {state.ReceiptsRequired, "public", state.ReceiptsRequired},
	} {
		if got := (state.Policy{Receipts: c.policy}).ReceiptMode(c.classification); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
