package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Destruction is what Destroy recorded in the journal.
type Destruction struct {
	Versions []canonical.ID // that no living key opens any more
	Keys     []state.DestroyedKey
}

// PendingKey is a keeper key that is not gone yet.
type PendingKey struct {
	EID   canonical.ID // zero: those of several epochs, perhaps
	Key   state.KeyRef // without a Ref: whatever this keeper has to do
	Until time.Time    // zero: unknown
	Why   string       // the keeper's evidence, where it cannot tell a date
}

// PendingError says which keys Destroy waits for.
type PendingError struct{ Keys []PendingKey }

func (e *PendingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d keys are pending destruction", len(e.Keys))
	for _, k := range e.Keys {
		until := "for a date that the keeper does not tell"
		if !k.Until.IsZero() {
			until = "until " + k.Until.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "; %s at keeper %s %s", k.Key.Ref, k.Key.Instance, until)
	}
	return b.String()
}

// Until returns the latest date; zero if one of them is unknown.
func (e *PendingError) Until() time.Time {
	var last time.Time
	for _, k := range e.Keys {
		if k.Until.IsZero() {
			return time.Time{}
		}
		if k.Until.After(last) {
			last = k.Until
		}
	}
	return last
}

// Destroy destroys every keeper key that can never be current again, whatever
// superseded it, and records it: steps 7 and 8 of a rotation (vault/FORMAT.md
// §6.4). While any of them still lives it first repeats the read-back of the
// current epoch itself, whoever activated that.
//
// Errors: ErrIntegrity, and nothing was destroyed by this call; *PendingError if
// keys wait, after which Destroy is to be called again; state.ErrNotPermitted;
// those of the store and the keepers.
func (r *Ring) Destroy(ctx context.Context, op canonical.ID) (*Destruction, error) {
	out := &Destruction{}
	a, err := r.refresh(ctx)
	if err != nil {
		return nil, err
	}
	for attempt := 0; ; attempt++ {
		doomed, dropped := r.doomed(a), inState(a, state.Dropped)
		if len(doomed) == 0 && len(dropped) == 0 {
			return out, nil
		}
		alive, err := r.living(ctx, doomed)
		if err != nil {
			return nil, err
		}
		if alive && !r.variant.noRecheck {
			current := a.ActivatedAt
			if bad := r.recheck(ctx, a); bad != nil {
				if a, err = r.fold(ctx); err != nil {
					return nil, err
				}
				if a.ActivatedAt == current {
					return nil, bad
				}
				continue // it was superseded, and may be destroyed by now
			}
		}
		keys, err := r.destroyKeys(ctx, doomed, out)
		if err != nil {
			return nil, err
		}
		if a, err = r.fold(ctx); err != nil {
			return nil, err
		}
		if !slices.Equal(doomed, r.doomed(a)) {
			continue // another activation stands: its predecessor is doomed too
		}
		err = r.record(ctx, a, keys, dropped, op, out)
		if err == nil {
			return out, nil
		}
		if !lost(err) {
			return nil, err
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return nil, err
		}
		if a, err = r.fold(ctx); err != nil {
			return nil, err
		}
	}
}

func (r *Ring) doomed(a *state.Artefact) []*state.Epoch {
	if f := r.variant.doomed; f != nil {
		return f(a)
	}
	return a.Doomed()
}

func inState(a *state.Artefact, s state.VersionState) []canonical.ID {
	var out []canonical.ID
	for _, v := range a.Versions {
		if v.State == s {
			out = append(out, v.VID)
		}
	}
	return out
}

// living reports whether a doomed key may still open something, after making
// sure that each is the key of its epoch and of nothing else.
func (r *Ring) living(ctx context.Context, doomed []*state.Epoch) (bool, error) {
	alive := false
	for _, ep := range doomed {
		var failed []error
		for _, ref := range ep.Candidate.Keys {
			lives, err := r.lives(ctx, ep, ref)
			if errors.Is(err, ErrIntegrity) {
				return false, err
			}
			if err != nil {
				failed = append(failed, err)
			}
			alive = alive || lives
		}
		// Of shares one is enough to destroy.
		if len(failed) > 0 && (ep.Candidate.Mode == state.AnyOf || len(failed) == len(ep.Candidate.Keys)) {
			return false, errors.Join(failed...)
		}
	}
	return alive, nil
}

func (r *Ring) lives(ctx context.Context, ep *state.Epoch, ref state.KeyRef) (bool, error) {
	k, err := r.keeper(ref.Instance)
	if err != nil {
		return true, err
	}
	s, err := k.Status(ctx, custody.KeyRef(ref.Ref))
	switch {
	case err != nil:
		return true, &KeeperError{ref.Instance, fmt.Errorf("asking keeper %s for key %s: %w", ref.Instance, ref.Ref, err)}
	case s.State == custody.Destroyed:
		return false, nil
	case s.Label != ep.Label:
		return true, fmt.Errorf("%w: the candidate of epoch %s names key %s of keeper %s, which is not that epoch's: nothing is destroyed", ErrIntegrity, ep.EID, ref.Ref, ref.Instance)
	}
	return true, nil
}

