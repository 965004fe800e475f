package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Requirement is what policy asks of a version before a channel moves to it, and
// again of what a channel falls back to. All that match add up.
type Requirement struct {
	Artefact    string   `json:"artefact"`              // a glob
	Channel     string   `json:"channel"`               // a name, or "*"
	Kinds       []string `json:"kinds,omitempty"`       // of versions; none: all
	Evidence    []string `json:"evidence,omitempty"`    // a type, or a type and a name: "scan", "evaluation/robustness"
	Independent bool     `json:"independent,omitempty"` // evidence by others than who pushed
	Approvals   int      `json:"approvals,omitempty"`   // by operators other than who pushed
	Complete    bool     `json:"complete,omitempty"`    // lineage that is declared complete
	Sourced     bool     `json:"sourced,omitempty"`     // of public material: where it was got, and when
	Justified   bool     `json:"justified,omitempty"`   // of what comes from outside: why it is used
	Trained     []string `json:"trained,omitempty"`     // roles of TrainedRoles whose holders must be trained for them
	Drill       Duration `json:"drill,omitzero"`        // of what it falls back to: a drill that is no older
}

// AnyChannel stands in a requirement for every channel.
const AnyChannel = "*"

const (
	maxRequirements = 64
	maxGates        = 4096 // bytes of all requirements of a policy, as encoded
	maxGate         = 96   // bytes of a gate's name
)

// GateApproval is the name of the gate that asks for approvals. Those that ask for
// evidence are named for it.
const GateApproval = "approval"

func checkRequirements(list []Requirement) error {
	for _, r := range list {
		if CheckGlob(r.Artefact) != nil {
			return refuse(RuleBody, "policy: artefact %q of a channel's requirement", r.Artefact)
		}
		if r.Channel != AnyChannel {
			if err := checkShort(r.Channel); err != nil {
				return err
			}
		}
		for _, k := range r.Kinds {
			if !slices.Contains(ArtefactKinds(), k) {
				return refuse(RuleBody, "policy: kind %q: one of %v", k, ArtefactKinds())
			}
		}
		for _, e := range r.Evidence {
			if typ, name, named := strings.Cut(e, "/"); !slices.Contains(EvidenceTypes(), typ) || named && name == "" || len(name) > MaxWord {
				return refuse(RuleBody, "policy: evidence %q: a type, or TYPE/NAME; types are %v", e, EvidenceTypes())
			}
		}
		if r.Approvals < 0 || r.Approvals > 16 {
			return refuse(RuleBody, "policy: %d approvals (0 to 16)", r.Approvals)
		}
		for _, role := range r.Trained {
			if !slices.Contains(TrainedRoles(), role) {
				return refuse(RuleBody, "policy: trained %q: one of %v", role, TrainedRoles())
			}
		}
		if !r.gates() && r.Drill.IsZero() {
			return refuse(RuleBody, "policy: the requirement of %s:%s asks for nothing", r.Artefact, r.Channel)
		}
	}
	if b, err := canonical.Marshal(list); err != nil || len(b) > maxGates || len(list) > maxRequirements {
		return refuse(RuleBody, "policy: %d requirements of channels, %d bytes: at most %d and %d", len(list), len(b), maxRequirements, maxGates)
	}
	return nil
}

// requirements returns those that apply to a kind of version of the artefact
// called name, before channel moves to it.
func (p Policy) requirements(name, channel, kind string) []Requirement {
	var out []Requirement
	for _, r := range p.Channels {
		if MatchGlob(r.Artefact, name) && (r.Channel == AnyChannel || r.Channel == channel) && (len(r.Kinds) == 0 || slices.Contains(r.Kinds, kind)) {
			out = append(out, r)
		}
	}
	return out
}

// Waive lets a channel move to a version although one gate is not met. Who
// pushed the version cannot.
type Waive struct {
	Version canonical.ID `json:"version"`
	Channel string       `json:"channel"`
	Gate    string       `json:"gate"`
	Reason  string       `json:"reason"`
}

// PlacedWaiver is a waiver.
type PlacedWaiver struct {
	Waive
	By   string
	Time entry.Time
}

// Gate is one thing that a channel asks of a version.
type Gate struct {
	Name   string
	Met    bool
	Why    string        // in words: the evidence, or what is missing
	Waived *PlacedWaiver // nil: not
}

// Open reports whether the gate lets the version pass.
func (g Gate) Open() bool { return g.Met || g.Waived != nil }

