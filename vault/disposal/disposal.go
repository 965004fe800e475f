// Package disposal takes versions, and whole artefacts, to the end of their
// lives: it plans what dies and what survives, holds a disposal to its interlocks,
// executes it through the rotation of package keyring, purges, attacks the
// result, and certifies it (vault/FORMAT.md §8).
//
// The state of a disposal is a fold over journals, like everything else: every
// step is an entry, any step may be the last of whoever makes it, and whoever has
// the right goes on from there. Nothing here opens a version: whoever disposes
// need not be able to read.
package disposal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

var (
	// ErrUnknown means that there is no such disposal, artefact or version.
	ErrUnknown = errors.New("not found")
	// ErrRefused means that a rule, hold, retention or approval forbids it now.
	ErrRefused = errors.New("refused")
	// ErrClock means that this machine and the storage disagree about the time.
	ErrClock = errors.New("the clocks of this machine and of the storage disagree")
	// ErrFailed means that something that was destroyed opened.
	ErrFailed = errors.New("the disposal has failed: what was destroyed can be opened")
	// ErrInconclusive means that it could not be shown that nothing opens.
	ErrInconclusive = errors.New("it could not be shown that the keys are gone: no certificate")
)

// MaxSkew is how far the clocks of a machine and of the storage may be apart for
// anything to be destroyed by either.
const MaxSkew = 5 * time.Minute

// Desk works on the disposals of one vault. Its methods must not be called
// concurrently; any number of Desks, in as many processes, may work on one vault.
type Desk struct {
	Vault *ledger.Vault
	// Store is the storage itself, without a cache before it.
	Store   backends.Store
	Keepers map[string]custody.Keeper // that this machine reaches; may be nil where nothing is run
	// Unreached says why keepers are missing there; nil: this machine is not told of them.
	Unreached error
	// Warn is told of a keeper that did not do its part where another could; nil: nobody is.
	Warn func(error)
	Jobs int    // concurrent requests; 0: a default
	Tool string // name and version of this program, for certificates
	// Artefacts lists the artefacts of the vault; nil: those that Store lists.
	Artefacts func(ctx context.Context) ([]canonical.Digest, error)
	// Proof proves that journals stand in the newest cosigned checkpoint; nil
	// where nobody asks, and nil is what it returns if there is none.
	Proof func(ctx context.Context, artefacts []canonical.Digest) (*checkpoint.Proof, error)

	rings  map[canonical.Digest]*keyring.Ring
	litter []string // keys of objects that a run has put for itself
}

// Phase is how far a disposal has come, in one artefact or in all of them.
type Phase string

// The phases, in order.
const (
	Requested Phase = "requested"
	Approved  Phase = "approved"
	Disabled  Phase = "disabled"  // refused to readers; still cancellable
	Pending   Phase = "pending"   // no epoch carries it; keeper keys are not all gone yet
	Destroyed Phase = "destroyed" // every key that opened it is gone
	Purged    Phase = "purged"
	Verified  Phase = "verified" // attacked, and certified
	Accepted  Phase = "accepted"
	Cancelled Phase = "cancelled"
	Failed    Phase = "failed" // attacked, and something opened
)

var order = []Phase{Requested, Approved, Disabled, Pending, Destroyed, Purged, Verified, Accepted}

// Status is where a disposal stands.
type Status struct {
	*state.Request
	Phase     Phase
	Due       entry.Time
	Missing   string // what it waits for of people, in words: approvals, or the rest of a cancel
	Artefacts []ArtefactStatus
}

// ArtefactStatus is where a disposal stands in one artefact.
type ArtefactStatus struct {
	ID       canonical.Digest
	Name     string
	Whole    bool
	Versions []*state.CommittedVersion // in scope, in order of numbers
	Held     []*state.PlacedHold       // that keep any of them
	Phase    Phase
	Attack   *state.Attack // the newest outcome; nil: none
}

// ring returns the keys of an artefact.
func (d *Desk) ring(id canonical.Digest) *keyring.Ring {
	if r := d.rings[id]; r != nil {
		return r
	}
	if d.rings == nil {
		d.rings = map[canonical.Digest]*keyring.Ring{}
	}
	r := &keyring.Ring{Ledger: d.Vault.Artefact(id), Vault: d.Vault, Store: d.Store, Keepers: d.Keepers, Unreached: d.Unreached, Warn: d.Warn, Jobs: d.Jobs}
	d.rings[id] = r
	return r
}

