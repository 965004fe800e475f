package state

import (
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

func (a *Artefact) applyExecute(e *entry.Entry) error {
	b, err := decode[Execute](e)
	if err != nil {
		return err
	}
	r := a.Vault.Disposal(b.Disposal)
	if r == nil {
		return refuse(RuleApproved, "there is no disposal %s", b.Disposal)
	}
	if ok, why := r.Approved(); !ok {
		return refuse(RuleApproved, "%s", why)
	}
	if due := r.Due(); e.Time.Before(due.Time) && a.deviate.on(RuleDue) {
		return refuse(RuleDue, "it is due on %s", due)
	}
	i := slices.IndexFunc(r.Scope, func(s DisposalScope) bool { return s.Artefact == a.ID })
	if i < 0 || r.Scope[i].Whole != b.Whole || b.Whole && len(b.Versions) > 0 {
		return refuse(RuleInScope, "the request does not cover it")
	}
	ids := b.Versions
	if b.Whole {
		ids = nil
		for _, v := range a.Versions {
			if v.State == Live {
				ids = append(ids, v.VID)
			}
			if len(v.Holds) > 0 {
				return refuse(RuleHeld, "v%d is held", v.Number)
			}
		}
		if a.Whole {
			return refuse(RuleUnused, "its disposal as a whole is under way")
		}
		if a.wholeHeld() {
			return refuse(RuleHeld, "the artefact is held")
		}
	} else if len(ids) == 0 || len(ids) > MaxNamed {
		return refuse(RuleBody, "%d versions: 1 to %d", len(ids), MaxNamed)
	}
	var vs []*CommittedVersion
	for _, id := range ids {
		v := a.byVID[id]
		switch {
		case v == nil || v.State != Live:
			return refuse(RuleTarget, "version %s is not live", id)
		case !b.Whole && !slices.Contains(r.Scope[i].Versions, id):
			return refuse(RuleInScope, "the request does not cover v%d", v.Number)
		case len(v.Holds) > 0:
			return refuse(RuleHeld, "v%d is held by %s since %s", v.Number, v.Holds[0].By, v.Holds[0].Time)
		}
		if err := r.retained(v, e.Time); err != nil && a.deviate.on(RuleRetained) {
			return err
		}
		vs = append(vs, v)
	}
	for _, v := range vs {
		v.State, v.Disposal = Executed, b.Disposal
	}
	if b.Whole {
		a.Whole, a.wholeBy = true, b.Disposal
	}
	a.died(e)
	return nil
}

func (a *Artefact) applyCancel(e *entry.Entry) error {
	b, err := decode[Disposal](e)
	if err != nil {
		return err
	}
	if err := checkSentence("reason", b.Reason, false); err != nil {
		return err
	}
	whole := a.Whole && a.wholeBy == b.Disposal
	n := 0
	for _, v := range a.Versions {
		if v.Disposal != b.Disposal {
			continue
		}
		if whole && v.State > Executed {
			return refuse(RuleCancel, "v%d is %s", v.Number, v.State)
		}
	}
	for _, v := range a.Versions {
		if v.Disposal != b.Disposal {
			continue
		}
		if v.State == Executed || v.State == Dropped && !a.deviate.on(RuleCancel) {
			n++
			if a.Whole && !whole {
				v.Disposal = a.wholeBy // it dies with the rest
				continue
			}
			v.State, v.Disposal = Live, canonical.ID{}
		}
	}
	if n == 0 && !whole {
		return refuse(RuleCancel, "disposal %s has nothing here that can still be cancelled", b.Disposal)
	}
	if whole {
		a.Whole = false
	}
	return nil
}

func (a *Artefact) applyPurged(e *entry.Entry) error {
	b, err := decode[Purged](e)
	if err != nil {
		return err
	}
	if len(b.Versions) == 0 || len(b.Versions) > MaxNamed || len(b.Retained) > MaxRetained {
		return refuse(RuleBody, "%d versions, %d retained objects: at most %d and %d", len(b.Versions), len(b.Retained), MaxNamed, MaxRetained)
	}
	for _, r := range b.Retained {
		if err := checkText("retained key", r.Key, maxRef); err != nil {
			return err
		}
	}
	for _, id := range b.Versions {
		switch v := a.byVID[id]; {
		case v == nil || v.State < Shredded:
			return refuse(RuleTarget, "version %s is not destroyed", id)
		case v.State == Erased && len(v.Retained) == 0:
			return refuse(RuleTarget, "v%d is purged", v.Number)
		}
	}
	for _, id := range b.Versions {
		v := a.byVID[id]
		v.State, v.Retained = Erased, b.Retained
	}
	return nil
}

func (a *Artefact) applyHold(e *entry.Entry) error {
	b, err := decode[Hold](e)
	if err != nil {
		return err
	}
	if a.hold(b.ID) != nil || b.ID.IsZero() {
		return refuse(RuleUnused, "hold %s", b.ID)
	}
	if len(b.Versions) > MaxNamed {
		return refuse(RuleBody, "%d versions: at most %d", len(b.Versions), MaxNamed)
	}
	if err := checkSentence("reason", b.Reason, true); err != nil {
		return err
	}
	h := &PlacedHold{Hold: *b, By: a.author(e).Name, Time: e.Time}
	vs := a.Versions
	if len(b.Versions) > 0 {
		vs = nil
		for _, id := range b.Versions {
			v := a.byVID[id]
			if v == nil || v.State != Live && v.State != Executed {
				return refuse(RuleTarget, "version %s can no longer be held", id)
			}
			vs = append(vs, v)
		}
	}
	for _, v := range vs {
		if v.State == Live || v.State == Executed {
			v.Holds = append(v.Holds, h)
		}
	}
	a.holds = append(a.holds, h)
	return nil
}

// hold returns the hold with this id, released or not, or nil.
func (a *Artefact) hold(id canonical.ID) *PlacedHold {
	for _, h := range a.holds {
		if h.ID == id {
			return h
		}
	}
	return nil
}

// Held returns the holds in force, oldest first.
func (a *Artefact) Held() []*PlacedHold {
	var out []*PlacedHold
	for _, h := range a.holds {
		if !h.Released {
			out = append(out, h)
		}
	}
	return out
}

// Frozen reports whether nothing of the artefact may be altered that is not
// being disposed of: a hold is in force, or a quarantine of what is not destroyed.
func (a *Artefact) Frozen() bool {
	return len(a.Held()) > 0 || slices.ContainsFunc(a.Versions, func(v *CommittedVersion) bool { return len(v.Holds) > 0 })
}

// wholeHeld reports whether a hold on the artefact as such is in force: it
// covers versions to come as well.
func (a *Artefact) wholeHeld() bool {
	return slices.ContainsFunc(a.Held(), func(h *PlacedHold) bool { return len(h.Versions) == 0 })
}

func (a *Artefact) applyRelease(e *entry.Entry) error {
	b, err := decode[Release](e)
	if err != nil {
		return err
	}
	if err := checkSentence("reason", b.Reason, true); err != nil {
		return err
	}
	h := a.hold(b.ID)
	if h == nil || h.Released {
		return refuse(RuleTarget, "hold %s is not in force", b.ID)
	}
	if a.author(e).Name == h.By {
		return refuse(RuleSecondPerson, "%s placed it", h.By)
	}
	h.Released = true
	a.unhold(e, a.Versions, h)
	return nil
}

// unhold takes a hold off versions. Taking the last one off an executed version
// is a death.
func (a *Artefact) unhold(e *entry.Entry, vs []*CommittedVersion, h *PlacedHold) {
	death := false
	for _, v := range vs {
		before := len(v.Holds)
		v.Holds = slices.DeleteFunc(v.Holds, func(x *PlacedHold) bool { return x == h })
		if v.State == Executed && before > 0 && len(v.Holds) == 0 {
			death = true
		}
	}
	if death && a.deviate.on(RuleReleaseDies) {
		a.died(e)
	}
}

func (a *Artefact) applyVerified(e *entry.Entry) error {
	b, err := decode[Verified](e)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"verified", "inconclusive", "failed"}, b.Result) {
		return refuse(RuleBody, "result %q", b.Result)
	}
	r := a.Vault.Disposal(b.Disposal)
	if r == nil {
		return refuse(RuleTarget, "there is no disposal %s", b.Disposal)
	}
	if err := checkDocument(b.Report); err != nil {
		return err
	}
	if err := a.attackable(r); err != nil {
		return err
	}
	a.attacks[b.Disposal] = append(a.attacks[b.Disposal], &Attack{Verified: *b, By: a.author(e).Name, At: e.Position(), Time: e.Time})
	return nil
}