// Gates returns what the policy of v asks of a version before channel moves to
// it, as it is at t.
func (a *Artefact) Gates(cv *CommittedVersion, channel string, v *Vault, t entry.Time) []Gate {
	var out []Gate
	approvals := 0
	asked := map[string]bool{} // by name: by others than who pushed
	var names []string
	requirements := v.Policy.requirements(a.Name, channel, cv.Version.Kind)
	for _, r := range requirements {
		approvals = max(approvals, r.Approvals)
		for _, name := range r.Evidence {
			if _, known := asked[name]; !known {
				names = append(names, name)
			}
			asked[name] = asked[name] || r.Independent
		}
	}
	for _, name := range names {
		met, why := cv.shows(name, asked[name], v, t)
		out = append(out, Gate{Name: name, Met: met, Why: why, Waived: cv.waived(channel, name)})
	}
	for _, g := range cv.provenance(requirements) {
		g.Waived = cv.waived(channel, g.Name)
		out = append(out, g)
	}
	if approvals > 0 {
		met, why := cv.approved(approvals, v)
		out = append(out, Gate{Name: GateApproval, Met: met, Why: why, Waived: cv.waived(channel, GateApproval)})
	}
	return append(out, a.trainings(cv, channel, v, t)...)
}

// Gated reports whether policy asks anything of a kind of version before channel
// moves to it: then no push moves it.
func (a *Artefact) Gated(channel, kind string) bool { return gated(a.Vault, a.Name, channel, kind) }

func gated(v *Vault, name, channel, kind string) bool {
	return slices.ContainsFunc(v.Policy.requirements(name, channel, kind), Requirement.gates)
}

// gates reports whether a requirement asks for what a move of a channel is held to.
func (r Requirement) gates() bool {
	return len(r.Evidence) > 0 || r.Approvals > 0 || r.Complete || r.Sourced || r.Justified || len(r.Trained) > 0
}

func (cv *CommittedVersion) waived(channel, gate string) *PlacedWaiver {
	for i, w := range cv.Waivers {
		if w.Channel == channel && w.Gate == gate {
			return &cv.Waivers[i]
		}
	}
	return nil
}

// shows reports whether the evidence on the version meets what is asked for: a
// type of which at least one passed, or one by its name; and of each that was
// repeated the newest counts. Evidence that is over, or by a key that is tainted
// at its time, is none. With independent a pass by who pushed is none either.
func (cv *CommittedVersion) shows(name string, independent bool, v *Vault, t entry.Time) (bool, string) {
	typ, one, named := strings.Cut(name, "/")
	newest := map[string]Evidence{}
	why := "there is none"
	for _, e := range cv.Evidence {
		if e.Type != typ || named && e.Name != one {
			continue
		}
		switch {
		case !e.Expires.IsZero() && !t.Before(e.Expires.Time):
			why = fmt.Sprintf("%s by %s expired on %s", e.Result, e.By, e.Expires)
			delete(newest, e.Name)
		case v.Tainted(e.Key, e.Time):
			why = fmt.Sprintf("%s by %s on %s, with a key that is tainted", e.Result, e.By, e.Time)
		case independent && e.Result == Pass && e.By == cv.By:
			why = fmt.Sprintf("%s by %s, who pushed it", e.Result, e.By)
		default:
			newest[e.Name] = e
		}
	}
	var passed *Evidence
	for _, e := range newest {
		if e.Result != Pass {
			return false, fmt.Sprintf("%s by %s on %s", e.Result, e.By, e.Time)
		}
		if passed == nil || e.Name < passed.Name {
			passed = &e
		}
	}
	if passed == nil {
		return false, why
	}
	why = fmt.Sprintf("%s by %s on %s", passed.Result, passed.By, passed.Time)
	if !passed.Expires.IsZero() {
		why += ", until " + passed.Expires.String()
	}
	return true, why
}

// approved reports whether so many operators have approved the version, with
// keys that are not tainted at that time.
func (cv *CommittedVersion) approved(needed int, v *Vault) (bool, string) {
	var by []string
	for _, ap := range cv.Approvals {
		if !v.Tainted(ap.Key, ap.Time) {
			by = append(by, ap.By)
		}
	}
	if len(by) >= needed {
		return true, "by " + strings.Join(by, ", ")
	}
	return false, fmt.Sprintf("%d of %d approvals by operators other than %s", len(by), needed, cv.By)
}

func (a *Artefact) applyWaive(e *entry.Entry) error {
	b, err := decode[Waive](e)
	if err != nil {
		return err
	}
	if err := first(checkShort(b.Channel), checkText("gate", b.Gate, maxGate), checkSentence("reason", b.Reason, true)); err != nil {
		return err
	}
	cv := a.byVID[b.Version]
	if cv == nil || cv.State != Live {
		return refuse(RuleTarget, "version %s is not live", b.Version)
	}
	if !slices.ContainsFunc(a.Gates(cv, b.Channel, a.Vault, e.Time), func(g Gate) bool { return g.Name == b.Gate }) {
		return refuse(RuleTarget, "channel %s has no gate %q for v%d", b.Channel, b.Gate, cv.Number)
	}
	by := a.author(e).Name
	if by == cv.By {
		return refuse(RuleSecondPerson, "%s pushed it", by)
	}
	cv.Waivers = append(cv.Waivers, PlacedWaiver{Waive: *b, By: by, Time: e.Time})
	return nil
}
