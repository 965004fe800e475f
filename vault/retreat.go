package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

// Retreat moves every channel that points to one of these versions, or to a system
// that pins one, back to what is known good and is none of them: before they are put in quarantine, so that
// nobody who pulls a channel is refused meanwhile. A channel without a fallback
// stays; its result has no To, and says why.
//
// Errors are those of Rollback, but ErrNoKnownGood, after which what is done is
// returned beside them.
func (v *Vault) Retreat(ctx context.Context, refs []Ref, o RollbackOptions) ([]RollbackResult, error) {
	work, err := v.resolveAll(ctx, refs, state.KindChannel)
	if err != nil {
		return nil, err
	}
	out := []RollbackResult{}
	for _, m := range work {
		_, a, err := v.fold(ctx, m.name)
		if err != nil {
			return out, err
		}
		for _, channel := range slices.Sorted(maps.Keys(a.Channels)) {
			if !slices.Contains(m.vids, a.Channel(channel)) {
				continue
			}
			res, err := v.rollback(ctx, m.name, channel, o, m.vids)
			if err != nil && !errors.Is(err, ErrNoKnownGood) {
				return out, fmt.Errorf("%s:%s: %w", m.name, channel, err)
			}
			out = append(out, *res)
		}
	}
	return v.retreatSystems(ctx, work, o, out)
}

// retreatSystems is Retreat for systems that pin what is named.
func (v *Vault) retreatSystems(ctx context.Context, work []marked, o RollbackOptions, out []RollbackResult) ([]RollbackResult, error) {
	systems, err := v.systems(ctx)
	if err != nil {
		return out, err
	}
	avoid := map[*state.Artefact][]canonical.ID{}
	var order []*state.Artefact
	for _, s := range systems {
		for _, m := range work {
			id, err := v.artefactID(m.name)
			if err != nil {
				return out, err
			}
			if !slices.ContainsFunc(m.vids, func(vid canonical.ID) bool { return s.Version.Pins(id, vid) }) {
				continue
			}
			if !slices.Contains(order, s.Artefact) {
				order = append(order, s.Artefact)
			}
			avoid[s.Artefact] = append(avoid[s.Artefact], s.Version.VID)
		}
	}
	for _, a := range order {
		for _, channel := range slices.Sorted(maps.Keys(a.Channels)) {
			if !slices.Contains(avoid[a], a.Channel(channel)) {
				continue
			}
			res, err := v.rollback(ctx, a.Name, channel, o, avoid[a])
			if err != nil && (res == nil || !errors.Is(err, ErrNoKnownGood)) {
				return out, fmt.Errorf("%s:%s: %w", a.Name, channel, err)
			}
			out = append(out, *res)
		}
	}
	return out, nil
}
