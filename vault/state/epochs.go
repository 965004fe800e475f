package state

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Epoch returns an epoch by id, or nil.
func (a *Artefact) Epoch(eid canonical.ID) *Epoch {
	for _, ep := range a.Epochs {
		if ep.EID == eid {
			return ep
		}
	}
	return nil
}

func (a *Artefact) applyIntent(e *entry.Entry) error {
	b, err := decode[Intent](e)
	if err != nil {
		return err
	}
	if a.Epoch(b.EID) != nil || b.EID.IsZero() {
		return refuse(RuleUnused, "epoch %s", b.EID)
	}
	if b.Label != EpochLabel(a.Vault.Genesis, a.ID, b.EID) {
		return refuse(RuleCustody, "label %q is not this epoch's", b.Label)
	}
	if b.Custody.Mode != a.Vault.Custody.Mode || !slices.Equal(b.Custody.Keepers, a.Vault.Custody.Keepers) {
		return refuse(RuleCustody, "the vault's custody is another")
	}
	a.Epochs = append(a.Epochs, &Epoch{Intent: *b, At: e.Position(), deviate: a.deviate})
	return nil
}

// EpochContext is what a keeper binds to the wrapped seed of an epoch as
// associated data: SHA-256 over the vault's genesis, the artefact's id and eid.
func EpochContext(genesis, aid canonical.Digest, eid canonical.ID) [32]byte {
	h := sha256.New()
	h.Write(genesis[:])
	h.Write(aid[:])
	h.Write(eid[:])
	return [32]byte(h.Sum(nil))
}

// EpochLabel is the label of an epoch's keys at every keeper: EpochContext in
// hex. It says nothing, and no epoch can claim the key of another, in whatever
// artefact or vault.
func EpochLabel(genesis, aid canonical.Digest, eid canonical.ID) string {
	c := EpochContext(genesis, aid, eid)
	return hex.EncodeToString(c[:])
}

func (a *Artefact) applyCandidate(e *entry.Entry) error {
	b, err := decode[Candidate](e)
	if err != nil {
		return err
	}
	ep := a.Epoch(b.EID)
	switch {
	case ep == nil:
		return refuse(RuleTarget, "no intent for epoch %s", b.EID)
	case ep.Candidate != nil && a.deviate.on(RuleFirst):
		return refuse(RuleFirst, "epoch %s has a candidate", b.EID)
	case ep.activationSinceIntent && a.deviate.on(RuleIntentFresh):
		return refuse(RuleIntentFresh, "another epoch was activated since the intent")
	case b.Mode != ep.Custody.Mode || len(b.Keys) != len(ep.Custody.Keepers):
		return refuse(RuleCustody, "not the keepers of the intent")
	}
	if err := checkRecipient(b.Recipient); err != nil {
		return err
	}
	for i, k := range b.Keys {
		if k.Instance != ep.Custody.Keepers[i].Instance {
			return refuse(RuleCustody, "not the keepers of the intent")
		}
		if k.Ref == "" {
			return refuse(RuleBody, "a key without a ref")
		}
		if err := checkText("ref", k.Ref, maxRef); err != nil {
			return err
		}
		// Whoever destroys the keys of one epoch must not destroy another's.
		if o := a.holderOf(k); o != nil && o.EID != ep.EID {
			return refuse(RuleUnused, "key %s is that of epoch %s", k.Ref, o.EID)
		}
	}
	if ep.Candidate != nil { // only without RuleFirst: an epoch of its own that shares its keys with the first
		second := *ep
		ep = &second
		a.Epochs = append(a.Epochs, ep)
	}
	ep.Candidate, ep.CandidateAt = b, e.Position()
	return nil
}

// holderOf returns the epoch whose candidate names a key, or nil.
func (a *Artefact) holderOf(k KeyRef) *Epoch {
	for _, ep := range a.Epochs {
		if ep.Candidate != nil && slices.Contains(ep.Candidate.Keys, k) {
			return ep
		}
	}
	return nil
}

