package state

import (
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Classes of what retention is about.
const (
	Weights       = "weights"
	Data          = "data"
	Configuration = "config"
	Documentation = "documentation"
	Log           = "log" // receipts of pulls; journals are never erased
)

// RetentionClasses lists the classes.
func RetentionClasses() []string {
	return []string{Configuration, Data, Documentation, Log, Weights}
}

// ClassOf returns the retention class of versions of a kind.
func ClassOf(kind string) string {
	switch kind {
	case "model":
		return Weights
	case "dataset":
		return Data
	case "evaluation":
		return Documentation
	}
	return Configuration // config, prompt, system
}

// Retention says how long what belongs to a class is kept. Both run from the
// time of the version's entry. Before Min no disposal counts. After Max a version
// is overdue: that is reported, and destroys nothing without an approved request.
type Retention struct {
	Class string   `json:"class"`
	Min   Duration `json:"min,omitzero"`
	Max   Duration `json:"max,omitzero"`
}

// Modes of receipts.
const (
	ReceiptsOff        = "off"
	ReceiptsBestEffort = "best-effort"
	ReceiptsRequired   = "required"
)

// ReceiptMode says what a pull of a version of this classification must leave.
func (p Policy) ReceiptMode(classification string) string {
	switch {
	case p.Receipts != "":
		return p.Receipts
	case classification == "confidential":
		return ReceiptsRequired
	}
	return ReceiptsBestEffort
}

// Of returns what the policy says of a class.
func (p Policy) Of(class string) Retention {
	for _, r := range p.Retention {
		if r.Class == class {
			return r
		}
	}
	return Retention{Class: class}
}

// KeptUntil returns until when policy keeps a version of a kind, pushed at t,
// from any disposal; zero if it does not.
func (p Policy) KeptUntil(kind string, t entry.Time) entry.Time {
	if least := p.Of(ClassOf(kind)).Min; !least.IsZero() {
		return least.After(t)
	}
	return entry.Time{}
}

// OverdueFrom returns from when on a version of a kind, pushed at t, should be
// gone; zero: never.
func (p Policy) OverdueFrom(kind string, t entry.Time) entry.Time {
	if most := p.Of(ClassOf(kind)).Max; !most.IsZero() {
		return most.After(t)
	}
	return entry.Time{}
}

func checkRetention(list []Retention) error {
	classes := RetentionClasses()
	for i, r := range list {
		switch {
		case !slices.Contains(classes, r.Class):
			return refuse(RuleBody, "retention class %q: one of %v", r.Class, classes)
		case i > 0 && r.Class <= list[i-1].Class:
			return refuse(RuleBody, "retention of %s after that of %s: each class once, in order", r.Class, list[i-1].Class)
		case r.Min.IsZero() && r.Max.IsZero():
			return refuse(RuleBody, "the retention of %s says nothing", r.Class)
		case !r.Max.IsZero() && shorter(r.Max, r.Min):
			return refuse(RuleBody, "retention of %s: at most %s, but at least %s", r.Class, r.Max, r.Min)
		}
	}
	return nil
}

// shorter compares durations from a fixed day: where the length of months
// matters to the comparison, either answer is good enough to refuse by.
func shorter(a, b Duration) bool {
	var zero entry.Time
	return a.After(zero).Before(b.After(zero).Time)
}

// The strictest policy in force between a request and its activation counts, so
// a request keeps every policy since it was made.

// Needed returns how many approvals the request takes.
func (r *Request) Needed() int {
	n := 1
	for _, p := range r.policies {
		n = max(n, p.Approvals)
	}
	return n
}

// SoleApproval reports whether the request stands on its requester's own
// approval alone, as that of the only custodian there was.
func (r *Request) SoleApproval() bool {
	return len(r.Approvals) == 1 && r.Approvals[0].By == r.By
}

// Due returns when the request may be executed: at its date, and not before
// policy's grace after the request is over.
func (r *Request) Due() entry.Time {
	due := r.After
	for _, p := range r.policies {
		if g := p.Grace.After(r.Time); g.After(due.Time) {
			due = g
		}
	}
	return due
}

// KeptUntil returns until when a version of a kind, pushed at t, is kept from
// this request by policy; zero if it is not.
func (r *Request) KeptUntil(kind string, t entry.Time) entry.Time {
	var until entry.Time
	for _, p := range r.policies {
		if u := p.KeptUntil(kind, t); u.After(until.Time) {
			until = u
		}
	}
	return until
}

// retained refuses what minimum retention keeps at the time of e.
func (r *Request) retained(v *CommittedVersion, at entry.Time) error {
	if until := r.KeptUntil(v.Kind, v.Time); at.Before(until.Time) {
		return refuse(RuleRetained, "v%d is kept until %s: policy keeps %s at least so long", v.Number, until, ClassOf(v.Kind))
	}
	return nil
}

func (r Retention) String() string {
	return fmt.Sprintf("%s: at least %s, at most %s", r.Class, r.Min, r.Max)
}

// Covers reports whether the request is about a version.
func (r *Request) Covers(aid canonical.Digest, vid canonical.ID) bool {
	return slices.ContainsFunc(r.Scope, func(s DisposalScope) bool {
		return s.Artefact == aid && (s.Whole || slices.Contains(s.Versions, vid))
	})
}
