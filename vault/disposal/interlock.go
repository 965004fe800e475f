package disposal

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/handover"
	"github.com/aivault/aivault/vault/lineage"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
)

// Interlock is a circumstance in which a version does not die before somebody
// has decided about it, on record.
type Interlock struct {
	Rule      string
	Asks      string   // what is to be decided
	Decisions []string // of which one must be taken; with ":REASON" it takes a reason
	// journals says that the interlock follows from journals alone. Such a one is
	// looked for again when the disposal is run: what was decided must still be
	// what is the case.
	journals bool
	find     func(facts) []Subject
}

// Subject is one thing to decide about.
type Subject struct {
	Name    string       // "team/fraud-detector:prod"
	Version canonical.ID // the version that dies
	Why     string       // in words: what is the case, set by whom, since when
}

// Decision is one that was taken. The plan holds it, and so the approval binds it.
type Decision struct {
	Rule     string       `json:"rule"`
	Subject  string       `json:"subject"`
	Version  canonical.ID `json:"version"`
	Decision string       `json:"decision"`
	Reason   string       `json:"reason,omitempty"`
}

// facts is what interlocks look at: one artefact, and the versions of it that
// are to die.
type facts struct {
	artefact   *state.Artefact
	dies       []*state.CommittedVersion
	vault      *state.Vault
	at         entry.Time                            // when it is looked at
	good       map[string][]*state.CommittedVersion  // by channel: what is known good of what it can fall back to
	systems    []System                              // that live on
	references map[canonical.ID]*manifest.References // of undestroyed versions; nil: not read
	family     *family                               // nil: not read
	doomed     map[lineage.Key]bool                  // all that dies, in whatever artefact
}

// takesReason ends a decision that is taken with a reason.
const takesReason = ":REASON"

// Interlocks returns the table of interlocks.
func Interlocks() []Interlock {
	return []Interlock{
		{Rule: "channel", Asks: "a channel points to a version that dies: move it first, or leave it pointing to a destroyed version", Decisions: []string{"leave"}, journals: true, find: channels},
		{Rule: "known-good", Asks: "a version that dies is the last known good one that a channel could fall back to", Decisions: []string{"accept"}, journals: true, find: lastGood},
		{Rule: "descendants", Asks: "what a version that dies went into lives on: is it retrained, kept, or disposed of too?", Decisions: []string{"retrain", "keep" + takesReason, "dispose"}, journals: true, find: descendants},
		{Rule: "system", Asks: "a system that lives on pins a version that dies: nobody can pull it then, or fall back to it", Decisions: []string{"accept"}, journals: true, find: pinned},
		{Rule: "shared", Asks: "chunks of a version that dies live on in others, and their plaintext with them", Decisions: []string{"accept"}, find: shared},
		{Rule: "transfer", Asks: "a version that dies was handed over: has its new owner confirmed that they hold it?", Decisions: []string{"received", "not-received"}, journals: true, find: handedOver},
	}
}

// channels finds channels that point to what dies.
func channels(f facts) []Subject {
	var out []Subject
	for _, name := range slices.Sorted(maps.Keys(f.artefact.Channels)) {
		p := f.artefact.Channels[name]
		for _, v := range f.dies {
			if p.To != v.VID {
				continue
			}
			s := Subject{Name: f.artefact.Name + ":" + name, Version: v.VID, Why: fmt.Sprintf("channel %s points to v%d", name, v.Number)}
			if n := len(p.History); n > 0 {
				s.Why += fmt.Sprintf(", moved by %s on %s", p.History[n-1].By, p.History[n-1].Time)
			}
			out = append(out, s)
		}
	}
	return out
}

// lastGood finds channels that live on, could fall back to what dies, and to
// nothing else. It goes by what journals tell.
func lastGood(f facts) []Subject {
	var out []Subject
	for _, name := range slices.Sorted(maps.Keys(f.artefact.Channels)) {
		now := f.artefact.Version(f.artefact.Channel(name))
		if now == nil || now.State != state.Live || slices.Contains(f.dies, now) {
			continue // whether that may be is for the interlock "channel"
		}
		good := f.good[name]
		if len(good) == 0 || slices.ContainsFunc(good, func(v *state.CommittedVersion) bool { return !slices.Contains(f.dies, v) }) {
			continue
		}
		out = append(out, Subject{Name: f.artefact.Name + ":" + name, Version: good[0].VID,
			Why: fmt.Sprintf("v%d is what channel %s falls back to from v%d, and nothing else is known good", good[0].Number, name, now.Number)})
	}
	return out
}

// System is a version that pins others.
type System struct {
	Artefact *state.Artefact
	Version  *state.CommittedVersion
}

// pinned finds systems that live on without a part that dies.
func pinned(f facts) []Subject {
	var out []Subject
	for _, s := range f.systems {
		for _, v := range f.dies {
			if s.Version.Pins(f.artefact.ID, v.VID) {
				out = append(out, Subject{Name: s.Version.Ref(s.Artefact.Name), Version: v.VID,
					Why: fmt.Sprintf("%s is a part of %s, which lives on", v.Ref(f.artefact.Name), s.Version.Ref(s.Artefact.Name))})
			}
		}
	}
	return out
}

