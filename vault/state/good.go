package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Check is one thing that a version must show to be known good, and what it shows.
type Check struct {
	Name   string
	Status string // CheckPass, CheckFail, CheckUnknown or CheckNotRequired
	Why    string // in words: the evidence, or what is missing
}

// Outcomes of checks. Unknown is not pass.
const (
	CheckPass        = "pass"
	CheckFail        = "fail"
	CheckUnknown     = "unknown"
	CheckNotRequired = "not required"
)

// Names of checks that more than one thing depends on.
const (
	CheckDrill   = "drill"
	CheckLineage = "lineage"
)

// Passes reports whether a version with these checks is known good.
func Passes(checks []Check) bool {
	return !slices.ContainsFunc(checks, func(c Check) bool { return c.Status == CheckFail || c.Status == CheckUnknown })
}

// Checks returns what journals tell about whether a version is known good, for
// this channel, by the policy and the taints of v, at t. Whether its bytes verify
// and its key opens they do not tell.
func (a *Artefact) Checks(cv *CommittedVersion, channel string, v *Vault, t entry.Time) []Check {
	return []Check{
		cv.signed(v),
		a.checkApproval(cv, channel, v, t),
		a.checkEvidence(cv, Evaluation, []string{Evaluation}, channel, v, t),
		a.checkEvidence(cv, Scan, []string{Scan}, channel, v, t),
		a.checkEvidence(cv, "evidence", append(recordTypes(), GateSource, GateJustification), channel, v, t),
		a.checkLineage(cv, channel, v, t),
		a.checkTraining(cv, channel, v, t),
		cv.released(),
		a.checkDrill(cv, channel, v, t),
	}
}

// recordTypes are the types of evidence without a check of their own.
func recordTypes() []string {
	return slices.DeleteFunc(EvidenceTypes(), func(t string) bool { return t == Evaluation || t == Scan || t == Drill })
}

func (cv *CommittedVersion) signed(v *Vault) Check {
	if v.Tainted(cv.Key, cv.Time) {
		return Check{"signatures", CheckFail, fmt.Sprintf("%s pushed it on %s, with a key that is tainted at that time", cv.By, cv.Time)}
	}
	return Check{"signatures", CheckPass, fmt.Sprintf("pushed by %s on %s, with a key that nobody has tainted", cv.By, cv.Time)}
}

// checkApproval asks for the approvals of the channel's gates, and for one in any
// case from the second operator on.
func (a *Artefact) checkApproval(cv *CommittedVersion, channel string, v *Vault, t entry.Time) Check {
	needed := 0
	for _, r := range v.Policy.requirements(a.Name, channel, cv.Version.Kind) {
		needed = max(needed, r.Approvals)
	}
	if needed == 0 && v.operators(a.Name, t) > 1 {
		needed = 1
	}
	met, why := cv.approved(max(needed, 1), v)
	switch w := cv.waived(channel, GateApproval); {
	case met:
		return Check{GateApproval, CheckPass, why}
	case needed == 0:
		return Check{GateApproval, CheckNotRequired, "there is one operator"}
	case w != nil:
		return Check{GateApproval, CheckPass, fmt.Sprintf("waived by %s on %s: %s", w.By, w.Time, w.Reason)}
	}
	return Check{GateApproval, CheckFail, why}
}

// operators returns how many members active at t are operators for an artefact.
func (v *Vault) operators(name string, t entry.Time) int {
	n := 0
	for _, m := range v.members {
		if m.Active(t) && m.Has(Operator, name) {
			n++
		}
	}
	return n
}

// checkEvidence asks for what the channel's gates ask for of these types. A test
// that failed last is a failure whether it is asked for or not.
func (a *Artefact) checkEvidence(cv *CommittedVersion, name string, types []string, channel string, v *Vault, t entry.Time) Check {
	var shown []string
	for _, g := range a.Gates(cv, channel, v, t) {
		typ, _, _ := strings.Cut(g.Name, "/")
		switch {
		case !slices.Contains(types, typ):
			continue
		case !g.Open():
			return Check{name, CheckFail, g.Name + ": " + g.Why}
		case !g.Met:
			shown = append(shown, fmt.Sprintf("%s: waived by %s: %s", g.Name, g.Waived.By, g.Waived.Reason))
		default:
			shown = append(shown, g.Name+": "+g.Why)
		}
	}
	if name == Evaluation {
		if why := a.staleEvaluation(cv, v, t); why != "" {
			return Check{name, CheckFail, why}
		}
	}
	if e := cv.failing(types, v, t); e != nil {
		return Check{name, CheckFail, fmt.Sprintf("%s: %s by %s on %s", strings.TrimSpace(e.Type+" "+e.Attest.Name), e.Result, e.By, e.Time)}
	}
	if len(shown) > 0 {
		return Check{name, CheckPass, strings.Join(shown, "; ")}
	}
	return Check{name, CheckNotRequired, "policy asks for none"}
}

