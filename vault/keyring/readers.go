package keyring

import (
	"context"
	"fmt"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// MaxReaders is how many readers one generation object, or group, can have:
// stanzas of its header.
const MaxReaders = 1024

// Readers returns those that the current generation is sealed to, in the order
// in which they were added; who was sealed to anew under another recipient
// stands there twice.
func (r *Ring) Readers(ctx context.Context, a *state.Artefact) ([]Reader, error) {
	g := a.Generation()
	if g == nil {
		return nil, r.noEpoch(a)
	}
	all := append([]state.Readers{g.Readers}, g.More...)
	lists := make([][]Reader, len(all))
	if err := r.each(ctx, len(all), func(ctx context.Context, i int) (err error) {
		lists[i], err = r.readersOf(ctx, all[i])
		return err
	}); err != nil {
		return nil, err
	}
	return slices.Concat(lists...), nil
}

// Grant seals the current generation to more readers, with the identities of
// earlier ones that live rows are still sealed to: one more object, no row
// touched (vault/FORMAT.md §6.3). Whoever stands there already is left out; it
// reports whether anybody was new.
//
// Errors: ErrNoReader for who is no reader themselves; state.ErrNotPermitted;
// those of the store.
func (r *Ring) Grant(ctx context.Context, add []Reader, op canonical.ID) (bool, error) {
	if err := r.Vault.Refresh(ctx); err != nil {
		return false, fmt.Errorf("reading the vault's journal: %w", err)
	}
	var body *state.Readers
	for attempt := 0; ; attempt++ {
		a, err := r.fold(ctx)
		if err != nil {
			return false, err
		}
		if a.Ended {
			return false, ErrEnded
		}
		have, err := r.Readers(ctx, a)
		if err != nil {
			return false, err
		}
		missing := slices.DeleteFunc(slices.Clone(add), func(rd Reader) bool { return slices.Contains(have, rd) })
		if len(missing) == 0 {
			return false, nil
		}
		if err := r.may(a, state.KindReaders); err != nil {
			return false, err
		}
		if body == nil || body.GID != a.Generation().GID || len(missing) != len(add) {
			if body, err = r.moreReaders(ctx, a, missing); err != nil {
				return false, err
			}
			add = missing
		}
		err = r.Ledger.Append(ctx, state.KindReaders, *body, op)
		if lost(err) {
			if err = journal.Pause(ctx, attempt); err == nil {
				continue
			}
		}
		return err == nil, err
	}
}

// moreReaders stores the current generation sealed to more readers.
func (r *Ring) moreReaders(ctx context.Context, a *state.Artefact, add []Reader) (*state.Readers, error) {
	g := a.Generation()
	key, err := r.generation(ctx, a, g.GID)
	if err != nil {
		return nil, err
	}
	needed := map[canonical.ID]bool{}
	for _, v := range a.LiveSet() {
		needed[v.GID] = true
	}
	if a.Activated != nil && len(needed) > 0 {
		needed[a.Activated.GID] = true
	}
	var older []olderGeneration
	for _, old := range slices.Backward(a.Generations) {
		if old == g || !needed[old.GID] {
			continue
		}
		k, err := r.generation(ctx, a, old.GID)
		if err != nil {
			continue // rows sealed to it stay closed to the new readers until one who holds it rotates
		}
		older = append(older, olderGeneration{GID: old.GID, Identity: k.Reveal()})
	}
	list, err := r.putReaders(ctx, g.GID, add)
	if err != nil {
		return nil, err
	}
	object, err := r.putGeneration(ctx, g.GID, key, older, add)
	if err != nil {
		return nil, err
	}
	return &state.Readers{GID: g.GID, Recipient: g.Recipient, Object: *object, List: *list, Add: true}, nil
}

// Replace makes a new generation for exactly these readers, unless the current
// one is sealed to them and nobody else; it reports whether it did. A grant that
// died before it was on record may have sealed it to anybody: that counts as
// somebody else (vault/FORMAT.md §6.3). It needs no
// right to read. It binds pushes at once; rows that stand stay sealed to the
// generation before until a reader rotates. choose is asked at every fold, with
// the readers as they are.
//
// Errors: ErrNoReaders; state.ErrNotPermitted; those of choose and of the store.
func (r *Ring) Replace(ctx context.Context, choose func(have []Reader) ([]Reader, error), op canonical.ID) (bool, error) {
	var body *state.Readers
	var sealedTo []Reader
	for attempt := 0; ; attempt++ {
		a, err := r.fold(ctx)
		if err != nil {
			return false, err
		}
		if a.Ended {
			return false, ErrEnded
		}
		have, err := r.Readers(ctx, a)
		if err != nil {
			return false, err
		}
		want, err := choose(have)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(have, func(rd Reader) bool { return !slices.Contains(want, rd) }) &&
			!slices.ContainsFunc(want, func(rd Reader) bool { return !slices.Contains(have, rd) }) {
			if stray, err := r.strayGrant(ctx, a); err != nil || !stray {
				return false, err
			}
		}
		if err := r.Vault.State().MayReplaceReaders(r.Vault.Author(), a.Name, r.Vault.Time()); err != nil {
			return false, err
		}
		if body == nil || !slices.Equal(want, sealedTo) {
			if body, err = r.newGeneration(ctx, want); err != nil {
				return false, err
			}
			sealedTo = want
		}
		err = r.Ledger.Append(ctx, state.KindReaders, *body, op)
		if lost(err) {
			if err = journal.Pause(ctx, attempt); err == nil {
				continue
			}
		}
		return err == nil, err
	}
}

// strayGrant reports whether storage has an object of the current generation that
// no entry binds.
func (r *Ring) strayGrant(ctx context.Context, a *state.Artefact) (bool, error) {
	g := a.Generation()
	bound := map[string]bool{g.Object.Key: true}
	for _, more := range g.More {
		bound[more.Object.Key] = true
	}
	for info, err := range r.Store.List(ctx, r.generationPrefix(g.GID), backends.ListOptions{}) {
		if err != nil {
			return false, fmt.Errorf("listing generation %s: %w", g.GID, err)
		}
		if !bound[info.Key] {
			return true, nil
		}
	}
	return false, nil
}

// may says before anything is stored whether this member may write a kind here.
func (r *Ring) may(a *state.Artefact, kind string) error {
	return r.Vault.State().May(r.Vault.Author(), kind, a.Name, r.Vault.Time())
}

// reseal replaces, of rows that vs name in the same order, those sealed to
// another generation than the current one, if this member reads both: only a
// reader can, after the row's identity was found to be the version's own.
// Others, and rows that do not open, stay as they are.
func (r *Ring) reseal(ctx context.Context, a *state.Artefact, vs []*state.CommittedVersion, rows []row) error {
	g := a.Generation()
	return r.each(ctx, len(rows), func(ctx context.Context, i int) error {
		if rows[i].GID == g.GID || !r.reads(ctx, a, rows[i].GID) {
			return nil
		}
		key, err := r.openRow(ctx, a, rows[i])
		if err != nil {
			return err
		}
		if key.Recipient() != vs[i].Recipient {
			return fmt.Errorf("%w: the row of version %s holds another identity than its entry names", ErrIntegrity, vs[i].VID)
		}
		inner, err := r.cipher().Seal([]byte(key.Reveal()), g.Recipient)
		if err != nil {
			return fmt.Errorf("sealing the row of version %s: %w", vs[i].VID, err)
		}
		rows[i] = row{VID: vs[i].VID, GID: g.GID, Row: inner}
		return nil
	})
}

// CanReseal reports whether this member opens everything that rows of pending
// versions may be sealed to, so that a rotation by them leaves none pending.
func (r *Ring) CanReseal(ctx context.Context, a *state.Artefact) bool {
	for _, v := range a.ResealPending() {
		gid := v.GID
		if v.EID != a.Current.EID && !a.Activated.GID.IsZero() {
			gid = a.Activated.GID
		}
		if !r.reads(ctx, a, gid) {
			return false
		}
	}
	return true
}

// reads reports whether this member opens a generation; the answer is kept.
func (r *Ring) reads(ctx context.Context, a *state.Artefact, gid canonical.ID) bool {
	if _, asked := r.asked.Load(gid); !asked {
		_, err := r.generation(ctx, a, gid)
		r.asked.Store(gid, err == nil)
	}
	reads, _ := r.asked.Load(gid)
	return reads.(bool)
}
