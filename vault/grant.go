package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// GrantResult is what Grant or Revoke did.
type GrantResult struct {
	Changed    bool
	Artefacts  []string // whose readers changed now
	Rule       bool     // a rule was written
	Settlement *Settlement
	Head       ledger.Pin
	Freshness  string
}

// isGlob reports whether target names artefacts by a pattern.
func isGlob(target string) bool { return strings.ContainsAny(target, "*?[") }

// Grant lets members and groups (with '@') read an artefact, which it registers
// if it is not yet, or, for a glob, every artefact that matches, now and later.
// Whoever grants reads themselves; where they do not it waits for one who does.
//
// Errors: ErrNotFound for an unknown member or group; ErrNotPermitted.
func (v *Vault) Grant(ctx context.Context, target string, readers []string) (*GrantResult, error) {
	add, err := v.resolveReaders(v.State(), readers, true)
	if err != nil {
		return nil, err
	}
	if isGlob(target) {
		return v.byGlob(ctx, target, readers, false, func(ctx context.Context, s *settling, l *ledger.Artefact, a *state.Artefact) error {
			err := s.grant(ctx, l, a, add)
			if errors.Is(err, ErrNotPermitted) {
				s.wait(a.Name, "it is not sealed to the new readers", "a reader who is a developer, operator, custodian or admin for it: aivault grant "+a.Name+" "+strings.Join(readers, " "))
				return nil
			}
			return err
		})
	}
	l, a, err := v.fold(ctx, target)
	if errors.Is(err, ErrNotFound) || err == nil && a.Current == nil && !a.Ended {
		if err := v.register(ctx, l, target, add); err != nil {
			return nil, err
		}
		a = l.State()
		v.keep()
		return &GrantResult{Changed: true, Artefacts: []string{target}, Head: pinOf(a), Settlement: &Settlement{}, Freshness: v.freshness(a.ID.String())}, nil
	}
	if err != nil {
		return nil, err
	}
	s := &settling{Vault: v}
	if err := s.grant(ctx, l, a, add); err != nil {
		return nil, fmt.Errorf("granting %s: %w", target, err)
	}
	v.keep()
	return v.grantResult(&s.Settlement, l.State()), nil
}

func (v *Vault) grantResult(s *Settlement, a *state.Artefact) *GrantResult {
	return &GrantResult{Changed: len(s.Resized)+len(s.Rotated) > 0, Artefacts: s.Resized, Settlement: s, Head: pinOf(a), Freshness: v.freshness(a.ID.String())}
}

// grant seals an artefact to more readers.
func (s *settling) grant(ctx context.Context, l *ledger.Artefact, a *state.Artefact, add []keyring.Reader) error {
	changed, err := s.ring(l, s.session.Store, nil).Grant(ctx, add, canonical.NewID())
	switch {
	case errors.Is(err, keyring.ErrNoReader):
		return fmt.Errorf("%w: only who reads %s can let others read it: %w", ErrNotPermitted, a.Name, err)
	case errors.Is(err, keyring.ErrEnded):
		return fmt.Errorf("%w: %w", ErrDestroyed, err)
	case changed:
		s.did(&s.Resized, a.Name)
	}
	return err
}

// Revoke takes reading away. It needs no right to read: pushes are sealed to
// those who stay at once, and versions that stand as soon as one of those
// rotates, which happens now if this member may. For a glob it is also a rule,
// which wins over those before.
//
// Errors: ErrNotPermitted; ErrRefused if nobody would be left to read.
func (v *Vault) Revoke(ctx context.Context, target string, readers []string) (*GrantResult, error) {
	for _, r := range readers {
		group, isGroup := state.IsGroup(r)
		if isGroup && v.State().Group(group) == nil || !isGroup && v.State().Member(r) == nil {
			return nil, fmt.Errorf("nobody is or was called %s: %w", r, ErrNotFound)
		}
	}
	if isGlob(target) {
		return v.byGlob(ctx, target, readers, true, func(ctx context.Context, s *settling, l *ledger.Artefact, a *state.Artefact) error {
			return s.revoke(ctx, l, a, readers)
		})
	}
	l, a, err := v.fold(ctx, target)
	if err != nil {
		return nil, err
	}
	if a.Ended {
		return nil, fmt.Errorf("%s: %w", target, ErrDestroyed)
	}
	if err := v.State().MayReplaceReaders(v.session.Author(), a.Name, v.session.Time()); err != nil {
		return nil, err
	}
	s := &settling{Vault: v}
	have, err := v.ring(l, v.session.Store, nil).Readers(ctx, a)
	if err != nil {
		return nil, err
	}
	if len(s.without(have, readers)) == 0 {
		return nil, fmt.Errorf("nobody would be left to read %s: %w", target, ErrRefused)
	}
	if err := s.revoke(ctx, l, a, readers); err != nil {
		return nil, fmt.Errorf("revoking %s: %w", target, err)
	}
	v.keep()
	return v.grantResult(&s.Settlement, l.State()), nil
}