// look adds to facts what the journals of other artefacts tell. Those that die with
// what is disposed of pin nothing.
func (f *facts) look(family *family, doomed map[lineage.Key]bool) error {
	f.family, f.doomed, f.good = family, doomed, map[string][]*state.CommittedVersion{}
	lookup := func(id canonical.Digest) (*state.Artefact, error) { return family.kin[id], nil }
	for name := range f.artefact.Channels {
		good, err := f.artefact.KnownGood(name, f.vault, f.at, lookup)
		if err != nil {
			return err
		}
		f.good[name] = good
	}
	for _, a := range family.kin {
		for _, v := range a.Versions {
			if len(v.Parts) > 0 && v.State <= state.Executed && !doomed[lineage.Key{Artefact: a.ID, Version: v.VID}] {
				f.systems = append(f.systems, System{a, v})
			}
		}
	}
	slices.SortFunc(f.systems, func(x, y System) int {
		return cmp.Or(cmp.Compare(x.Artefact.Name, y.Artefact.Name), cmp.Compare(x.Version.Number, y.Version.Number))
	})
	return nil
}

// handedOver finds versions that die and were handed over to a new owner, who may
// hold the last copy.
func handedOver(f facts) []Subject {
	var out []Subject
	for _, v := range f.dies {
		if n := len(v.Transfers); n > 0 {
			last := v.Transfers[n-1]
			out = append(out, Subject{Name: v.Ref(f.artefact.Name), Version: v.VID,
				Why: fmt.Sprintf("v%d was handed over to %s by %s on %s", v.Number, cmp.Or(last.Owner, "recipient "+handover.Fingerprint(last.Recipient)), last.By, last.Time)})
		}
	}
	return out
}

// shared finds versions that die whose chunks survivors list as well.
func shared(f facts) []Subject {
	var out []Subject
	for _, v := range f.dies {
		n, bytes, with := sharedChunks(f, v)
		if n > 0 {
			out = append(out, Subject{Name: v.Ref(f.artefact.Name), Version: v.VID,
				Why: fmt.Sprintf("%d objects, %d bytes, of v%d are part of %s too", n, bytes, v.Number, strings.Join(with, ", "))})
		}
	}
	return out
}

// sharedChunks counts the objects of a version that survivors list as well, and
// names those.
func sharedChunks(f facts, v *state.CommittedVersion) (n int, bytes int64, with []string) {
	refs := f.references[v.VID]
	if refs == nil {
		return 0, 0, nil
	}
	mine := make(map[manifest.Reference]bool, len(refs.Objects))
	for _, o := range refs.Objects {
		mine[o] = true
	}
	seen := map[manifest.Reference]bool{}
	for _, other := range f.artefact.Versions {
		theirs := f.references[other.VID]
		if theirs == nil || slices.Contains(f.dies, other) {
			continue
		}
		shares := false
		for _, o := range theirs.Objects {
			if mine[o] {
				shares = true
				if !seen[o] {
					seen[o] = true
					n, bytes = n+1, bytes+o.Size
				}
			}
		}
		if shares {
			with = append(with, fmt.Sprintf("v%d", other.Number))
		}
	}
	return n, bytes, with
}

// UndecidedError says what must be decided before a disposal can go on.
type UndecidedError struct{ Open []Undecided }

// Undecided is one interlock's subject without a decision.
type Undecided struct {
	Interlock
	Subject
}

// ErrUndecided is what an *UndecidedError wraps.
var ErrUndecided = errors.New("a decision is missing")

func (e *UndecidedError) Unwrap() error { return ErrUndecided }

func (e *UndecidedError) Error() string {
	parts := make([]string, len(e.Open))
	for i, o := range e.Open {
		parts[i] = fmt.Sprintf("%s (interlock %s, %s: %s)", o.Why, o.Rule, o.Name, strings.Join(o.Decisions, " or "))
	}
	return ErrUndecided.Error() + ": " + strings.Join(parts, "; ")
}

// decide returns the decisions for all that the interlocks find, or an
// *UndecidedError. given are the decisions taken, by "rule:subject".
func decide(f facts, given map[string]string, used map[string]bool) ([]Decision, []Undecided, error) {
	var out []Decision
	var open []Undecided
	for _, lock := range Interlocks() {
		for _, s := range lock.find(f) {
			key := lock.Rule + ":" + s.Name
			choice, ok := given[key]
			if !ok {
				open = append(open, Undecided{lock, s})
				continue
			}
			choice, reason, err := lock.take(choice)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: %s %w", ErrBadDecision, key, err)
			}
			used[key] = true
			out = append(out, Decision{Rule: lock.Rule, Subject: s.Name, Version: s.Version, Decision: choice, Reason: reason})
		}
	}
	return out, open, nil
}

// take reads a decision, and the reason that it must have, or must not.
func (l Interlock) take(text string) (choice, reason string, err error) {
	choice, reason, _ = strings.Cut(text, ":")
	reason = strings.TrimSpace(reason)
	switch reasoned := slices.Contains(l.Decisions, choice+takesReason); {
	case reasoned && reason == "":
		return "", "", fmt.Errorf("takes a reason: %s", choice+takesReason)
	case len(reason) > state.MaxText:
		return "", "", fmt.Errorf("takes a reason of at most %d bytes", state.MaxText)
	case !reasoned && !slices.Contains(l.Decisions, text):
		return "", "", fmt.Errorf("takes %s, not %q", strings.Join(l.Decisions, " or "), text)
	}
	return choice, reason, nil
}

// ErrBadDecision refuses a decision about nothing, or one that there is not.
var ErrBadDecision = errors.New("no such decision")

// stillDecided compares what the interlocks that follow from journals find now
// with the decisions of the plan.
func stillDecided(f facts, taken []Decision) error {
	var open []Undecided
	for _, lock := range Interlocks() {
		if !lock.journals {
			continue
		}
		for _, s := range lock.find(f) {
			if !slices.ContainsFunc(taken, func(d Decision) bool { return d.Rule == lock.Rule && d.Subject == s.Name && d.Version == s.Version }) {
				open = append(open, Undecided{lock, s})
			}
		}
	}
	if len(open) > 0 {
		return &UndecidedError{open}
	}
	return nil
}
