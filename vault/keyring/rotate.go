package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Rotation is what a rotation led to.
type Rotation struct {
	EID       canonical.ID // the current epoch now; zero if the artefact has ended
	At        entry.Position
	Survivors int
}

// Rotate makes a new epoch current, in the custody that the vault has now: steps
// 2 to 6 of the rotation (vault/FORMAT.md §6.4). It takes up whatever somebody
// else has begun, and an activation by somebody else meanwhile serves as well.
// Old keys stay: see Destroy.
//
// Errors: ErrIntegrity if the current epoch is damaged; ErrIncomplete, ErrEnded,
// ErrLapsed;
// state.ErrNotPermitted; those of the store and the keepers, after which Rotate
// may be called again.
func (r *Ring) Rotate(ctx context.Context, op canonical.ID) (Rotation, error) {
	a, err := r.refresh(ctx)
	if err != nil {
		return Rotation{}, err
	}
	if a.Generation() == nil {
		return Rotation{}, r.noEpoch(a)
	}
	from := a.ActivatedAt
	err = r.advance(ctx, op, a, func(a *state.Artefact) bool {
		return a.ActivatedAt != from && (a.Ended || r.inCustody(a.Current))
	})
	if err != nil {
		return Rotation{}, err
	}
	rot := Rotation{At: a.ActivatedAt, Survivors: a.Activated.Survivors.Count}
	if a.Current != nil {
		rot.EID = a.Current.EID
	}
	return rot, nil
}

// Drop rotates until no executed version is left that nothing holds, and ends
// the artefact if all of it was executed. It does nothing if nothing is due.
// Errors as of Rotate.
func (r *Ring) Drop(ctx context.Context, op canonical.ID) error {
	if _, err := r.refresh(ctx); err != nil {
		return err
	}
	return r.DropNow(ctx, op)
}

// DropNow is Drop for whoever has just read both journals, or appended to the
// artefact's: it goes on from there. What others have appended since costs it a
// lost slot and nothing else.
func (r *Ring) DropNow(ctx context.Context, op canonical.ID) error {
	return r.advance(ctx, op, r.Ledger.State(), func(a *state.Artefact) bool { return a.Ended || !due(a) })
}

// due reports whether a version waits to be dropped, or the artefact to end.
func due(a *state.Artefact) bool {
	live, undropped := len(a.LiveSet()), 0
	for _, v := range a.Versions {
		if v.State <= state.Executed {
			undropped++
		}
	}
	return undropped > live || a.Whole && live == 0
}

// rotation is one call that rotates.
type rotation struct {
	*Ring
	op    canonical.ID
	given map[canonical.ID]bool // candidates and intents given up by this call
	drawn map[canonical.ID]seal.Key
	old   []*state.CommittedVersion // only in a wrong variant: live before the intent
}

// advance goes on from a, a fold, until done, which it asks after every fold and
// every step.
func (r *Ring) advance(ctx context.Context, op canonical.ID, a *state.Artefact, done func(*state.Artefact) bool) error {
	rot := &rotation{Ring: r, op: op, given: map[canonical.ID]bool{}, drawn: map[canonical.ID]seal.Key{}}
	for attempt := 0; ; attempt++ {
		var err error
		if attempt > 0 && !done(a) {
			if a, err = r.fold(ctx); err != nil {
				return err
			}
		}
		if done(a) {
			return nil
		}
		if a.Ended {
			return ErrEnded
		}
		if l := a.Lapsed(r.Vault.State(), entry.At(r.Vault.Now())); l != nil {
			return fmt.Errorf("disposal %s, which the rotation would complete: %w: %s (rule %s); a custodian can cancel it, to the end", l.Disposal, ErrLapsed, l.Why, l.Rule)
		}
		err = rot.step(ctx, a)
		if err == nil {
			continue
		}
		if !outrun(err) {
			return err
		}
		if lost(err) {
			if err := journal.Pause(ctx, attempt); err != nil {
				return err
			}
		}
		// What the fold says may rest on a vault entry that this client has not read.
		if err := r.Vault.Refresh(ctx); err != nil {
			return err
		}
	}
}