func (a *Artefact) applyActivate(e *entry.Entry) error {
	b, err := decode[Activate](e)
	if err != nil {
		return err
	}
	if b.Survivors != a.Survivors() {
		return refuse(RuleSurvivors, "it keeps %d versions where %d are live, or others", b.Survivors.Count, len(a.LiveSet()))
	}
	if l := a.Lapsed(a.Vault, e.Time); l != nil && a.deviate.on(l.Rule) {
		return refuse(l.Rule, "disposal %s, which it would complete: %s", l.Disposal, l.Why)
	}
	if b.None {
		if !a.Whole || b.Survivors.Count != 0 {
			return refuse(RuleSurvivors, "no disposal of the whole artefact is under way, or versions are held")
		}
		if !b.EID.IsZero() || !b.GID.IsZero() || !b.Seed.IsZero() || b.Index != (Object{}) {
			return refuse(RuleBody, "the end of an artefact binds no epoch")
		}
		a.activate(nil)
		a.Ended, a.Activated, a.ActivatedAt = true, b, e.Position()
		return nil
	}
	ep := a.Epoch(b.EID)
	if ep == nil || ep.Candidate == nil || ep.Activated {
		return refuse(RuleTarget, "epoch %s is no candidate", b.EID)
	}
	if !ep.CanActivate() && a.deviate.on(RuleActivateFresh) {
		return refuse(RuleActivateFresh, "an activation or a death stands after the intent of epoch %s", b.EID)
	}
	if b.Seed.IsZero() {
		return refuse(RuleBody, "it binds no seed")
	}
	if !b.GID.IsZero() && a.GenerationByID(b.GID) == nil {
		return refuse(RuleTarget, "there is no generation %s", b.GID)
	}
	if err := checkNamed(b.Index, a.prefix("e", b.EID)+"/i-"); err != nil {
		return err
	}
	a.activate(ep)
	ep.Activated = true
	a.Activated, a.ActivatedAt = b, e.Position()
	return nil
}

// Lapse says why a disposal that was executed may not be completed.
type Lapse struct {
	Disposal canonical.ID
	Rule     Rule
	Why      string
}

// Lapsed returns a disposal that an activation at this time, citing v, would
// complete although it may not by then: it was cancelled, or policy asks for
// more than when it was executed. nil: none.
func (a *Artefact) Lapsed(v *Vault, at entry.Time) *Lapse {
	if r := v.Disposal(a.wholeBy); a.Whole && r != nil {
		if ok, why := r.Approved(); !ok {
			return &Lapse{a.wholeBy, RuleApproved, why}
		}
	}
	for _, cv := range a.Versions {
		r := v.Disposal(cv.Disposal)
		if cv.State != Executed || a.counts(cv) || r == nil {
			continue
		}
		if ok, why := r.Approved(); !ok {
			return &Lapse{cv.Disposal, RuleApproved, why}
		}
		if err, kept := r.retained(cv, at).(*refusal); kept {
			return &Lapse{cv.Disposal, err.rule, err.why}
		}
	}
	return nil
}

// activate makes ep current (nil: no epoch). Every other candidate that stands
// is superseded, every version that is not live is dropped: the point of no return.
func (a *Artefact) activate(ep *Epoch) {
	for _, o := range a.Epochs {
		o.activationSinceIntent = true
		if o.Candidate != nil && o != ep {
			o.superseded = true
		}
	}
	for _, v := range a.Versions {
		if v.State == Executed && !a.counts(v) {
			v.State = Dropped
			a.ask(v.Disposal)
		}
	}
	if a.Whole {
		a.ask(a.wholeBy)
	}
	a.Current = ep
}

// ask remembers how many approvals a disposal takes that is being activated.
func (a *Artefact) ask(id canonical.ID) {
	if r := a.Vault.Disposal(id); r != nil {
		a.asked[id] = max(a.asked[id], r.Needed())
	}
}

// Asked returns how many approvals policy asked of a disposal when its keys were
// left out of an epoch; 0: they have not been. What policy asks later is not asked
// of it.
func (a *Artefact) Asked(id canonical.ID) int { return a.asked[id] }

// died records a death: whatever was prepared before it must not be activated.
func (a *Artefact) died(e *entry.Entry) {
	a.DiedAt = e.Position()
	for _, ep := range a.Epochs {
		ep.deathSinceIntent = true
	}
}

// counts reports whether an epoch activated now must carry v: live, or held.
func (a *Artefact) counts(v *CommittedVersion) bool {
	return v.State == Live || v.State == Executed && len(v.Holds) > 0 && a.deviate.on(RuleHoldLives)
}