// failing returns a test of these types whose newest result, of those that count
// at t, is a failure, or nil.
func (cv *CommittedVersion) failing(types []string, v *Vault, t entry.Time) *Evidence {
	for i, e := range slices.Backward(cv.Evidence) {
		if e.Result != Fail || !slices.Contains(types, e.Type) || !slices.Contains(TestTypes(), e.Type) || !e.counts(v, t) {
			continue
		}
		newer := func(o Evidence) bool { return o.Type == e.Type && o.Attest.Name == e.Attest.Name && o.counts(v, t) }
		if !slices.ContainsFunc(cv.Evidence[i+1:], newer) {
			return &cv.Evidence[i]
		}
	}
	return nil
}

// counts reports whether evidence is in force at t, by a key not tainted at its time.
func (e *Evidence) counts(v *Vault, t entry.Time) bool {
	return (e.Expires.IsZero() || t.Before(e.Expires.Time)) && !v.Tainted(e.Key, e.Time)
}

func (cv *CommittedVersion) released() Check {
	switch q := cv.Quarantined; {
	case cv.State != Live:
		return Check{"release", CheckFail, fmt.Sprintf("it is %s by disposal %s", cv.State, cv.Disposal)}
	case q != nil:
		return Check{"release", CheckFail, fmt.Sprintf("in quarantine since %s, by %s: %s", q.Time, q.By, q.Reason)}
	}
	return Check{"release", CheckPass, "live, and in no quarantine"}
}

// checkDrill asks for a drill for this channel that is no older than policy says.
func (a *Artefact) checkDrill(cv *CommittedVersion, channel string, v *Vault, t entry.Time) Check {
	last := cv.Drilled(channel, v, t)
	if last != nil && last.Result != Pass {
		return Check{CheckDrill, CheckFail, fmt.Sprintf("%s by %s on %s", last.Result, last.By, last.Time)}
	}
	required := false
	for _, r := range v.Policy.requirements(a.Name, channel, cv.Version.Kind) {
		if r.Drill.IsZero() {
			continue
		}
		required = true
		if last == nil {
			return Check{CheckDrill, CheckFail, "there was none for this channel"}
		}
		if over := r.Drill.After(last.Time); !t.Before(over.Time) {
			return Check{CheckDrill, CheckFail, fmt.Sprintf("the last one, by %s, was on %s", last.By, last.Time)}
		}
	}
	switch {
	case last != nil:
		return Check{CheckDrill, CheckPass, fmt.Sprintf("by %s on %s", last.By, last.Time)}
	case required:
		return Check{CheckDrill, CheckFail, "there was none for this channel"}
	}
	return Check{CheckDrill, CheckNotRequired, "policy asks for none"}
}

// Drilled returns the newest drill of the version for a channel that counts at t,
// or nil. With channel "" it is the newest of any.
func (cv *CommittedVersion) Drilled(channel string, v *Vault, t entry.Time) *Evidence {
	for i, e := range slices.Backward(cv.Evidence) {
		if e.Type == Drill && (channel == "" || e.Attest.Name == channel) && e.counts(v, t) {
			return &cv.Evidence[i]
		}
	}
	return nil
}

// Fallbacks returns the versions that a channel can fall back to if they are
// good, newest first: those it pointed to before, and older than the one that it
// points to. What it never pointed to is nobody's fallback, however new: anybody
// who pushes could make it.
func (a *Artefact) Fallbacks(channel string) []*CommittedVersion {
	p := a.Channels[channel]
	if p == nil || a.byVID[p.To] == nil {
		return nil
	}
	now := a.byVID[p.To].Number
	was := map[canonical.ID]bool{}
	for _, m := range p.History {
		was[m.To] = true
	}
	var out []*CommittedVersion
	for _, cv := range slices.Backward(a.Versions[:now-1]) {
		if was[cv.VID] {
			out = append(out, cv)
		}
	}
	return out
}

// KnownGood returns, of the versions that a channel can fall back to, those that
// are known good at t as far as journals tell, newest first. lookup returns the
// artefacts of parts, as for CheckParts.
func (a *Artefact) KnownGood(channel string, v *Vault, t entry.Time, lookup func(canonical.Digest) (*Artefact, error)) ([]*CommittedVersion, error) {
	var out []*CommittedVersion
	for _, cv := range a.Fallbacks(channel) {
		if !Passes(a.Checks(cv, channel, v, t)) {
			continue
		}
		parts, err := cv.CheckParts(channel, v, t, lookup)
		if err != nil {
			return nil, err
		}
		if Passes([]Check{parts}) {
			out = append(out, cv)
		}
	}
	return out, nil
}
