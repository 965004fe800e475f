package vault

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// resolve finds the version a reference names. Errors: ErrNotFound, ErrEmptyMain.
// A destroyed version is found; whether it can be used is checkUsable's to say.
func (v *Vault) resolve(ctx context.Context, r Ref) (*ledger.Artefact, *state.Artefact, *state.CommittedVersion, error) {
	l, a, err := v.fold(ctx, r.Artefact)
	if err != nil {
		return nil, nil, nil, err
	}
	cv, err := find(a, r)
	return l, a, cv, err
}

func find(a *state.Artefact, r Ref) (*state.CommittedVersion, error) {
	switch {
	case r.Number > 0:
		if r.Number <= len(a.Versions) {
			return a.Versions[r.Number-1], nil
		}
		return nil, fmt.Errorf("%s: the newest version is v%d: %w", r, len(a.Versions), ErrNotFound)
	case !r.Digest.IsZero():
		for _, cv := range a.Versions {
			if cv.Digest == r.Digest {
				return cv, nil
			}
		}
		return nil, fmt.Errorf("%s: no version has this digest: %w", r, ErrNotFound)
	case r.Latest:
		if cv := a.Latest(); cv != nil {
			return cv, nil
		}
		return nil, fmt.Errorf("%s: it has no live version: %w", r, ErrNotFound)
	}
	channel := r.Channel
	if channel == "" {
		channel = state.DefaultChannel
	}
	if cv := a.Version(a.Channel(channel)); cv != nil {
		return cv, nil
	}
	if r.Channel == "" {
		return nil, fmt.Errorf("%s: %w: %w", r.Artefact, ErrEmptyMain, ErrNotFound)
	}
	return nil, fmt.Errorf("%s: there is no such channel: %w", r, ErrNotFound)
}

// checkUsable refuses versions that are destroyed, being destroyed, or in quarantine.
func checkUsable(name string, cv *state.CommittedVersion) error {
	switch cv.State {
	case state.Live:
	case state.Executed:
		return fmt.Errorf("%s is disabled by disposal %s: %w", cv.Ref(name), cv.Disposal, ErrRefused)
	default:
		return fmt.Errorf("%s was destroyed by disposal %s: %w", cv.Ref(name), cv.Disposal, ErrDestroyed)
	}
	if q := cv.Quarantined; q != nil {
		return fmt.Errorf("%s is in quarantine since %s, by %s (%s): %w", cv.Ref(name), q.Time, q.By, q.Reason, ErrRefused)
	}
	return nil
}