// outrun reports whether the journal has moved on under a step, or an epoch
// turned out unusable: fold and choose again.
func outrun(err error) bool {
	var void *state.Void
	if errors.As(err, &void) {
		return slices.Contains([]state.Rule{state.RuleCustody, state.RuleIntentFresh, state.RuleFirst, state.RuleActivateFresh,
			state.RuleSurvivors, state.RuleTarget, state.RuleEnded}, void.Rule)
	}
	return lost(err) || errors.Is(err, errAbandoned)
}

// step chooses what to go on with: a candidate whose seed is stored, an intent
// that awaits its candidate, or a new intent. What was begun in another custody
// is left to be superseded.
func (rot *rotation) step(ctx context.Context, a *state.Artefact) error {
	if a.Whole && len(a.LiveSet()) == 0 {
		return rot.append(ctx, state.KindActivate, state.Activate{None: true, Survivors: a.Survivors()})
	}
	for _, ep := range slices.Backward(a.Epochs) {
		if !rot.given[ep.EID] && ep != a.Current && rot.openFor(a, ep) && rot.inCustody(ep) {
			err := rot.resume(ctx, a, ep)
			if !errors.Is(err, errAbandoned) {
				return err
			}
			rot.given[ep.EID] = true
		}
	}
	for _, ep := range slices.Backward(a.Epochs) {
		if !rot.given[ep.EID] && rot.awaits(a, ep) {
			return rot.propose(ctx, a, ep, false)
		}
	}
	eid := canonical.NewID()
	if rot.variant.oldFold && rot.old == nil {
		rot.old = a.LiveSet()
	}
	if err := rot.append(ctx, state.KindIntent, state.Intent{EID: eid, Label: state.EpochLabel(a.Vault.Genesis, a.ID, eid), Custody: rot.Vault.State().Custody}); err != nil {
		return err
	}
	return rot.propose(ctx, a, a.Epoch(eid), true)
}

func (rot *rotation) append(ctx context.Context, kind string, body any) error {
	return rot.Ledger.Append(ctx, kind, body, rot.op)
}

// openFor reports whether a candidate may still become current: step 4.
func (r *Ring) openFor(a *state.Artefact, ep *state.Epoch) bool {
	if f := r.variant.openFor; f != nil {
		return f(a, ep)
	}
	return ep.CanActivate()
}

// awaits reports whether an intent may still get its candidate, and the
// candidate become current.
func (r *Ring) awaits(a *state.Artefact, ep *state.Epoch) bool {
	if f := r.variant.awaits; f != nil {
		return f(a, ep)
	}
	return ep.AwaitsCandidate() && !ep.DeathSinceIntent() && r.inCustody(ep)
}

// inCustody reports whether an epoch has the custody of the vault as it is now.
func (r *Ring) inCustody(ep *state.Epoch) bool {
	c := r.Vault.State().Custody
	return ep.Custody.Mode == c.Mode && slices.Equal(ep.Custody.Keepers, c.Keepers)
}

// propose takes an intent to its candidate: the rest of step 2. Of one that is new,
// its own, nobody else has made a candidate unless the slot is lost.
func (rot *rotation) propose(ctx context.Context, a *state.Artefact, ep *state.Epoch, isNew bool) error {
	giveUp := func(err error) error {
		rot.given[ep.EID] = true
		return fmt.Errorf("%w: %w", errAbandoned, err)
	}
	key := rot.drawn[ep.EID]
	if key == nil {
		var err error
		if key, err = rot.cipher().Generate(); err != nil {
			return fmt.Errorf("drawing an epoch identity: %w", err)
		}
		rot.drawn[ep.EID] = key
	}
	c := state.Candidate{EID: ep.EID, Mode: ep.Custody.Mode, Recipient: key.Recipient()}
	for _, pinned := range ep.Custody.Keepers {
		k, err := rot.keeper(pinned.Instance)
		if err != nil {
			return err
		}
		ref, err := k.Create(ctx, ep.Label)
		if errors.Is(err, custody.ErrDestroyed) {
			return giveUp(err)
		}
		if err != nil {
			return &KeeperError{pinned.Instance, fmt.Errorf("creating the key of epoch %s at keeper %s: %w", ep.EID, pinned.Instance, err)}
		}
		c.Keys = append(c.Keys, state.KeyRef{Instance: pinned.Instance, Ref: string(ref)})
	}
	if !isNew {
		var err error
		if a, err = rot.fold(ctx); err != nil {
			return err
		}
		if !rot.awaits(a, ep) {
			return errAbandoned // for now: a candidate that stands is taken up if its seed is there
		}
	}
	d := &draft{ep: ep, recipient: c.Recipient, key: key}
	if rot.variant.lateCandidate {
		if err := errors.Join(rot.putSeed(ctx, a, ep.EID, c.Mode, c.Keys, key), rot.extend(ctx, a, d, a.LiveSet())); err != nil {
			return err
		}
	}
	if err := rot.append(ctx, state.KindCandidate, c); err != nil {
		return err
	}
	if !rot.variant.lateCandidate {
		if err := rot.putSeed(ctx, a, ep.EID, c.Mode, c.Keys, key); err != nil {
			return err
		}
	}
	if err := rot.extend(ctx, a, d, rot.old); err != nil {
		return err
	}
	return rot.complete(ctx, d)
}

