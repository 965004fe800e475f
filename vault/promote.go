package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// PromoteOptions says why a channel moves.
type PromoteOptions struct {
	Reason   string
	Incident string
	// Waive are gates, or types of evidence that they ask for, to be waived if they
	// are not met, with Reason, on record.
	Waive []string
	// Pretend looks at the gates and changes nothing.
	Pretend bool
}

// PromoteResult is a channel that points to a version, and the gates it went through.
type PromoteResult struct {
	Artefact  string
	Channel   string
	Version   int
	Digest    canonical.Digest
	From      int // where the channel pointed before; 0: nowhere
	Gates     []state.Gate
	Changed   bool
	Head      ledger.Pin
	Freshness string
}

// Promote moves a channel to a version, through the gates that policy gives it,
// and, of a system, through those that each part would have to go through for the
// channel of the same name. That of the parts no rule of the journal asks for: it
// binds who promotes, and everybody who falls back. All gates are in the result, also beside an error.
//
// Errors: ErrNotFound, ErrNotPermitted; ErrGates where one is neither met nor
// waived; ErrConflict if somebody else has moved the channel meanwhile;
// ErrRefused, ErrDestroyed for a version that cannot be used.
func (v *Vault) Promote(ctx context.Context, ref Ref, channel string, o PromoteOptions) (*PromoteResult, error) {
	if err := state.CheckShortName(channel); err != nil {
		return nil, err
	}
	l, a, err := v.foldTo(ctx, ref.Artefact, state.KindChannel)
	if err != nil {
		return nil, err
	}
	cv, err := find(a, ref)
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
	for _, m := range members {
		if err := v.readKin(ctx, m.artefact, m.version); err != nil {
			return nil, err
		}
	}
	m := &moving{vault: v, ledger: l, parts: members[1:], channel: channel, from: a.Channel(channel), to: cv.VID, descent: true, options: o}
	return m.run(ctx)
}

// moving is a channel on its way to a version.
type moving struct {
	vault    *Vault
	ledger   *ledger.Artefact
	parts    []member // of the version that it moves to
	channel  string
	from, to canonical.ID // as they were when it was decided
	descent  bool         // not to what descends from something in quarantine
	options  PromoteOptions
}

// run moves the channel, or says what keeps it.
func (m *moving) run(ctx context.Context) (*PromoteResult, error) {
	op := canonical.NewID()
	for attempt := 0; ; attempt++ {
		a := m.ledger.State()
		res := m.result(a)
		if m.options.Pretend || a.Channel(m.channel) == m.to {
			return res, nil
		}
		if a.Channel(m.channel) != m.from {
			return res, fmt.Errorf("channel %s of %s was moved to %s meanwhile: %w", m.channel, a.Name, versionName(a, a.Channel(m.channel)), ErrConflict)
		}
		err := m.waive(ctx, res.Gates)
		if err == nil {
			res = m.result(m.ledger.State())
			if shut := shutGates(res.Gates); len(shut) > 0 {
				return res, fmt.Errorf("channel %s of %s does not move to %s: gate %s: %s (rule %s): %w", m.channel, a.Name, versionName(a, m.to),
					shut[0].Name, shut[0].Why, state.RuleGates, ErrGates)
			}
			err = m.ledger.Append(ctx, state.KindChannel, state.Channel{Channel: m.channel, From: m.from, To: m.to, Reason: m.options.Reason, Incident: m.options.Incident}, op)
		}
		if err == nil {
			res = m.result(m.ledger.State())
			res.Changed = true
			m.vault.keep()
			return res, nil
		}
		if !errors.Is(err, errLost) {
			return res, refusedBy(err)
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return res, err
		}
		if err := m.fold(ctx); err != nil {
			return res, err
		}
	}
}

func (m *moving) fold(ctx context.Context) error {
	if _, err := m.ledger.Fold(ctx); err != nil {
		return err
	}
	for _, p := range m.parts {
		if _, err := p.ledger.Fold(ctx); err != nil {
			return fmt.Errorf("part %s: %w", p.name, err)
		}
	}
	return nil
}

// gates are those of the version, and, named for it, those of each part.
func (m *moving) gates(a *state.Artefact) []state.Gate {
	st, now := m.vault.State(), m.vault.session.Time()
	out := a.Gates(a.Version(m.to), m.channel, st, now)
	if self := m.vault.Self(); self != nil {
		for i := range out {
			ok, why := a.MoverTrained(a.Version(m.to), m.channel, self.Name, now)
			if out[i].Name == state.GateTrained+state.Operator && !ok && out[i].Met {
				out[i].Met, out[i].Why = false, why
			}
		}
	}
	if m.descent && len(a.Version(m.to).Lineage) > 0 {
		out = append(out, a.Descent(a.Version(m.to)))
	}
	for _, p := range m.parts {
		gates := p.artefact.Gates(p.version, m.channel, st, now)
		if m.descent && len(p.version.Lineage) > 0 {
			gates = append(gates, p.artefact.Descent(p.version))
		}
		for _, g := range gates {
			g.Name = p.name + ":" + g.Name
			out = append(out, g)
		}
	}
	return out
}

// waive writes a waiver for each gate that is shut and may be waived: of a part in
// the journal of its artefact.
func (m *moving) waive(ctx context.Context, gates []state.Gate) error {
	for _, g := range shutGates(gates) {
		if !slices.Contains(m.options.Waive, g.Name) {
			continue
		}
		to, body := m.ledger, state.Waive{Version: m.to, Channel: m.channel, Gate: g.Name, Reason: m.options.Reason}
		for _, p := range m.parts {
			if name, ok := strings.CutPrefix(g.Name, p.name+":"); ok {
				to, body.Version, body.Gate = p.ledger, p.version.VID, name
			}
		}
		if err := to.Append(ctx, state.KindWaive, body, canonical.NewID()); err != nil {
			return err
		}
	}
	return nil
}

// result says where the channel points, and what the gates say now.
func (m *moving) result(a *state.Artefact) *PromoteResult {
	cv := a.Version(m.to)
	res := &PromoteResult{Artefact: a.Name, Channel: m.channel, Version: cv.Number, Digest: cv.Digest, Head: pinOf(a), Freshness: m.vault.freshness(a.ID.String()),
		Gates: m.gates(a)}
	if from := a.Version(m.from); from != nil {
		res.From = from.Number
	}
	return res
}

// shutGates returns the gates that are neither met nor waived.
func shutGates(gates []state.Gate) []state.Gate {
	return slices.DeleteFunc(slices.Clone(gates), state.Gate.Open)
}

// versionName names a version by its number, or nothing.
func versionName(a *state.Artefact, vid canonical.ID) string {
	if cv := a.Version(vid); cv != nil {
		return cv.Name()
	}
	return "nothing"
}
