package disposal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/state"
)

// Outcome is what a run led to. Phase and Certificate say what stands, whoever
// made it so.
type Outcome struct {
	ID          canonical.ID
	Phase       Phase
	Changed     bool
	Pending     []keyring.PendingKey // keys that the keepers delay, and keepers that are waited for
	Retained    []state.Retained     // objects that a lock or a soft delete keeps
	Certificate *Certificate         // nil: not certified yet

	reports []Report // of attacks made meanwhile
}

// Until returns the latest date that a key waits for; zero: none, or unknown.
func (o *Outcome) Until() time.Time { return (&keyring.PendingError{Keys: o.Pending}).Until() }

// Run takes an approved disposal that is due as far as it goes: it disables,
// rotates, destroys keys, purges, attacks and certifies. It may be called again
// after any error, by anyone with the right, also at once with others: what
// stands is not done twice.
//
// Errors: ErrRefused, *UndecidedError and a *state.Void: nothing was begun that
// is not allowed, or a hold keeps what is disabled. ErrClock. ErrInconclusive and ErrFailed after the attack. Those
// of the store and the keepers. Keys that keepers delay are no error: see
// Outcome.
func (d *Desk) Run(ctx context.Context, id canonical.ID) (*Outcome, error) {
	s, err := d.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &Outcome{ID: id, Phase: s.Phase}
	switch s.Phase {
	case Cancelled:
		return out, fmt.Errorf("disposal %s was cancelled: %w", id, ErrRefused)
	case Requested, Approved, Disabled:
		if err := d.mayBegin(ctx, s); err != nil {
			return out, errors.Join(err, d.tidy(ctx))
		}
	}
	for _, a := range s.Artefacts {
		if err := d.shred(ctx, s, a.ID, out); err != nil {
			return out, errors.Join(err, d.tidy(ctx))
		}
	}
	if err := d.tidy(ctx); err != nil {
		return out, err
	}
	// Everything is unreadable, or waits for a keeper, before the first byte is erased.
	if len(out.Pending) > 0 {
		out.Phase = Pending
		return out, nil
	}
	for _, a := range s.Artefacts {
		if err := d.purge(ctx, a.ID, out); err != nil {
			return out, err
		}
	}
	if s, err = d.Status(ctx, id); err != nil {
		return out, err
	}
	if err := s.undestroyed(); err != nil {
		out.Phase = s.Phase
		return out, err
	}
	if err := d.verify(ctx, id, out, false); err != nil {
		return out, err
	}
	out.Certificate, err = d.certify(ctx, id, out)
	if err != nil {
		return out, err
	}
	if s, err = d.Status(ctx, id); err == nil {
		out.Phase = s.Phase
	}
	return out, err
}

// mayBegin holds what is not executed yet against approval, date, clock, holds,
// retention and interlocks.
func (d *Desk) mayBegin(ctx context.Context, s *Status) error {
	if ok, missing := s.Approved(); !ok {
		return fmt.Errorf("disposal %s: %s (rule %s): %w", s.ID, missing, state.RuleApproved, ErrRefused)
	}
	now := entry.At(d.Vault.Now())
	if now.Before(s.Due.Time) {
		return fmt.Errorf("disposal %s is due on %s (rule %s): %w", s.ID, s.Due, state.RuleDue, ErrRefused)
	}
	if err := d.checkClock(ctx); err != nil {
		return err
	}
	plan, err := d.plan(ctx, s.Request)
	if err != nil {
		return err
	}
	var own []*state.Artefact
	for _, at := range s.Artefacts {
		own = append(own, d.ring(at.ID).Ledger.State())
	}
	family, err := d.readFamily(ctx, own...)
	if err != nil {
		return err
	}
	for _, at := range s.Artefacts {
		a := d.ring(at.ID).Ledger.State()
		var dies []*state.CommittedVersion
		for _, v := range at.Versions {
			switch {
			case v.State != state.Live:
				continue
			case len(v.Holds) > 0:
				h := v.Holds[0]
				return fmt.Errorf("%s is held by %s since %s: %s (rule %s, hold %s): %w", v.Ref(a.Name), h.By, h.Time, h.Reason, state.RuleHeld, h.ID, ErrRefused)
			}
			if until := s.KeptUntil(v.Kind, v.Time); now.Before(until.Time) {
				return fmt.Errorf("%s is kept until %s by policy's minimum retention of %s (rule %s): %w", v.Ref(a.Name), until, state.ClassOf(v.Kind), state.RuleRetained, ErrRefused)
			}
			if !planned(plan, a.ID, v.VID) {
				return fmt.Errorf("%s was pushed after disposal %s was planned, and would die with it: request and approve anew: %w", v.Ref(a.Name), s.ID, ErrRefused)
			}
			dies = append(dies, v)
		}
		f := facts{artefact: a, dies: dies, vault: d.Vault.State(), at: now}
		if err := f.look(family, plan.doomed()); err != nil {
			return err
		}
		if err := stillDecided(f, plan.Decisions); err != nil {
			return fmt.Errorf("disposal %s, since it was planned: %w", s.ID, err)
		}
	}
	return nil
}

