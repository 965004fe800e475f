package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Settlement is how far the consequences of a change of members or readers have
// been drawn. Each is a step that whoever may can take up by the same command.
type Settlement struct {
	Fenced  []string  // journals that acknowledged the change now
	Resized []string  // artefacts that got a new generation of readers now
	Rotated []string  // artefacts whose versions were sealed to it now
	Waiting []Waiting // what this member could not do
}

// Waiting is something that waits for somebody else.
type Waiting struct {
	Artefact string // or a group with '@', or the id of an artefact whose journal cannot be read
	What     string
	Who      string // who can go on, and how
}

// settling gathers what several artefacts lead to.
type settling struct {
	*Vault
	again string // the command that goes on; "": aivault custody rotate, and the artefact
	mu    sync.Mutex
	Settlement
}

func (s *settling) wait(artefact, what, who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Waiting = append(s.Waiting, Waiting{artefact, what, who})
}

func (s *settling) did(list *[]string, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, name)
}

// settle brings every journal to acknowledge the latest entry that took rights
// away and, with readers, groups and generations in line with who is a member:
// new group identities, new generations, rows sealed anew, old keys destroyed.
func (v *Vault) settle(ctx context.Context, readers bool) (*Settlement, error) {
	s := &settling{Vault: v}
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, err
	}
	if readers {
		for _, g := range v.State().Groups() {
			if err := s.group(ctx, g); err != nil {
				return nil, fmt.Errorf("group @%s: %w", g.Name, err)
			}
		}
	}
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return nil, err
	}
	return s.each(ctx, ids, func(ctx context.Context, l *ledger.Artefact) error {
		a, err := s.fence(ctx, l)
		if err != nil || a == nil || !readers || a.Ended || a.Generation() == nil {
			return err
		}
		if err = s.stale(ctx, l, a); err == nil {
			err = s.reseal(ctx, l)
		}
		if errors.Is(err, keyring.ErrIntegrity) || errors.Is(err, state.ErrUnverifiable) {
			s.wait(a.Name, "its keys do not verify: "+err.Error(), "who finds out why: aivault verify")
			return nil // a spoilt object must not keep a removal from the rest
		}
		return err
	})
}

