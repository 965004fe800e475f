package state

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Roles of lineage that more than one thing depends on.
const (
	TrainedOn     = "trained-on"
	FineTunedFrom = "fine-tuned-from"
	DistilledFrom = "distilled-from"
	MergedFrom    = "merged-from"
	AdapterFor    = "adapter-for"
	ConfigOf      = "config-of"
	PromptOf      = "prompt-of"
	EvaluatedWith = "evaluated-with"
)

// descends are the roles by which what is in a version comes to be in another:
// what is bad about the one may be bad about the other.
var descends = []string{TrainedOn, FineTunedFrom, DistilledFrom, MergedFrom, "quantized-from", AdapterFor}

// LineageRoles lists how a version may be related to an earlier one.
func LineageRoles() []string {
	return append(slices.Clone(descends), "tokenizer-of", ConfigOf, PromptOf, EvaluatedWith)
}

// Descends reports whether an edge of this role makes its version a descendant.
// Of the others, evaluated-with is what evidence rests on, and a tokenizer, config
// or prompt belongs to a model and has nothing of it in itself.
func Descends(role string) bool { return slices.Contains(descends, role) }

// DefaultRole returns how a version of a kind is related to one of another if
// nobody says; "" where that must be said.
func DefaultRole(kind, of string) string {
	switch kind + " of " + of {
	case "model of dataset":
		return TrainedOn
	case "model of model":
		return FineTunedFrom
	case "model of evaluation":
		return EvaluatedWith
	case "dataset of dataset":
		return MergedFrom
	case "dataset of model":
		return DistilledFrom
	case "config of model":
		return ConfigOf
	case "prompt of model":
		return PromptOf
	}
	return ""
}

// Compare orders edges as a version entry lists them.
func (e Edge) Compare(o Edge) int {
	return cmp.Or(slices.Compare(e.Artefact[:], o.Artefact[:]), slices.Compare(e.Version[:], o.Version[:]), strings.Compare(e.Role, o.Role))
}

// Compare orders sources as a version entry lists them.
func (s Source) Compare(o Source) int {
	return cmp.Or(strings.Compare(s.URL, o.URL), s.Acquired.Compare(o.Acquired.Time))
}

// checkProvenance checks where a version says it comes from.
func (b *Version) checkProvenance() error {
	for i, s := range b.Sources {
		switch {
		case s.URL == "":
			return refuse(RuleBody, "a source without a URL")
		case s.Acquired.IsZero():
			return refuse(RuleBody, "a source without the time at which it was acquired")
		case i > 0 && s.Compare(b.Sources[i-1]) <= 0:
			return refuse(RuleBody, "sources stand in order, each once")
		}
		if err := checkText("source", s.URL, maxURL); err != nil {
			return err
		}
	}
	for i, l := range b.Lineage {
		switch {
		case !slices.Contains(LineageRoles(), l.Role):
			return refuse(RuleBody, "lineage role %q: one of %v", l.Role, LineageRoles())
		case l.Artefact.IsZero() || l.Version.IsZero():
			return refuse(RuleBody, "a lineage edge to nothing")
		case i > 0 && l.Compare(b.Lineage[i-1]) <= 0:
			return refuse(RuleBody, "lineage edges stand in order, each once")
		}
	}
	if d := b.Justification; !d.whole() {
		return refuse(RuleBody, "it binds half a justification")
	}
	return nil
}

// whole reports whether a document is named, or none is.
func (d Document) whole() bool {
	return d == Document{} || !d.Artefact.IsZero() && !d.Version.IsZero() && !d.Digest.IsZero()
}

// checkOwnLineage refuses edges to versions of the same artefact that are not
// there yet. Of other artefacts the journal knows nothing.
func (a *Artefact) checkOwnLineage(b *Version) error {
	for _, l := range b.Lineage {
		if l.Artefact == a.ID && a.byVID[l.Version] == nil {
			return refuse(RuleTarget, "version %s, which it says it descends from, does not exist", l.Version)
		}
	}
	return nil
}

// Kin are the states of other artefacts, by id, through which lineage is followed.
type Kin map[canonical.Digest]*Artefact

// Find returns the version at the far end of an edge and the artefact it is of, as
// far as a and its Kin tell; nil: they tell nothing of it.
func (a *Artefact) Find(l Edge) (*Artefact, *CommittedVersion) {
	of := a.Kin[l.Artefact]
	if l.Artefact == a.ID {
		of = a
	}
	if of == nil {
		return nil, nil
	}
	return of, of.byVID[l.Version]
}

// ancestor is a version that another descends from, directly or not.
type ancestor struct {
	edge    Edge      // by which it was reached first
	of      *Artefact // nil, and version too, if nobody has committed or looked at it
	version *CommittedVersion
}

// ref names the ancestor for people.
func (an ancestor) ref() string {
	if an.version == nil {
		return fmt.Sprintf("version %s of artefact %s", an.edge.Version, an.edge.Artefact)
	}
	return an.version.Ref(an.of.Name)
}