func (s *settling) without(have []keyring.Reader, gone []string) []keyring.Reader {
	return s.current(s.State(), slices.DeleteFunc(slices.Clone(have), func(rd keyring.Reader) bool { return slices.Contains(gone, rd.Name) }))
}

// revoke takes readers away from one artefact.
func (s *settling) revoke(ctx context.Context, l *ledger.Artefact, a *state.Artefact, readers []string) error {
	if err := s.replace(ctx, l, a, func(have []keyring.Reader) []keyring.Reader {
		if !slices.ContainsFunc(have, func(rd keyring.Reader) bool { return slices.Contains(readers, rd.Name) }) {
			return have
		}
		return s.without(have, readers)
	}); err != nil {
		return err
	}
	return s.reseal(ctx, l)
}

// byGlob writes a rule and does something to every artefact that matches.
func (v *Vault) byGlob(ctx context.Context, glob string, readers []string, revoke bool, do func(context.Context, *settling, *ledger.Artefact, *state.Artefact) error) (*GrantResult, error) {
	if err := state.CheckGlob(glob); err != nil {
		return nil, err
	}
	rule := state.ReadRule{Glob: glob, Readers: readers, Revoke: revoke}
	c, err := v.administer(ctx, state.KindRule, func(st *state.Vault) (any, error) {
		if rules := st.Rules(); len(rules) > 0 && decided(rules, rule) {
			return nil, nil
		}
		return rule, nil
	})
	if err != nil {
		return nil, err
	}
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return nil, err
	}
	s := &settling{Vault: v}
	settled, err := s.each(ctx, ids, func(ctx context.Context, l *ledger.Artefact) error {
		a, err := l.Fold(ctx)
		if errors.Is(err, journal.ErrEmpty) && !broken(err) {
			return nil
		}
		if err != nil || a.Name == "" || a.Ended || a.Generation() == nil || !state.MatchGlob(glob, a.Name) {
			return err
		}
		return do(ctx, s, l, a)
	})
	if err != nil {
		return nil, err
	}
	return &GrantResult{Changed: c.Changed || len(settled.Resized)+len(settled.Rotated) > 0, Rule: c.Changed, Artefacts: settled.Resized, Settlement: settled, Head: v.Head(), Freshness: v.freshness(entry.VaultJournal)}, nil
}

// decided reports whether a rule would change nothing, because the latest ones
// that name its readers say the same under the same glob.
func decided(rules []state.ReadRule, want state.ReadRule) bool {
	for _, reader := range want.Readers {
		var latest state.ReadRule
		for _, r := range rules {
			if slices.Contains(r.Readers, reader) {
				latest = r
			}
		}
		if latest.Glob != want.Glob || latest.Revoke != want.Revoke {
			return false
		}
	}
	return true
}

// ReaderInfo is one reader of an artefact, or one reading rule.
type ReaderInfo struct {
	Target string // an artefact, or the glob of a rule
	Rule   bool
	Revoke bool // of a rule
	Reader string
	Known  bool // still a member or group, with the key that it is sealed to
	// Pending is how many versions of the artefact are not sealed to its present
	// readers yet.
	Pending int
}

// Readers lists the reading rules, and the readers of artefacts that match glob.
func (v *Vault) Readers(ctx context.Context, glob string) ([]ReaderInfo, string, error) {
	glob = cmp.Or(glob, "*")
	if err := state.CheckGlob(glob); err != nil {
		return nil, "", err
	}
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, "", err
	}
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return nil, "", err
	}
	var out []ReaderInfo
	s := &settling{Vault: v}
	_, err = s.each(ctx, ids, func(ctx context.Context, l *ledger.Artefact) error {
		a, err := l.Fold(ctx)
		if errors.Is(err, journal.ErrEmpty) && !broken(err) {
			return nil
		}
		if err != nil || a.Name == "" || a.Ended || a.Generation() == nil || !state.MatchGlob(glob, a.Name) {
			return err
		}
		readers, err := v.ring(l, v.session.Store, map[string]custody.Keeper{}).Readers(ctx, a)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, rd := range readers {
			if slices.ContainsFunc(readers[:i], func(x keyring.Reader) bool { return x.Name == rd.Name }) {
				continue
			}
			out = append(out, ReaderInfo{Target: a.Name, Reader: rd.Name, Known: v.State().Holds(rd.Name, rd.Recipient), Pending: len(a.ResealPending())})
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	slices.SortStableFunc(out, func(a, b ReaderInfo) int { return cmp.Compare(a.Target, b.Target) })
	for _, r := range v.State().Rules() {
		for _, reader := range r.Readers {
			known := v.State().Recipient(reader, v.session.Time()) != ""
			out = append(out, ReaderInfo{Target: r.Glob, Rule: true, Revoke: r.Revoke, Reader: reader, Known: known})
		}
	}
	return out, v.freshness(entry.VaultJournal), nil
}