// attackable refuses an attack on a disposal that covers nothing here, or of which
// something lives on: its result would speak of too little. A version may have
// been destroyed by another disposal that covers it as well.
func (a *Artefact) attackable(r *Request) error {
	i := slices.IndexFunc(r.Scope, func(s DisposalScope) bool { return s.Artefact == a.ID })
	if i < 0 {
		return refuse(RuleInScope, "the request does not cover it")
	}
	if r.Scope[i].Whole && !a.Ended {
		return refuse(RuleTarget, "the artefact is not destroyed")
	}
	for _, v := range a.Versions {
		covered := v.Disposal == r.ID || slices.Contains(r.Scope[i].Versions, v.VID)
		if covered && v.State < Shredded && a.deviate.on(RuleTarget) {
			return refuse(RuleTarget, "v%d is %s, not destroyed", v.Number, v.State)
		}
	}
	return nil
}

// Attack is the outcome of an attack on a disposal.
type Attack struct {
	Verified
	By   string
	At   entry.Position
	Time entry.Time
}

// Attacked returns the newest outcome of an attack on a disposal, or nil.
func (a *Artefact) Attacked(id canonical.ID) *Attack {
	if list := a.attacks[id]; len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

// Attacks returns the outcomes of all attacks on a disposal, oldest first.
func (a *Artefact) Attacks(id canonical.ID) []*Attack { return a.attacks[id] }

// AllAttacks returns the outcomes of all attacks, in no order.
func (a *Artefact) AllAttacks() []*Attack {
	var out []*Attack
	for _, list := range a.attacks {
		out = append(out, list...)
	}
	return out
}