// each does something to several artefacts at a time.
func (s *settling) each(ctx context.Context, ids []canonical.Digest, do func(context.Context, *ledger.Artefact) error) (*Settlement, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(s.config.Jobs, 1))
	for _, id := range ids {
		g.Go(func() error {
			if err := do(ctx, s.ledger.Artefact(id)); err != nil {
				return fmt.Errorf("artefact %s: %w", id, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s.keep()
	for _, list := range [][]string{s.Fenced, s.Resized, s.Rotated} {
		slices.Sort(list)
	}
	slices.SortFunc(s.Waiting, func(a, b Waiting) int {
		return cmp.Or(cmp.Compare(a.Artefact, b.Artefact), cmp.Compare(a.What, b.What))
	})
	return &s.Settlement, nil
}

// group gives a group a new identity if somebody holds it who is not a member any
// more, or perhaps never was on record as one.
func (s *settling) group(ctx context.Context, g *state.ReaderGroup) error {
	members, err := s.groupMembers(ctx, g)
	if err != nil {
		return err
	}
	st := s.State()
	if !slices.ContainsFunc(members, func(m keyring.Reader) bool { return !st.Holds(m.Name, m.Recipient) }) {
		if stray, err := s.strayMember(ctx, st, g); err != nil || !stray {
			return err
		}
	}
	var left []string
	for _, m := range members {
		if st.Recipient(m.Name, s.session.Time()) != "" {
			left = append(left, m.Name)
		}
	}
	if len(left) == 0 {
		s.wait("@"+g.Name, "nobody is left in the group", "an admin: aivault group add, or aivault revoke where it reads")
		return nil
	}
	c, err := s.newGroup(ctx, g.Name, left)
	switch {
	case errors.Is(err, ErrNotPermitted):
		s.wait("@"+g.Name, "the group needs a new identity", "an admin")
	case err != nil:
		return err
	case c.Proposal != nil:
		s.wait("@"+g.Name, "the group's new identity needs more signatures", "another admin: aivault member approve "+c.Proposal.ID[:16])
	}
	return nil
}

// fence reads a journal and sees to it that it acknowledges the vault's latest
// removal. It returns nil for one that cannot be read, or is nobody's.
func (s *settling) fence(ctx context.Context, l *ledger.Artefact) (*state.Artefact, error) {
	for attempt := 0; ; attempt++ {
		a, err := l.Fold(ctx)
		switch {
		case errors.Is(err, journal.ErrEmpty) && !broken(err):
			return nil, nil
		case broken(err):
			s.wait(l.ID.String(), "its journal does not verify: "+err.Error(), "an operator or admin, who finds out why: aivault audit skip passes over junk")
			return nil, nil
		case err != nil:
			return nil, err
		case a.Name == "":
			return nil, nil
		}
		st := s.State()
		if a.Vault.Head.Seq >= st.Fence.Seq {
			return a, nil
		}
		err = l.Append(ctx, state.KindFence, state.Fence{Cut: st.FenceCut}, canonical.NewID())
		switch {
		case err == nil:
			s.did(&s.Fenced, a.Name)
			return l.State(), nil
		case errors.Is(err, ErrNotPermitted):
			s.wait(a.Name, "its journal does not acknowledge the change yet", "any active member: the same command, or their next entry there")
			return a, nil
		case !errors.Is(err, errLost):
			return nil, err
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

// stale makes a new generation where the present one is sealed to somebody who
// is not a member any more, or to a key or group identity that was replaced.
func (s *settling) stale(ctx context.Context, l *ledger.Artefact, a *state.Artefact) error {
	st := s.State()
	return s.replace(ctx, l, a, func(have []keyring.Reader) []keyring.Reader {
		if !slices.ContainsFunc(have, func(rd keyring.Reader) bool { return !st.Holds(rd.Name, rd.Recipient) }) {
			return have
		}
		return s.current(st, have)
	})
}

// current returns the same readers as they are sealed to now, without those who
// are not to be sealed to any more.
func (s *settling) current(st *state.Vault, have []keyring.Reader) []keyring.Reader {
	var out []keyring.Reader
	for _, rd := range have {
		now := keyring.Reader{Name: rd.Name, Recipient: st.Recipient(rd.Name, s.session.Time())}
		if now.Recipient != "" && !slices.Contains(out, now) {
			out = append(out, now)
		}
	}
	return out
}

// replace gives an artefact the readers that choose picks from those it has.
func (s *settling) replace(ctx context.Context, l *ledger.Artefact, a *state.Artefact, choose func([]keyring.Reader) []keyring.Reader) error {
	changed, err := s.ring(l, s.session.Store, nil).Replace(ctx, func(have []keyring.Reader) ([]keyring.Reader, error) { return choose(have), nil }, canonical.NewID())
	switch {
	case errors.Is(err, keyring.ErrNoReaders):
		s.wait(a.Name, "nobody would be left to read it", "who reads it now: aivault grant "+a.Name+" NAME, then the same again")
	case errors.Is(err, ErrNotPermitted):
		s.wait(a.Name, "it needs new readers' keys", "an operator or admin for it")
	case err != nil:
		return err
	case changed:
		s.did(&s.Resized, a.Name)
	}
	return nil
}

// reseal rotates an artefact if versions in it are sealed to readers before, and
// destroys the old keys, as far as this member may.
func (s *settling) reseal(ctx context.Context, l *ledger.Artefact) error {
	a := l.State()
	pending, doomed := len(a.ResealPending()), len(a.Doomed())
	if pending == 0 && doomed == 0 {
		return nil
	}
	rotate := func(name string) string { return ": aivault custody rotate " + name }
	keepers, err := s.connect(ctx)
	if pending > 0 {
		what := fmt.Sprintf("%d versions are still sealed to the readers before", pending)
		who := "a reader who is a developer, operator, custodian or runner for it" + rotate(a.Name)
		ring := s.ring(l, s.config.Store, keepers)
		switch {
		case err != nil:
			s.wait(a.Name, what+"; the keeper is not reached from here: "+err.Error(), who)
			return nil
		case s.State().May(s.session.Author(), state.KindIntent, a.Name, s.session.Time()) != nil || !ring.CanReseal(ctx, a):
			s.wait(a.Name, what, who)
			return nil
		}
		if _, err := ring.Rotate(ctx, canonical.NewID()); err != nil {
			if errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrDenied) {
				s.wait(a.Name, what+": "+err.Error(), who)
				return nil
			}
			return err
		}
		s.did(&s.Rotated, a.Name)
		if a = l.State(); len(a.ResealPending()) > 0 {
			s.wait(a.Name, what, who)
			return nil
		}
	}
	return s.destroy(ctx, l, keepers)
}

// destroy ends the keys of superseded epochs, if this member may.
func (s *settling) destroy(ctx context.Context, l *ledger.Artefact, keepers map[string]custody.Keeper) error {
	a := l.State()
	doomed := len(a.Doomed())
	if doomed == 0 {
		return nil
	}
	what := fmt.Sprintf("keys of %d earlier epochs still open what they opened", doomed)
	who := "a custodian or runner for it, whose keeper credential may destroy: " + cmp.Or(s.again, "aivault custody rotate "+a.Name)
	if keepers == nil || s.State().May(s.session.Author(), state.KindDestroyed, a.Name, s.session.Time()) != nil {
		s.wait(a.Name, what, who)
		return nil
	}
	_, err := s.ring(l, s.config.Store, keepers).Destroy(ctx, canonical.NewID())
	var pending *keyring.PendingError
	switch {
	case errors.As(err, &pending):
		s.wait(a.Name, pending.Error(), "time, and then the same again")
	case errors.Is(err, custody.ErrDenied), errors.Is(err, custody.ErrUnavailable):
		s.wait(a.Name, what+": "+err.Error(), who)
	case err != nil:
		return err
	}
	return nil
}

// putCut stores the head of every artefact's journal. Of one that does not
// verify to its end, it is the last entry that does.
func (v *Vault) putCut(ctx context.Context) (state.Object, error) {
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return state.Object{}, err
	}
	var mu sync.Mutex
	heads := map[canonical.Digest]entry.Position{}
	s := &settling{Vault: v}
	if _, err := s.each(ctx, ids, func(ctx context.Context, l *ledger.Artefact) error {
		_, err := l.Fold(ctx)
		if err != nil && !broken(err) && !errors.Is(err, journal.ErrEmpty) {
			return err
		}
		if log := l.Log(); log != nil && len(log.Entries) > 0 {
			mu.Lock()
			defer mu.Unlock()
			heads[l.ID] = log.Head()
		}
		return nil
	}); err != nil {
		return state.Object{}, err
	}
	plain, err := ledger.NewCut(heads)
	if err != nil {
		return state.Object{}, err
	}
	return v.putDocument(ctx, plain)
}