// fold brings an artefact up to date.
func (d *Desk) fold(ctx context.Context, id canonical.Digest) (*state.Artefact, error) {
	a, err := d.ring(id).Ledger.Fold(ctx)
	if err == nil && a.Name == "" || errors.Is(err, journal.ErrEmpty) && !errors.Is(err, journal.ErrRolledBack) {
		return nil, fmt.Errorf("artefact %s: %w", id, ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal of artefact %s: %w", id, err)
	}
	return a, nil
}

// request returns a disposal by id.
func (d *Desk) request(id canonical.ID) (*state.Request, error) {
	if r := d.Vault.State().Disposal(id); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("disposal %s: %w", id, ErrUnknown)
}

// Status tells where a disposal stands. The journals of its artefacts are read anew.
func (d *Desk) Status(ctx context.Context, id canonical.ID) (*Status, error) {
	if err := d.Vault.Refresh(ctx); err != nil {
		return nil, err
	}
	r, err := d.request(id)
	if err != nil {
		return nil, err
	}
	s := &Status{Request: r, Due: r.Due()}
	for _, scope := range r.Scope {
		a, err := d.fold(ctx, scope.Artefact)
		if err != nil {
			return nil, err
		}
		s.Artefacts = append(s.Artefacts, artefactStatus(a, r, scope))
	}
	approved, missing := r.Approved()
	s.Missing = missing
	s.Phase = overall(s.Artefacts)
	switch begun := slices.Index(order, s.Phase) >= slices.Index(order, Disabled) || s.Phase == Failed; {
	case r.Cancelled && !begun:
		s.Phase = Cancelled
	case r.Cancelled && s.Phase == Disabled:
		s.Missing = "it was cancelled, and is disabled still: who cancels it once more takes it back"
	case begun && r.Accepted != "" && s.Phase == Verified:
		s.Phase = Accepted
	case begun:
	case approved:
		s.Phase = Approved
	default:
		s.Phase = Requested
	}
	return s, nil
}

// overall is the phase of the artefact that has come least far; a failure shows
// through.
func overall(list []ArtefactStatus) Phase {
	least := len(order)
	for _, a := range list {
		if a.Phase == Failed {
			return Failed
		}
		least = min(least, slices.Index(order, a.Phase))
	}
	if least == len(order) {
		return Requested
	}
	return order[least]
}

func artefactStatus(a *state.Artefact, r *state.Request, scope state.DisposalScope) ArtefactStatus {
	s := ArtefactStatus{ID: a.ID, Name: a.Name, Whole: scope.Whole, Versions: inScope(a, r, scope), Attack: a.Attacked(r.ID)}
	least := Purged
	for _, v := range s.Versions {
		p := phaseOf(v, r.ID)
		if slices.Index(order, p) < slices.Index(order, least) {
			least = p
		}
		for _, h := range v.Holds {
			if !slices.Contains(s.Held, h) {
				s.Held = append(s.Held, h)
			}
		}
	}
	if s.Whole && !a.Ended {
		least = Requested
		if a.Whole {
			least = Disabled
		}
	}
	s.Phase = least
	if least == Purged && s.Attack != nil {
		switch s.Attack.Result {
		case keyring.ResultVerified:
			s.Phase = Verified
		case keyring.ResultFailed:
			s.Phase = Failed
		}
	}
	return s
}

func phaseOf(v *state.CommittedVersion, id canonical.ID) Phase {
	switch {
	case v.State == state.Executed && v.Disposal == id:
		return Disabled
	case v.State == state.Dropped:
		return Pending
	case v.State == state.Shredded:
		return Destroyed
	case v.State == state.Erased:
		return Purged
	}
	return Requested
}

// inScope returns the versions of an artefact that a disposal is about: those it
// names, or, of a whole artefact, all that lived when it was executed, or live.
func inScope(a *state.Artefact, r *state.Request, scope state.DisposalScope) []*state.CommittedVersion {
	var out []*state.CommittedVersion
	for _, v := range a.Versions {
		if slices.Contains(scope.Versions, v.VID) || scope.Whole && (v.Disposal == r.ID || v.State == state.Live) {
			out = append(out, v)
		}
	}
	return out
}

// Requests returns all disposals, oldest first.
func (d *Desk) Requests(ctx context.Context) ([]*state.Request, error) {
	if err := d.Vault.Refresh(ctx); err != nil {
		return nil, err
	}
	return d.Vault.State().Disposals(), nil
}
