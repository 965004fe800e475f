package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// MigrateOptions says where keys move to.
type MigrateOptions struct {
	Mode    string           // of custody
	Keepers []custody.Keeper // in the order that the vault pins
	Again   string           // the command that goes on, for what waits
	DryRun  bool             // only tell what would move
}

// MigrateResult is how far a migration has come.
type MigrateResult struct {
	Changed    bool
	Proposal   *Proposal // set if more admins must sign before anything moves
	Mode       string
	Keepers    []custody.Profile
	Says       []string // what certificates from these keepers will be able to say
	Moved      []string // artefacts that have a new epoch at the new keepers by this call
	Pending    []string // with DryRun: those that would
	Settlement *Settlement
	Head       ledger.Pin
	Freshness  string
}

// CustodyMigrate moves the keys of the vault to other keepers: it pins those in
// the journal, gives every artefact an epoch there, and destroys every key at
// the keepers before, with the same proof as a rotation. It may be broken off
// anywhere and called again, by anyone: what is done is not done twice, and what
// this member may not do, or a keeper delays, stands in the Settlement. The old
// keepers must be reached as well, by Config.Keepers.
//
// Errors: ErrUnfit for the new keepers; ErrNotPermitted if they are not the
// vault's yet and this member is no admin.
func (v *Vault) CustodyMigrate(ctx context.Context, o MigrateOptions) (*MigrateResult, error) {
	given := Config{Keepers: func(context.Context, []state.Plugin) ([]custody.Keeper, error) { return o.Keepers, nil }}
	profiles, to, err := profileKeepers(ctx, given, o.Mode, nil)
	if err != nil {
		return nil, err
	}
	out := &MigrateResult{Mode: o.Mode, Keepers: profiles, Says: certificateWords(o.Mode, profiles), Settlement: &Settlement{}}
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, err
	}
	if !o.DryRun && !sameCustody(v.State().Custody, to) {
		change, err := v.administer(ctx, state.KindCustody, func(st *state.Vault) (any, error) {
			if sameCustody(st.Custody, to) {
				return nil, nil
			}
			return state.CustodySet{Custody: to}, nil
		})
		if err != nil {
			return nil, fmt.Errorf("pinning the new keepers: %w", err)
		}
		out.Changed, out.Proposal = change.Changed, change.Proposal
	}
	keepers, err := v.connect(ctx)
	if err != nil {
		v.warn(fmt.Errorf("the keepers before are not reached: %w", err))
	}
	keepers = maps.Clone(keepers)
	if keepers == nil {
		keepers = map[string]custody.Keeper{}
	}
	for i, k := range o.Keepers {
		keepers[profiles[i].Instance] = k
	}
	if out.Proposal == nil {
		if err := v.migrateAll(ctx, o, to, keepers, out); err != nil {
			return nil, err
		}
	}
	out.Head, out.Freshness = v.Head(), v.Freshness()
	return out, nil
}

func (v *Vault) migrateAll(ctx context.Context, o MigrateOptions, to state.Custody, keepers map[string]custody.Keeper, out *MigrateResult) error {
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return err
	}
	s := &settling{Vault: v, again: o.Again}
	m := &migration{settling: s, to: to, keepers: keepers, out: out, dry: o.DryRun}
	if out.Settlement, err = s.each(ctx, ids, m.artefact); err != nil {
		return err
	}
	for _, list := range [][]string{out.Moved, out.Pending} {
		slices.Sort(list)
	}
	out.Changed = out.Changed || len(out.Moved) > 0 || m.ended
	return nil
}

// migration moves artefacts, several at a time.
type migration struct {
	*settling
	to      state.Custody
	keepers map[string]custody.Keeper
	out     *MigrateResult // Moved and Pending, under mu
	ended   bool           // keys of earlier epochs were destroyed; under mu
	dry     bool
}

// artefact moves one artefact's keys, as far as this member may.
func (m *migration) artefact(ctx context.Context, l *ledger.Artefact) error {
	a, err := l.Fold(ctx)
	switch {
	case errors.Is(err, journal.ErrEmpty) && !broken(err):
		return nil
	case broken(err):
		m.wait(l.ID.String(), "its journal does not verify: "+err.Error(), "an operator or admin, who finds out why: aivault audit skip passes over junk")
		return nil
	case err != nil:
		return err
	case a.Name == "":
		return nil
	}
	moves := !a.Ended && a.Current != nil && !sameCustody(a.Current.Custody, m.to)
	if m.dry {
		if moves || len(a.Doomed()) > 0 {
			m.did(&m.out.Pending, a.Name)
		}
		return nil
	}
	if moves {
		if moved, err := m.rotate(ctx, l, a); !moved {
			return err
		}
	}
	before := len(l.State().Doomed())
	if err := m.destroy(ctx, l, m.keepers); err != nil {
		if errors.Is(err, keyring.ErrIntegrity) || errors.Is(err, custody.ErrNotFound) || errors.Is(err, custody.ErrCorrupt) {
			m.wait(a.Name, "its old keys are not destroyed: "+err.Error(), "who finds out why: aivault verify")
			return nil
		}
		return err
	}
	if len(l.State().Doomed()) < before {
		m.mu.Lock()
		m.ended = true
		m.mu.Unlock()
		return m.attack(ctx, l)
	}
	return nil
}

// attack tries the old keys, while their keepers can be asked: a disposal later
// may have to take their word of now.
func (m *migration) attack(ctx context.Context, l *ledger.Artefact) error {
	x, err := m.ring(l, m.config.Store, m.keepers).Attack(ctx, nil)
	if err != nil {
		return fmt.Errorf("trying the old keys: %w", err)
	}
	switch a := l.State(); x.Result(a) {
	case keyring.ResultFailed:
		return fmt.Errorf("%s: a key that its keeper calls destroyed still opens: %w", a.Name, ErrIntegrity)
	case keyring.ResultInconclusive:
		m.wait(a.Name, "its old keys are on record as destroyed, and that could not be shown: "+x.Doubt(), "who finds out why, while the keeper before is there")
	}
	return nil
}

// rotate gives an artefact an epoch at the new keepers, and reports whether it
// has one. Its error means that the whole migration ends.
func (m *migration) rotate(ctx context.Context, l *ledger.Artefact, a *state.Artefact) (bool, error) {
	const what = "its keys are still at the keepers before"
	if m.State().May(m.session.Author(), state.KindIntent, a.Name, m.session.Time()) != nil {
		m.wait(a.Name, what, "a developer, operator, custodian or runner for it: "+m.again)
		return false, nil
	}
	if _, err := m.ring(l, m.config.Store, m.keepers).Rotate(ctx, canonical.NewID()); err != nil {
		who := "the same again, once that is mended: " + m.again
		if errors.Is(err, keyring.ErrIntegrity) {
			who = "who finds out why: aivault verify"
		}
		m.wait(a.Name, what+": "+err.Error(), who)
		return false, ctx.Err()
	}
	m.did(&m.out.Moved, a.Name)
	return true, nil
}