// LiveSet returns the versions that an epoch activated now must carry, sorted by id.
func (a *Artefact) LiveSet() []*CommittedVersion {
	var out []*CommittedVersion
	for _, v := range a.Versions {
		if a.counts(v) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(x, y *CommittedVersion) int { return slices.Compare(x.VID[:], y.VID[:]) })
	return out
}

// Survivors binds LiveSet.
func (a *Artefact) Survivors() Survivors {
	live := a.LiveSet()
	ids := make([]canonical.ID, len(live))
	for i, v := range live {
		ids[i] = v.VID
	}
	return BindSurvivors(ids)
}

// BindSurvivors binds a set of version ids, which must be sorted: SHA-256 over
// their number (64 bit, big-endian) and the ids.
func BindSurvivors(ids []canonical.ID) Survivors {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(ids))))
	for _, id := range ids {
		h.Write(id[:])
	}
	return Survivors{Count: len(ids), Digest: canonical.Digest(h.Sum(nil))}
}

// Doomed returns the epochs whose keys must be destroyed before any version
// they carried can be called destroyed: every candidate that stands before the
// latest activation and is not current, unless that is on record already.
func (a *Artefact) Doomed() []*Epoch {
	var out []*Epoch
	for _, ep := range a.Epochs {
		if ep.superseded && !ep.KeysDestroyed {
			out = append(out, ep)
		}
	}
	return out
}

// applyDestroyed records keys that are gone. An entry may name keys alone, so
// that any number of them finds room; one that names versions must leave no
// doomed epoch behind.
func (a *Artefact) applyDestroyed(e *entry.Entry) error {
	b, err := decode[Destroyed](e)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, k := range b.Keys {
		ep := a.Epoch(k.EID)
		if ep == nil || ep.Candidate == nil || !ep.superseded || !slices.Contains(ep.Candidate.Keys, k.KeyRef) {
			return refuse(RuleTarget, "key %s of epoch %s is not a superseded one", k.Ref, k.EID)
		}
		if k.State != "destroyed" {
			return refuse(RuleEveryKey, "key %s is %s", k.Ref, k.State)
		}
		named[keyName(k.EID, k.KeyRef)] = true
	}
	var gone []*Epoch
	for _, ep := range a.Doomed() {
		n := 0
		for _, k := range ep.Candidate.Keys {
			if named[keyName(ep.EID, k)] {
				n++
			}
		}
		switch {
		case n == len(ep.Candidate.Keys), n > 0 && ep.Candidate.Mode == AllOf:
			gone = append(gone, ep)
		case len(b.Versions) > 0:
			return refuse(RuleEveryKey, "%d of %d keys of epoch %s are named", n, len(ep.Candidate.Keys), ep.EID)
		}
	}
	vs, err := a.named(b.Versions, Dropped)
	if err != nil {
		return err
	}
	for _, k := range b.Keys {
		if ep := a.Epoch(k.EID); !slices.Contains(ep.Destroyed, k) {
			ep.Destroyed = append(ep.Destroyed, k)
		}
	}
	for _, ep := range gone {
		ep.KeysDestroyed, ep.DestroyedAt = true, e.Position()
	}
	for _, v := range vs {
		v.State, v.DestroyedAt, v.DestroyedTime = Shredded, e.Position(), e.Time
	}
	return nil
}

// KeysOf returns, oldest epoch first, the keys whose destruction put an end to
// destroyed versions: those of every epoch from the oldest that any of them was
// pushed under to the newest that was gone when the last of them was.
func (a *Artefact) KeysOf(vs []*CommittedVersion) []DestroyedKey {
	out := []DestroyedKey{}
	first, last := len(a.Epochs), uint64(0)
	for _, v := range vs {
		first = min(first, slices.IndexFunc(a.Epochs, func(ep *Epoch) bool { return ep.EID == v.EID }))
		last = max(last, v.DestroyedAt.Seq)
	}
	for i, ep := range a.Epochs {
		if i >= first && ep.KeysDestroyed && ep.DestroyedAt.Seq <= last {
			out = append(out, ep.Destroyed...)
		}
	}
	return out
}

func keyName(eid canonical.ID, k KeyRef) string {
	return fmt.Sprintf("%s %s %s", eid, k.Instance, k.Ref)
}
