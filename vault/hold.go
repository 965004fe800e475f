package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// HoldInfo is a hold, and what it keeps.
type HoldInfo struct {
	ID       canonical.ID
	Artefact string
	Versions []int // numbers; none: the artefact, versions to come included
	Reason   string
	By       string
	Time     time.Time
	Review   time.Time // zero: none
	Head     ledger.Pin
}

// PlaceHold freezes a version, or with a reference that names none the whole
// artefact, against disposal: no execution counts, no key is destroyed, nothing
// is purged or collected of what it covers. review is a date to look at it
// again; it ends nothing.
//
// Errors: ErrNotFound; ErrNotPermitted; ErrDestroyed where no hold helps any more.
func (v *Vault) PlaceHold(ctx context.Context, ref Ref, reason string, review time.Time) (*HoldInfo, error) {
	body := state.Hold{ID: canonical.NewID(), Reason: reason}
	if !review.IsZero() {
		body.Review = entry.At(review)
	}
	info := &HoldInfo{ID: body.ID, Artefact: ref.Artefact, Reason: reason, Review: review}
	err := v.appendTo(ctx, ref.Artefact, state.KindHold, func(a *state.Artefact) (any, error) {
		if a.Ended {
			return nil, fmt.Errorf("%s: it was destroyed as a whole: %w", a.Name, ErrDestroyed)
		}
		if ref == (Ref{Artefact: ref.Artefact}) {
			return body, nil
		}
		cv, err := find(a, ref)
		if err != nil {
			return nil, err
		}
		if cv.State > state.Executed {
			return nil, fmt.Errorf("%s was destroyed by disposal %s, and no hold helps any more: %w", cv.Ref(a.Name), cv.Disposal, ErrDestroyed)
		}
		body.Versions, info.Versions = []canonical.ID{cv.VID}, []int{cv.Number}
		return body, nil
	}, func(a *state.Artefact) {
		info.Time, info.Head = a.Time.Time, pinOf(a)
	})
	if err != nil {
		return nil, err
	}
	if self := v.Self(); self != nil {
		info.By = self.Name
	}
	return info, nil
}

// ReleaseHold ends a hold that somebody else has placed. Errors: ErrNotFound;
// ErrRefused for one's own.
func (v *Vault) ReleaseHold(ctx context.Context, id canonical.ID, reason string) (*HoldInfo, error) {
	holds, err := v.Holds(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range holds {
		if h.ID != id {
			continue
		}
		if self := v.Self(); self != nil && self.Name == h.By {
			return nil, fmt.Errorf("hold %s on %s: %s has placed it, and somebody else must release it (rule %s): %w", id, h.Artefact, h.By, state.RuleSecondPerson, ErrRefused)
		}
		err := v.appendTo(ctx, h.Artefact, state.KindRelease, func(*state.Artefact) (any, error) {
			return state.Release{ID: id, Reason: reason}, nil
		}, func(a *state.Artefact) { h.Head = pinOf(a) })
		if err != nil {
			return nil, fmt.Errorf("hold %s on %s: %w", id, h.Artefact, err)
		}
		return &h, nil
	}
	return nil, fmt.Errorf("no hold %s is in force (what a quarantine holds, its end releases): %w", id, ErrNotFound)
}

// Holds returns the holds in force, by artefact, oldest first.
func (v *Vault) Holds(ctx context.Context) ([]HoldInfo, error) {
	var out []HoldInfo
	err := v.eachArtefact(ctx, func(_ *ledger.Artefact, a *state.Artefact) error {
		for _, h := range a.Held() {
			info := HoldInfo{ID: h.ID, Artefact: a.Name, Reason: h.Reason, By: h.By, Time: h.Time.Time, Review: h.Review.Time, Head: pinOf(a)}
			for _, vid := range h.Versions {
				if cv := a.Version(vid); cv != nil {
					info.Versions = append(info.Versions, cv.Number)
				}
			}
			out = append(out, info)
		}
		return nil
	})
	return out, err
}

// foldTo folds an artefact to which this member is about to write an entry of a
// kind. Errors: those of fold; ErrNotPermitted.
func (v *Vault) foldTo(ctx context.Context, name, kind string) (*ledger.Artefact, *state.Artefact, error) {
	l, a, err := v.fold(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if err := v.State().May(v.session.Author(), kind, a.Name, v.session.Time()); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	return l, a, nil
}

// appendTo appends an entry to the journal of an artefact: what body makes of
// the fold, again after every lost slot; nothing where that is nil. It is asked
// only if this member may. done sees the fold with the entry.
func (v *Vault) appendTo(ctx context.Context, name, kind string, body func(*state.Artefact) (any, error), done func(*state.Artefact)) error {
	op := canonical.NewID()
	for attempt := 0; ; attempt++ {
		l, a, err := v.foldTo(ctx, name, kind)
		if err != nil {
			return err
		}
		b, err := body(a)
		if err != nil {
			return err
		}
		if b != nil {
			err = l.Append(ctx, kind, b, op)
		}
		if err == nil {
			done(l.State())
			return nil
		}
		if !errors.Is(err, errLost) {
			return refusedBy(err)
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// refusedBy gives an entry that does not count its name here: ErrRefused, with
// the rule.
func refusedBy(err error) error {
	var void *state.Void
	if errors.As(err, &void) {
		return fmt.Errorf("%w: %s (rule %s)", ErrRefused, void.Why, void.Rule)
	}
	return err
}