// recheck opens the current epoch as it is stored, and makes sure that it
// carries every version that is not dropped: what only an old key could bring
// back must not be missed after it is gone. Rows of versions pushed since the
// activation were never under an old key.
func (r *Ring) recheck(ctx context.Context, a *state.Artefact) error {
	if a.Current == nil {
		return nil
	}
	var carried []*state.CommittedVersion
	for _, v := range a.Versions {
		if v.State <= state.Executed && v.EID != a.Current.EID {
			carried = append(carried, v)
		}
	}
	slices.SortFunc(carried, func(x, y *state.CommittedVersion) int { return compareID(x.VID, y.VID) })
	r.epochs, r.indexes = nil, nil
	_, err := r.currentKey(ctx, a)
	keep := &tables{}
	for wave := range slices.Chunk(carried, tableRows*r.jobs()) {
		if err != nil {
			break
		}
		_, err = r.currentRows(ctx, a, wave, keep)
	}
	if err != nil {
		return fmt.Errorf("nothing is destroyed, for the current epoch cannot be shown to carry every version: %w", err)
	}
	return nil
}

// destroyKeys destroys the keys of epochs, all it can.
func (r *Ring) destroyKeys(ctx context.Context, doomed []*state.Epoch, out *Destruction) ([]state.DestroyedKey, error) {
	var keys []state.DestroyedKey
	var waiting PendingError
	var failed []error
	for _, ep := range doomed {
		gone := 0
		var pending []PendingKey
		var errs []error
		for _, ref := range ep.Candidate.Keys {
			d, err := r.destroyKey(ctx, ref)
			switch {
			case err != nil:
				errs = append(errs, err)
			case d.State != custody.Destroyed && !r.variant.claimPending:
				pending = append(pending, PendingKey{EID: ep.EID, Key: ref, Until: d.Until, Why: string(d.Evidence)})
			default:
				gone++
				key, err := r.evidence(ctx, ep.EID, ref, d)
				if err != nil {
					return nil, err
				}
				keys = append(keys, *key)
			}
		}
		if ep.Candidate.Mode == state.AllOf && gone > 0 {
			if r.Warn != nil && len(errs) > 0 {
				r.Warn(fmt.Errorf("destroyed without every keeper: %w", errors.Join(errs...)))
			}
			continue
		}
		waiting.Keys = append(waiting.Keys, pending...)
		failed = append(failed, errs...)
	}
	switch {
	case len(failed) > 0:
		return nil, errors.Join(failed...)
	case len(waiting.Keys) > 0:
		return nil, &waiting
	}
	return keys, nil
}

func (r *Ring) destroyKey(ctx context.Context, ref state.KeyRef) (custody.Destruction, error) {
	k, err := r.keeper(ref.Instance)
	if err != nil {
		return custody.Destruction{}, err
	}
	d, err := k.Destroy(ctx, custody.KeyRef(ref.Ref))
	if err != nil {
		return d, &KeeperError{ref.Instance, fmt.Errorf("destroying key %s of keeper %s: %w", ref.Ref, ref.Instance, err)}
	}
	return d, nil
}

// evidence stores what the keeper said, and returns the record of the key.
func (r *Ring) evidence(ctx context.Context, eid canonical.ID, ref state.KeyRef, d custody.Destruction) (*state.DestroyedKey, error) {
	key := &state.DestroyedKey{EID: eid, KeyRef: ref, State: "destroyed", At: entry.At(d.At)}
	if len(d.Evidence) > 0 {
		o, err := r.putDocument(ctx, d.Evidence)
		if err != nil {
			return nil, err
		}
		key.Evidence = o.SHA256
	}
	return key, nil
}

// An entry of 16 KiB has room for so many keys with refs of the greatest length
// beside so many versions.
const (
	maxNamedKeys = 10
	maxVersions  = 128
)

// record writes the destroyed entries: keys alone first, as many as it takes,
// and then versions, once no doomed epoch is left.
func (r *Ring) record(ctx context.Context, a *state.Artefact, keys []state.DestroyedKey, dropped []canonical.ID, op canonical.ID, out *Destruction) error {
	for {
		body := state.Destroyed{Keys: keys[:min(len(keys), maxNamedKeys):len(keys)]}
		if body.Keys == nil {
			body.Keys = []state.DestroyedKey{}
		}
		if len(keys) <= maxNamedKeys {
			body.Versions = dropped[:min(len(dropped), maxVersions)]
		}
		if len(body.Keys) == 0 && len(body.Versions) == 0 {
			return nil
		}
		if err := r.Ledger.Append(ctx, state.KindDestroyed, body, op); err != nil {
			return err
		}
		keys, dropped = keys[len(body.Keys):], dropped[len(body.Versions):]
		out.Keys, out.Versions = append(out.Keys, body.Keys...), append(out.Versions, body.Versions...)
	}
}