// resume takes up a candidate that stands and whose seed is stored. Whoever drew
// a seed puts it once, right after the candidate; one that was not put is lost.
func (rot *rotation) resume(ctx context.Context, a *state.Artefact, ep *state.Epoch) error {
	s, _, err := rot.getSeed(ctx, ep)
	if err != nil {
		return unusable(err)
	}
	key, err := rot.unwrap(ctx, a, ep, s, true)
	if err != nil {
		return unusable(err)
	}
	return rot.complete(ctx, &draft{ep: ep, recipient: ep.Candidate.Recipient, key: key})
}

// unusable turns errors that show that a candidate's seed is spoilt, or its key
// gone, into errAbandoned.
func unusable(err error) error {
	if errors.Is(err, ErrIntegrity) || isDestroyed(err) {
		return fmt.Errorf("%w: %w", errAbandoned, err)
	}
	return err
}

func isDestroyed(err error) bool { return errors.Is(err, custody.ErrDestroyed) }

// maxRedrafts bounds how often tables that do not read back are written again.
const maxRedrafts = 3

// complete takes a candidate whose seed is stored through steps 3 to 6.
func (rot *rotation) complete(ctx context.Context, d *draft) error {
	redrafts := 0
	for attempt := 0; ; attempt++ {
		a, err := rot.fold(ctx)
		if err != nil {
			return err
		}
		if d.ep.Activated {
			return nil
		}
		if !rot.openFor(a, d.ep) {
			return errAbandoned
		}
		again, err := rot.prepare(ctx, a, d)
		if err == nil && again {
			continue
		}
		if err == nil {
			if err = rot.append(ctx, state.KindActivate, state.Activate{EID: d.ep.EID, GID: d.generation(), Seed: d.seed, Index: *d.index, Survivors: a.Survivors()}); !lost(err) {
				return err
			}
			err = journal.Pause(ctx, attempt)
		}
		switch {
		case err == nil:
		case errors.Is(err, errAbandoned), !errors.Is(err, ErrIntegrity) && !isDestroyed(err):
			return err
		default:
			// The current epoch may have been superseded and destroyed while its rows were read.
			if _, foldErr := rot.fold(ctx); foldErr != nil {
				return foldErr
			}
			if !rot.openFor(a, d.ep) {
				return errAbandoned
			}
			if redrafts++; redrafts > maxRedrafts {
				return err
			}
			*d = draft{ep: d.ep, recipient: d.recipient, key: d.key}
		}
	}
}

// prepare brings the draft to what the fold asks for. It returns true if it
// wrote anything, for then the head must be read again, and otherwise once the
// draft was read back.
func (rot *rotation) prepare(ctx context.Context, a *state.Artefact, d *draft) (again bool, err error) {
	missing, stray := d.fits(a.LiveSet())
	if stray {
		*d = draft{ep: d.ep, recipient: d.recipient, key: d.key}
		missing = a.LiveSet()
	}
	if len(missing) == 0 && d.index != nil {
		if d.checked {
			return false, nil
		}
		if rot.variant.noReadBack {
			_, d.seed, err = rot.getSeed(ctx, d.ep)
			return false, err
		}
		return false, rot.readBack(ctx, a, d)
	}
	if f := rot.variant.more; f != nil {
		if err := f(rot.Ring, a, d.ep); err != nil {
			return false, err
		}
	}
	survivors := a.Survivors()
	if err := rot.extend(ctx, a, d, missing); err != nil {
		return false, err
	}
	return true, rot.putIndex(ctx, d, survivors)
}
