package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/entry"
)

// MemberTraining records that a member was trained for a role. It counts from
// its entry on, until Expires.
type MemberTraining struct {
	Name     string     `json:"name"`
	Role     string     `json:"role"`
	Course   string     `json:"course"` // what it was, in words
	Expires  entry.Time `json:"expires,omitzero"`
	Document Object     `json:"document,omitzero"` // what shows it; at most 1 MiB
}

// Training is a record of training.
type Training struct {
	MemberTraining
	By   string
	Time entry.Time
}

// GateTrained begins the names of the gates that ask for training; the role follows.
const GateTrained = "trained/"

// TrainedRoles lists the roles of those who make a version what a channel points
// to: who pushed it, in whatever role, counts as developer; who approved it, and
// who moves the channel, as operator.
func TrainedRoles() []string { return []string{Developer, Operator} }

func (v *Vault) applyTraining(e *entry.Entry) error {
	b, err := decode[MemberTraining](e)
	if err != nil {
		return err
	}
	if err := checkSentence("course", b.Course, true); err != nil {
		return err
	}
	if b.Document != (Object{}) {
		if err := checkDocument(b.Document); err != nil {
			return err
		}
	}
	if !slices.Contains(Roles(), b.Role) {
		return refuse(RuleBody, "role %q: one of %v", b.Role, Roles())
	}
	if !b.Expires.IsZero() && !b.Expires.After(e.Time.Time) {
		return refuse(RuleBody, "it expires before it begins")
	}
	if m := v.members[b.Name]; m == nil || m.Removed {
		return refuse(RuleTarget, "there is no member %s", b.Name)
	}
	by := v.keys[e.Author].Member
	if by == b.Name && v.mayRecordTraining(e.Time) > 1 {
		return refuse(RuleSecondPerson, "%s cannot record their own training", by)
	}
	if b.Document != (Object{}) {
		v.bound = append(v.bound, b.Document)
	}
	v.trainings = append(v.trainings, Training{MemberTraining: *b, By: by, Time: e.Time})
	return nil
}

// mayRecordTraining returns how many members active at t may record training.
func (v *Vault) mayRecordTraining(t entry.Time) int {
	n := 0
	for _, m := range v.members {
		if m.Active(t) && permits(m.Roles, KindMemberTraining, "") {
			n++
		}
	}
	return n
}

// Trainings returns the records of a member's training, oldest first.
func (v *Vault) Trainings(name string) []Training {
	return slices.DeleteFunc(slices.Clone(v.trainings), func(t Training) bool { return t.Name != name })
}

// Trained returns a record by which a member is trained for a role at t, or nil.
func (v *Vault) Trained(name, role string, t entry.Time) *Training {
	for i, r := range slices.Backward(v.trainings) {
		if r.Name == name && r.Role == role && !t.Before(r.Time.Time) && (r.Expires.IsZero() || t.Before(r.Expires.Time)) {
			return &v.trainings[i]
		}
	}
	return nil
}

// trainings are the gates of a channel that ask for training, by the role.
func (a *Artefact) trainings(cv *CommittedVersion, channel string, v *Vault, t entry.Time) []Gate {
	var out []Gate
	for _, role := range TrainedRoles() {
		if !slices.ContainsFunc(v.Policy.requirements(a.Name, channel, cv.Version.Kind), func(r Requirement) bool { return slices.Contains(r.Trained, role) }) {
			continue
		}
		met, why := cv.trained(role, v, t)
		out = append(out, Gate{Name: GateTrained + role, Met: met, Why: why, Waived: cv.waived(channel, GateTrained+role)})
	}
	return out
}

// trained reports whether all who acted on the version in a role were trained for
// it then, or are now: a record that was made late counts, and one that is over
// takes nothing from what was done while it held.
func (cv *CommittedVersion) trained(role string, v *Vault, t entry.Time) (bool, string) {
	type act struct {
		by string
		at entry.Time
	}
	acts := []act{{cv.By, cv.Time}}
	if role == Operator {
		acts = nil
		for _, ap := range cv.Approvals {
			if !v.Tainted(ap.Key, ap.Time) {
				acts = append(acts, act{ap.By, ap.Time})
			}
		}
	}
	var shown, lacking []string
	for _, x := range acts {
		r := v.Trained(x.by, role, x.at)
		if r == nil {
			r = v.Trained(x.by, role, t)
		}
		if r == nil {
			lacking = append(lacking, x.by)
			continue
		}
		shown = append(shown, fmt.Sprintf("%s, %s on %s", x.by, r.Course, r.Time))
	}
	switch {
	case len(lacking) > 0:
		return false, fmt.Sprintf("%s: no training as %s on record", strings.Join(lacking, ", "), role)
	case len(shown) == 0:
		return true, "nobody has approved it yet"
	}
	return true, strings.Join(shown, "; ")
}

// moverTrained refuses a move by somebody whom the channel asks to be trained.
func (a *Artefact) moverTrained(cv *CommittedVersion, channel, by string, t entry.Time) error {
	for _, g := range a.trainings(cv, channel, a.Vault, t) {
		if g.Name == GateTrained+Operator && g.Waived == nil && a.Vault.Trained(by, Operator, t) == nil {
			return refuse(RuleGates, "gate %s of channel %s: %s, who moves it: no training as operator on record", g.Name, channel, by)
		}
	}
	return nil
}

// MoverTrained reports whether the member called by may move a channel to a
// version at t, as far as training is asked for; if not, why.
func (a *Artefact) MoverTrained(cv *CommittedVersion, channel, by string, t entry.Time) (bool, string) {
	if err := a.moverTrained(cv, channel, by, t); err != nil {
		return false, err.(*refusal).why
	}
	return true, ""
}

// checkTraining asks for the training that the channel's gates ask for.
func (a *Artefact) checkTraining(cv *CommittedVersion, channel string, v *Vault, t entry.Time) Check {
	c := Check{"training", CheckNotRequired, "policy asks for none"}
	var shown []string
	for _, g := range a.trainings(cv, channel, v, t) {
		if !g.Open() {
			return Check{"training", CheckFail, g.Name + ": " + g.Why}
		}
		why := g.Why
		if !g.Met {
			why = fmt.Sprintf("waived by %s: %s", g.Waived.By, g.Waived.Reason)
		}
		shown = append(shown, g.Name+": "+why)
	}
	if len(shown) > 0 {
		c.Status, c.Why = CheckPass, strings.Join(shown, "; ")
	}
	return c
}
