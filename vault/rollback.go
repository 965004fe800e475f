package vault

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// RollbackOptions says how a channel falls back, and why.
type RollbackOptions struct {
	To       *Ref // to this version, whatever journals say of it; nil: the newest that is known good
	Reason   string
	Incident string
	Depth    Depth
	Pretend  bool // decide, and move nothing
}

// RollbackResult is a channel that fell back.
type RollbackResult struct {
	Artefact  string
	Channel   string
	From, To  int      // numbers; To is 0 where nothing is known good
	Judged    []Judged // newest first: those passed over, and last the one it falls back to
	Changed   bool
	Head      ledger.Pin
	Freshness string
}

// Rollback moves a channel back to the newest version that is known good, with
// one entry: one that the channel pointed to before, and that passes, now, every
// check that is required. It is verified before the move; after it, channel and
// version are read anew from the store. With To the version is chosen by whoever
// calls, who must not have pushed it if gates are unmet: they are waived, with
// Reason. It is verified all the same.
//
// The result stands beside an error as far as it goes. Errors: ErrNoKnownGood;
// ErrConflict if somebody else has moved the channel meanwhile; ErrIntegrity for
// To, or after the move; ErrNotFound, ErrNotPermitted, ErrRefused, ErrDestroyed.
func (v *Vault) Rollback(ctx context.Context, name, channel string, o RollbackOptions) (*RollbackResult, error) {
	return v.rollback(ctx, name, channel, o, nil)
}

// rollback is Rollback, but never to what is to be avoided.
func (v *Vault) rollback(ctx context.Context, name, channel string, o RollbackOptions, avoid []canonical.ID) (*RollbackResult, error) {
	l, a, err := v.foldTo(ctx, name, state.KindChannel)
	if err != nil {
		return nil, err
	}
	res := &RollbackResult{Artefact: a.Name, Channel: channel, Head: pinOf(a), Freshness: v.freshness(a.ID.String())}
	from := a.Channel(channel)
	if now := a.Version(from); now != nil {
		res.From = now.Number
	}
	var to *state.CommittedVersion
	if o.To != nil {
		to, err = v.chosen(ctx, l, a, channel, o, res)
	} else {
		res.Judged, to, err = v.survey(ctx, l, a, channel, o.Depth, "", avoid)
		if err == nil && to == nil {
			err = fmt.Errorf("%s:%s points to v%d: %w", a.Name, channel, res.From, ErrNoKnownGood)
		}
	}
	if err != nil {
		return res, err
	}
	res.To = to.Number
	if o.Pretend || to.VID == from {
		return res, nil
	}
	members, err := v.members(ctx, l, a, to)
	if err != nil {
		return res, err
	}
	m := &moving{vault: v, ledger: l, parts: members[1:], channel: channel, from: from, to: to.VID, options: PromoteOptions{Reason: o.Reason, Incident: o.Incident}}
	if o.To != nil {
		for _, g := range m.gates(a) {
			m.options.Waive = append(m.options.Waive, g.Name)
		}
	}
	moved, err := m.run(ctx)
	if moved != nil {
		res.Changed, res.Head = moved.Changed, moved.Head
	}
	if err != nil {
		return res, err
	}
	return res, v.settled(ctx, name, channel, to.VID)
}

// chosen judges the version that somebody names to fall back to. What journals
// say against it is told, and stops nothing; its content must verify.
func (v *Vault) chosen(ctx context.Context, l *ledger.Artefact, a *state.Artefact, channel string, o RollbackOptions, res *RollbackResult) (*state.CommittedVersion, error) {
	if o.To.Artefact != a.Name {
		return nil, fmt.Errorf("%s is no version of %s: %w", o.To, a.Name, ErrNotFound)
	}
	cv, err := find(a, *o.To)
	if err != nil {
		return nil, err
	}
	members, err := v.members(ctx, l, a, cv)
	if err == nil {
		err = usable(members, checkUsable)
	}
	if err != nil {
		return nil, err
	}
	key, content, err := v.checkContent(ctx, l, a, cv, o.Depth)
	if err == nil {
		err = v.readKin(ctx, a, cv)
	}
	if err != nil {
		return nil, fmt.Errorf("looking at %s: %w", cv.Ref(a.Name), err)
	}
	told, err := v.checks(ctx, a, cv, channel)
	if err != nil {
		return nil, fmt.Errorf("looking at %s: %w", cv.Ref(a.Name), err)
	}
	checks := append([]state.Check{content, key}, told...)
	res.Judged = []Judged{{Version: cv.Number, Digest: cv.Digest, Checks: checks, Good: state.Passes(checks)}}
	for _, c := range checks[:2] {
		if c.Status == state.CheckFail {
			return nil, fmt.Errorf("%s: %s: %w", cv.Ref(a.Name), c.Why, ErrIntegrity)
		}
	}
	return cv, nil
}

// settled reads anew, from the store, that a channel points to a version and that
// the version opens.
func (v *Vault) settled(ctx context.Context, name, channel string, to canonical.ID) error {
	l, a, err := v.fold(ctx, name)
	if err != nil {
		return fmt.Errorf("after the move: %w", err)
	}
	if a.Channel(channel) != to {
		return fmt.Errorf("%s:%s points to %s by now: %w", name, channel, versionName(a, a.Channel(channel)), ErrConflict)
	}
	cv := a.Version(to)
	if err := checkUsable(a.Name, cv); err != nil {
		return fmt.Errorf("after the move: %w", err)
	}
	key, content, err := v.checkContent(ctx, l, a, cv, DepthRoot)
	if err != nil {
		return fmt.Errorf("after the move: %w", err)
	}
	for _, c := range []state.Check{key, content} {
		if c.Status == state.CheckFail {
			return fmt.Errorf("after the move %s does not verify: %s: %w", cv.Ref(name), c.Why, ErrIntegrity)
		}
	}
	return nil
}
