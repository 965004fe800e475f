package state

import (
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Quarantine denies versions to readers, and holds them against disposal, until
// a clear entry, which has the same body, lifts it. In whatever state a version
// is, it can be said to be bad: what was made of it may live.
type Quarantine struct {
	Versions []canonical.ID `json:"versions"`
	Reason   string         `json:"reason"`
	Incident string         `json:"incident,omitempty"`
}

// Permit lets one member read a version in quarantine, to examine it. Who gives
// it cannot be who reads.
type Permit struct {
	Version canonical.ID `json:"version"`
	Reader  string       `json:"reader"` // a member's name
	Until   entry.Time   `json:"until"`
	Reason  string       `json:"reason"`
}

// PlacedQuarantine is a quarantine in force. A second one of the same version
// adds nothing to the first.
type PlacedQuarantine struct {
	Quarantine
	By      string
	Time    entry.Time
	Permits []PlacedPermit // oldest first; they end with the quarantine

	hold *PlacedHold
}

// PlacedPermit is a permit, whether its time is over or not.
type PlacedPermit struct {
	Permit
	By   string
	Time entry.Time
}

func (a *Artefact) applyQuarantine(e *entry.Entry) error {
	b, err := decode[Quarantine](e)
	if err != nil {
		return err
	}
	vs, err := a.quarantinable(b)
	if err != nil {
		return err
	}
	by := a.author(e).Name
	h := &PlacedHold{Hold: Hold{Versions: b.Versions, Reason: "in quarantine: " + b.Reason}, By: by, Time: e.Time}
	for _, v := range vs {
		if v.Quarantined != nil {
			continue
		}
		v.Quarantined = &PlacedQuarantine{Quarantine: *b, By: by, Time: e.Time, hold: h}
		if v.State == Live || v.State == Executed {
			v.Holds = append(v.Holds, h)
		}
	}
	return nil
}

func (a *Artefact) applyClear(e *entry.Entry) error {
	b, err := decode[Quarantine](e)
	if err != nil {
		return err
	}
	vs, err := a.quarantinable(b)
	if err != nil {
		return err
	}
	for _, v := range vs {
		if v.Quarantined == nil {
			return refuse(RuleTarget, "v%d is in no quarantine", v.Number)
		}
	}
	for _, v := range vs {
		if q := v.Quarantined; q != nil {
			v.Quarantined = nil
			a.unhold(e, []*CommittedVersion{v}, q.hold)
		}
	}
	return nil
}

// quarantinable returns the versions that the body of quarantine or clear names.
func (a *Artefact) quarantinable(b *Quarantine) ([]*CommittedVersion, error) {
	if len(b.Versions) == 0 || len(b.Versions) > MaxNamed {
		return nil, refuse(RuleBody, "%d versions: 1 to %d", len(b.Versions), MaxNamed)
	}
	if err := first(checkSentence("reason", b.Reason, true), checkText("incident", b.Incident, MaxWord)); err != nil {
		return nil, err
	}
	vs := make([]*CommittedVersion, len(b.Versions))
	for i, id := range b.Versions {
		if vs[i] = a.byVID[id]; vs[i] == nil {
			return nil, refuse(RuleTarget, "version %s does not exist", id)
		}
	}
	return vs, nil
}

func (a *Artefact) applyPermit(e *entry.Entry) error {
	b, err := decode[Permit](e)
	if err != nil {
		return err
	}
	if err := first(checkShort(b.Reader), checkSentence("reason", b.Reason, true)); err != nil {
		return err
	}
	if !b.Until.After(e.Time.Time) {
		return refuse(RuleBody, "it ends before it begins")
	}
	v := a.byVID[b.Version]
	if v == nil || v.Quarantined == nil {
		return refuse(RuleTarget, "version %s is in no quarantine", b.Version)
	}
	if m := a.Vault.members[b.Reader]; m == nil || !m.Active(e.Time) {
		return refuse(RuleTarget, "%s is no active member", b.Reader)
	}
	by := a.author(e).Name
	if by == b.Reader {
		return refuse(RuleSecondPerson, "%s cannot permit it to themselves", by)
	}
	v.Quarantined.Permits = append(v.Quarantined.Permits, PlacedPermit{Permit: *b, By: by, Time: e.Time})
	return nil
}

// Permitted returns a permit by which a member may read the version at t, or nil.
func (q *PlacedQuarantine) Permitted(reader string, t entry.Time) *PlacedPermit {
	i := slices.IndexFunc(q.Permits, func(p PlacedPermit) bool { return p.Reader == reader && t.Before(p.Until.Time) })
	if i < 0 {
		return nil
	}
	return &q.Permits[i]
}
