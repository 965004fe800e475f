package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Fate is what would become of a version at some time, and why: hold comes
// before minimum retention, that before an approved disposal, that before
// maximum retention.
type Fate struct {
	Artefact string
	Version  int
	Dies     bool   // a run at that time would destroy it
	Overdue  bool   // past maximum retention: somebody should request its disposal
	Rule     string // "hold", "retention.min", "disposal", "retention.max" or "none"
	Why      string
}

// Simulate tells what a run of everything that is due at a time would do to every
// version that lives, if nothing else happened until then. It changes nothing and
// needs no keeper.
func (v *Vault) Simulate(ctx context.Context, at time.Time) ([]Fate, error) {
	var out []Fate
	when := entry.At(at)
	err := v.eachArtefact(ctx, func(_ *ledger.Artefact, a *state.Artefact) error {
		for _, cv := range a.Versions {
			if cv.State <= state.Executed && !cv.Time.After(at) {
				f := v.fate(a, cv, when)
				f.Artefact, f.Version = a.Name, cv.Number
				out = append(out, f)
			}
		}
		return nil
	})
	return out, err
}

func (v *Vault) fate(a *state.Artefact, cv *state.CommittedVersion, at entry.Time) Fate {
	s := v.State()
	if len(cv.Holds) > 0 {
		h := cv.Holds[0]
		return Fate{Rule: "hold", Why: fmt.Sprintf("held by %s since %s: %s", h.By, h.Time, h.Reason)}
	}
	policy := s.Policy
	if until := policy.KeptUntil(cv.Kind, cv.Time); at.Before(until.Time) {
		return Fate{Rule: "retention.min", Why: fmt.Sprintf("policy keeps %s until %s", state.ClassOf(cv.Kind), until)}
	}
	waits := ""
	for _, r := range s.Disposals() {
		if r.Cancelled || !r.Covers(a.ID, cv.VID) {
			continue
		}
		approved, missing := r.Approved()
		switch until := r.KeptUntil(cv.Kind, cv.Time); {
		case !approved:
			waits = fmt.Sprintf("disposal %s lacks approval: %s", r.ID, missing)
		case at.Before(r.Due().Time):
			waits = fmt.Sprintf("disposal %s is due on %s", r.ID, r.Due())
		case at.Before(until.Time):
			return Fate{Rule: "retention.min", Why: fmt.Sprintf("policy in force since disposal %s was requested keeps it until %s", r.ID, until)}
		default:
			return Fate{Dies: true, Rule: "disposal", Why: fmt.Sprintf("disposal %s, requested by %s, approved, due since %s", r.ID, r.By, r.Due())}
		}
	}
	if from := policy.OverdueFrom(cv.Kind, cv.Time); !from.IsZero() && !at.Before(from.Time) {
		f := Fate{Overdue: true, Rule: "retention.max", Why: fmt.Sprintf("overdue since %s: policy keeps %s no longer; somebody must request its disposal", from, state.ClassOf(cv.Kind))}
		if waits != "" {
			f.Why = fmt.Sprintf("overdue since %s; %s", from, waits)
		}
		return f
	}
	if waits != "" {
		return Fate{Rule: "disposal", Why: waits}
	}
	return Fate{Rule: "none", Why: "nobody has requested its disposal"}
}