// undestroyed says why a disposal of which no key is left to destroy is not over:
// an attack now would prove nothing about what lives on.
func (s *Status) undestroyed() error {
	if s.Phase == Failed || slices.Index(order, s.Phase) >= slices.Index(order, Destroyed) {
		return nil
	}
	for _, at := range s.Artefacts {
		for _, v := range at.Versions {
			if len(v.Holds) > 0 && v.State == state.Executed {
				h := v.Holds[0]
				return fmt.Errorf("%s is held by %s since %s, after it was disabled: %s (rule %s, hold %s): %w", v.Ref(at.Name), h.By, h.Time, h.Reason, state.RuleHeld, h.ID, ErrRefused)
			}
		}
	}
	return fmt.Errorf("disposal %s is %s: somebody has taken part of it back meanwhile: %w", s.ID, s.Phase, ErrRefused)
}

// planned reports whether a plan says that a version dies.
func planned(p *Plan, aid canonical.Digest, vid canonical.ID) bool {
	for _, a := range p.Artefacts {
		if a.ID == aid && slices.ContainsFunc(a.Dies, func(v PlanVersion) bool { return v.VID == vid }) {
			return true
		}
	}
	return false
}

// checkClock compares this machine's clock with the storage's, by an object that
// is put for it; tidy erases that once there is time.
func (d *Desk) checkClock(ctx context.Context) error {
	key := "probe/" + canonical.NewID().String() + "/clock"
	d.litter = append(d.litter, key)
	before := d.Vault.Now()
	info, err := d.Store.Put(ctx, key, []byte("clock"))
	if err == nil && info.Modified.IsZero() {
		var r interface{ Close() error }
		if r, info, err = d.Store.Get(ctx, refOf(key), 0, 0); err == nil {
			err = r.Close()
		}
	}
	after := d.Vault.Now()
	if err != nil {
		return fmt.Errorf("asking the storage for the time: %w", err)
	}
	if info.Modified.Before(before.Add(-MaxSkew)) || info.Modified.After(after.Add(MaxSkew)) {
		return fmt.Errorf("%w: it is %s here and %s there; nothing is destroyed by either", ErrClock, after.UTC().Format(time.RFC3339), info.Modified.UTC().Format(time.RFC3339))
	}
	return nil
}

// tidy erases what a run has put for itself.
func (d *Desk) tidy(ctx context.Context) error {
	if len(d.litter) == 0 {
		return nil
	}
	_, err := d.Store.Erase(ctx, d.litter...)
	if err == nil {
		d.litter = nil
	}
	return err
}

// shred makes what the disposal covers in one artefact unreadable. No work here
// is in proportion to the bytes that die.
func (d *Desk) shred(ctx context.Context, s *Status, aid canonical.Digest, out *Outcome) error {
	ring := d.ring(aid)
	if err := d.execute(ctx, s, aid, out); err != nil {
		return err
	}
	a := ring.Ledger.State()
	at := a.Head
	if err := ring.DropNow(ctx, s.ID); err != nil {
		return d.waits(out, fmt.Errorf("rotating the keys of %s: %w", a.Name, err))
	}
	_, err := ring.Destroy(ctx, s.ID)
	out.Changed = out.Changed || a.Head != at
	var pending *keyring.PendingError
	if errors.As(err, &pending) {
		out.Pending = append(out.Pending, pending.Keys...)
		return nil
	}
	if err != nil {
		return d.waits(out, fmt.Errorf("destroying superseded keys of %s: %w", a.Name, err))
	}
	return nil
}

// waits notes an error of one keeper among several as what the disposal waits
// for; it returns any other.
func (d *Desk) waits(out *Outcome, err error) error {
	var of *keyring.KeeperError
	away := errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrDenied) || errors.Is(err, custody.ErrRateLimited)
	if !away || !errors.As(err, &of) {
		return err
	}
	for instance := range d.Keepers {
		if instance != of.Instance {
			out.Pending = append(out.Pending, keyring.PendingKey{Key: state.KeyRef{Instance: of.Instance}, Why: err.Error()})
			return nil
		}
	}
	return err
}

// execute disables what is still live in the scope.
func (d *Desk) execute(ctx context.Context, s *Status, aid canonical.Digest, out *Outcome) error {
	i := slices.IndexFunc(s.Scope, func(x state.DisposalScope) bool { return x.Artefact == aid })
	for attempt := 0; ; attempt++ {
		// The status was taken from this fold; if the journal has moved on since, the
		// slot is lost.
		a := d.ring(aid).Ledger.State()
		if attempt > 0 {
			var err error
			if a, err = d.fold(ctx, aid); err != nil {
				return err
			}
		}
		body := state.Execute{Disposal: s.ID, Whole: s.Scope[i].Whole}
		for _, v := range inScope(a, s.Request, s.Scope[i]) {
			if v.State == state.Live && !body.Whole {
				body.Versions = append(body.Versions, v.VID)
			}
		}
		if body.Whole && (a.Whole || a.Ended) || !body.Whole && len(body.Versions) == 0 {
			return nil
		}
		err := d.ring(aid).Ledger.Append(ctx, state.KindExecute, body, s.ID)
		if err == nil {
			out.Changed = true
			return nil
		}
		if !errors.Is(err, journal.ErrLost) {
			return fmt.Errorf("disabling versions of %s: %w", a.Name, err)
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return err
		}
	}
}

func (d *Desk) purge(ctx context.Context, aid canonical.Digest, out *Outcome) error {
	ring := d.ring(aid)
	done, err := ring.Purge(ctx, out.ID)
	if err != nil {
		return fmt.Errorf("purging %s: %w", ring.Ledger.State().Name, err)
	}
	out.Changed = out.Changed || len(done.Versions) > 0
	for _, v := range ring.Ledger.State().Versions {
		for _, x := range v.Retained {
			if !slices.Contains(out.Retained, x) {
				out.Retained = append(out.Retained, x)
			}
		}
	}
	return nil
}