// ancestors follows the edges up from a version by roles, each version once,
// nearest first. Only the first step goes by the roles first.
func (a *Artefact) ancestors(cv *CommittedVersion, first func(role string) bool) []ancestor {
	type key struct {
		artefact canonical.Digest
		version  canonical.ID
	}
	type step struct {
		in *CommittedVersion
		by func(string) bool
	}
	seen := map[key]bool{{a.ID, cv.VID}: true}
	var out []ancestor
	for queue := []step{{cv, first}}; len(queue) > 0; queue = queue[1:] {
		for _, l := range queue[0].in.Lineage {
			k := key{l.Artefact, l.Version}
			if seen[k] || !queue[0].by(l.Role) {
				continue
			}
			seen[k] = true
			of, found := a.Find(l)
			out = append(out, ancestor{l, of, found})
			if found != nil {
				queue = append(queue, step{found, Descends})
			}
		}
	}
	return out
}

// GateDescent is the name of the gate that asks that nothing which a version
// descends from is in quarantine. It depends on other journals, and journals have
// no order among each other: no entry is held to it, but clients hold themselves.
const GateDescent = "descent"

// Descent says whether anything that a version is known to descend from is in
// quarantine.
func (a *Artefact) Descent(cv *CommittedVersion) Gate {
	g := Gate{Name: GateDescent}
	all := a.ancestors(cv, Descends)
	for _, an := range all {
		if an.version == nil {
			continue
		}
		if q := an.version.Quarantined; q != nil {
			g.Why = fmt.Sprintf("it descends from %s (%s), which is in quarantine since %s, by %s: %s", an.ref(), an.edge.Role, q.Time, q.By, q.Reason)
			return g
		}
	}
	g.Met = true
	switch len(all) {
	case 0:
		g.Why = "it names nothing that it descends from"
	case 1:
		g.Why = fmt.Sprintf("it descends from %s (%s), which is in no quarantine", all[0].ref(), all[0].edge.Role)
	default:
		g.Why = fmt.Sprintf("it descends from %d versions, none of them in quarantine", len(all))
	}
	return g
}

// incomplete names the first of the version and of what it descends from that is
// not declared complete, or of which nothing is known; gone says the latter.
func (a *Artefact) incomplete(cv *CommittedVersion) (ref string, gone bool) {
	for _, an := range a.ancestors(cv, Descends) {
		if an.version == nil {
			return an.ref(), true
		}
		if ref == "" && !an.version.Complete {
			ref = an.ref()
		}
	}
	if !cv.Complete {
		ref = cv.Ref(a.Name)
	}
	return ref, false
}

// checkLineage asks that nothing that the version is known to descend from is in
// quarantine; and, if the channel asks for complete lineage, that nothing else
// can be.
func (a *Artefact) checkLineage(cv *CommittedVersion, channel string, v *Vault, t entry.Time) Check {
	known := a.Descent(cv)
	gap, gone := a.incomplete(cv)
	switch {
	case !known.Met:
		return Check{CheckLineage, CheckFail, known.Why}
	case gone:
		return Check{CheckLineage, CheckUnknown, fmt.Sprintf("it descends from %s, of which nothing is known here", gap)}
	}
	for _, g := range a.Gates(cv, channel, v, t) {
		switch {
		case g.Name != GateLineage:
		case !g.Open():
			return Check{CheckLineage, CheckFail, g.Why}
		case !g.Met:
			return Check{CheckLineage, CheckPass, fmt.Sprintf("%s; that it is not complete is waived by %s: %s", known.Why, g.Waived.By, g.Waived.Reason)}
		case gap != "":
			return Check{CheckLineage, CheckUnknown, fmt.Sprintf("%s; the lineage of %s, which it descends from, is not complete", known.Why, gap)}
		default:
			return Check{CheckLineage, CheckPass, known.Why + ", and all of that is declared complete"}
		}
	}
	if gap != "" {
		known.Why += "; the lineage of " + gap + " is not complete, and policy does not ask for that"
	}
	return Check{CheckLineage, CheckPass, known.Why}
}

// spoiled returns a set that the version was evaluated with and that is, or
// descends from what is, in quarantine: evaluations that are older than that
// quarantine say nothing.
func (a *Artefact) spoiled(cv *CommittedVersion) *ancestor {
	var out *ancestor
	for _, an := range a.ancestors(cv, func(role string) bool { return role == EvaluatedWith }) {
		if an.version != nil && an.version.Quarantined != nil && (out == nil || an.version.Quarantined.Time.After(out.version.Quarantined.Time.Time)) {
			out = &an
		}
	}
	return out
}

// staleEvaluation returns an evaluation whose newest result rests on a set that
// is in quarantine, and why that counts no more, or "".
func (a *Artefact) staleEvaluation(cv *CommittedVersion, v *Vault, t entry.Time) string {
	set := a.spoiled(cv)
	if set == nil {
		return ""
	}
	q := set.version.Quarantined
	newest := map[string]Evidence{}
	for _, e := range cv.Evidence {
		if e.Type == Evaluation && e.counts(v, t) {
			newest[e.Attest.Name] = e
		}
	}
	for _, e := range newest {
		if !e.Time.After(q.Time.Time) {
			return fmt.Sprintf("evaluated with %s, which is in quarantine since %s, by %s: %s; what was attested before that says nothing", set.ref(), q.Time, q.By, q.Reason)
		}
	}
	return ""
}
