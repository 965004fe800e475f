package keyring

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// What came of an attempt to open what must not open any more. Only Refused, a
// keeper's typed "destroyed", proves anything. Acknowledged is no attempt: the
// vault's custody has left the key's keeper (custody migrate), this machine is
// not told of it any more, and what stands is the keeper's word of then.
const (
	Refused      = "refused"      // the keeper says that the key is destroyed
	Opened       = "opened"       // it opened: the disposal has failed
	Inconclusive = "inconclusive" // denied, unreachable, not found, pending, damaged: neither
	Acknowledged = "acknowledged" // not tried; destroyed by what stands in the journal
)

// Try is one attempt at a destroyed keeper key, with one stored wrapping.
type Try struct {
	EID     canonical.ID `json:"epoch"`
	Keeper  string       `json:"keeper"`
	Ref     string       `json:"key"`
	Object  string       `json:"object,omitempty"` // of storage; "": none is left, any bytes serve
	Version string       `json:"version,omitempty"`
	Outcome string       `json:"outcome"`
	Why     string       `json:"why,omitempty"`
}

// Control is something that must open in the same session at the same keeper:
// without it a refusal says nothing.
type Control struct {
	Keeper string `json:"keeper"`
	What   string `json:"what"` // "current epoch" or "canary"
	Works  bool   `json:"works"`
	Why    string `json:"why,omitempty"`
}

// Exposure is a destroyed version's row under an epoch whose keys live.
type Exposure struct {
	VID    canonical.ID `json:"version"`
	EID    canonical.ID `json:"epoch"`
	Object string       `json:"object"`
}

// Attacked is the record of an attack.
type Attacked struct {
	Tries     []Try      `json:"tries"`
	Controls  []Control  `json:"controls"`
	Tables    int        `json:"tables"` // of living epochs that were searched for rows of destroyed versions
	Unread    []string   `json:"unread,omitempty"`
	Exposures []Exposure `json:"exposures,omitempty"`
}

// Results of an attack, as a verified entry names them.
const (
	ResultVerified     = "verified"
	ResultInconclusive = "inconclusive"
	ResultFailed       = "failed"
)

// Attack tries to recover what disposals of this artefact destroyed: every
// wrapping of a destroyed epoch's seed that storage shows, old versions of the
// object included, at every keeper that had its key; and the row of a destroyed
// version in any table of an epoch whose keys live. In the same session every
// keeper must open something that is to open: the current epoch, or a canary
// made, and destroyed, for the purpose (vault/FORMAT.md §6.7). of are the
// versions whose own rows are looked for as well; nil: all that are destroyed.
//
// An error means that the attack could not be made. Whatever a keeper answers is
// a result, not an error.
func (r *Ring) Attack(ctx context.Context, of []canonical.ID) (*Attacked, error) {
	a, err := r.refresh(ctx)
	if err != nil {
		return nil, err
	}
	out := &Attacked{Tries: []Try{}, Controls: []Control{}}
	keepers := map[string]bool{}
	for _, ep := range a.Epochs {
		if ep.Candidate == nil || !ep.KeysDestroyed {
			continue
		}
		if err := r.attackEpoch(ctx, a, ep, out); err != nil {
			return nil, err
		}
		for _, k := range ep.Candidate.Keys {
			if !r.Left(k.Instance) {
				keepers[k.Instance] = true
			}
		}
	}
	r.epochs, r.indexes = nil, nil
	for _, ep := range a.Epochs {
		if ep.Candidate != nil && !ep.KeysDestroyed {
			if err := r.searchEpoch(ctx, a, ep, of, out); err != nil {
				return nil, err
			}
		}
	}
	for instance := range keepers {
		out.Controls = append(out.Controls, r.control(ctx, a, instance))
	}
	slices.SortFunc(out.Controls, func(x, y Control) int { return strings.Compare(x.Keeper, y.Keeper) })
	return out, nil
}

// Result judges the attack: failed if anything opened; else verified if every
// attempt was refused (of shares: one of each epoch, and none of the wrappings
// opened whole), everything was read and a control worked at every keeper whose
// refusals that rests on.
func (x *Attacked) Result(a *state.Artefact) string {
	works := map[string]bool{}
	for _, c := range x.Controls {
		works[c.Keeper] = c.Works
	}
	refused := map[canonical.ID]int{} // by keepers that can be believed, now or when they were left
	claimed := map[canonical.ID]int{} // by any
	other := map[canonical.ID]int{}
	for _, t := range x.Tries {
		switch {
		case t.Outcome != Refused && t.Outcome != Acknowledged:
			other[t.EID]++
		case t.Outcome == Acknowledged, works[t.Keeper]:
			refused[t.EID]++
			fallthrough
		default:
			claimed[t.EID]++
		}
	}
	if len(x.Exposures) > 0 {
		return ResultFailed
	}
	result := ResultVerified
	for _, ep := range a.Epochs {
		if ep.Candidate == nil || !ep.KeysDestroyed {
			continue
		}
		opened := slices.ContainsFunc(x.Tries, func(t Try) bool { return t.EID == ep.EID && t.Outcome == Opened })
		switch allOf := ep.Candidate.Mode == state.AllOf; {
		case opened && (!allOf || claimed[ep.EID] == 0):
			return ResultFailed
		case refused[ep.EID] == 0, !allOf && (other[ep.EID] > 0 || refused[ep.EID] < claimed[ep.EID]):
			result = ResultInconclusive
		}
	}
	if len(x.Unread) > 0 {
		return ResultInconclusive
	}
	return result
}

// Doubt says, in words, why an attack is inconclusive.
func (x *Attacked) Doubt() string {
	var out []string
	for _, t := range x.Tries {
		if t.Outcome == Inconclusive {
			out = append(out, fmt.Sprintf("key %s of keeper %s: %s", t.Ref, t.Keeper, t.Why))
		}
	}
	for _, c := range x.Controls {
		if !c.Works {
			out = append(out, fmt.Sprintf("keeper %s opens nothing that it should (%s: %s)", c.Keeper, c.What, c.Why))
		}
	}
	return strings.Join(append(out, x.Unread...), "; ")
}

// attackEpoch tries every wrapping of a destroyed epoch's seed.
func (r *Ring) attackEpoch(ctx context.Context, a *state.Artefact, ep *state.Epoch, out *Attacked) error {
	key := r.seedKey(ep.EID)
	tried := 0
	for info, err := range r.Store.List(ctx, key, backends.ListOptions{Versions: true}) {
		if err != nil {
			return err
		}
		if info.Key != key || info.Marker {
			continue
		}
		b, err := ledger.ReadVersion(ctx, r.Store, info.Ref, maxSeed)
		if errors.Is(err, backends.NotExist) {
			continue // erased since it was listed
		}
		if err != nil {
			return err
		}
		s, err := decodeSeed(b)
		if err != nil {
			continue // nobody can unwrap what is no wrapping
		}
		for _, w := range s.Wraps {
			for _, ref := range ep.Candidate.Keys {
				if ref.Instance == w.Instance {
					tried++
					out.Tries = append(out.Tries, r.try(ctx, a, ep, ref, w.Wrapped, info.Ref))
				}
			}
		}
	}
	if tried > 0 {
		return nil
	}
	// A keeper judges whether a key is dead before it looks at the wrapping.
	any := make([]byte, seal.SeedSize)
	rand.Read(any)
	for _, ref := range ep.Candidate.Keys {
		out.Tries = append(out.Tries, r.try(ctx, a, ep, ref, any, backends.Ref{}))
	}
	return nil
}

func (r *Ring) try(ctx context.Context, a *state.Artefact, ep *state.Epoch, ref state.KeyRef, wrapped []byte, object backends.Ref) Try {
	t := Try{EID: ep.EID, Keeper: ref.Instance, Ref: ref.Ref, Object: object.Key, Version: object.Version, Outcome: Inconclusive}
	k, err := r.keeper(ref.Instance)
	if err != nil {
		if t.Why = err.Error(); r.Left(ref.Instance) && slices.ContainsFunc(ep.Destroyed, func(d state.DestroyedKey) bool { return d.KeyRef == ref }) {
			t.Outcome = Acknowledged
		}
		return t
	}
	part, err := k.Unwrap(ctx, custody.KeyRef(ref.Ref), r.context(a, ep.EID), wrapped)
	clear(part)
	switch {
	case err == nil:
		t.Outcome = Opened
		return t
	case !errors.Is(err, custody.ErrDestroyed):
		t.Why = err.Error()
		return t
	}
	// A key that is pending refuses as well, and its owner may bring it back.
	s, err := k.Status(ctx, custody.KeyRef(ref.Ref))
	switch {
	case err != nil:
		t.Why = err.Error()
	case s.State != custody.Destroyed:
		t.Why = "the keeper refuses the key, but does not call it destroyed"
	default:
		t.Outcome = Refused
	}
	return t
}

// Left reports whether a keeper is one that the vault's custody has left and that
// this machine is not told of.
func (r *Ring) Left(instance string) bool {
	return r.Unreached == nil && r.Keepers[instance] == nil && !r.Vault.State().Custody.Has(instance)
}

// searchEpoch looks for rows of destroyed versions in every table, bound by an
// entry or not, of an epoch whose keys live.
func (r *Ring) searchEpoch(ctx context.Context, a *state.Artefact, ep *state.Epoch, of []canonical.ID, out *Attacked) error {
	s, _, err := r.getSeed(ctx, ep)
	if errors.Is(err, errAbandoned) {
		return nil // never stored: nothing was sealed to a key that anybody has
	}
	var key seal.Key
	if err == nil {
		key, err = r.unwrap(ctx, a, ep, s, false)
	}
	if isDestroyed(err) {
		return nil
	}
	if err != nil {
		out.Unread = append(out.Unread, fmt.Sprintf("epoch %s: %v", ep.EID, err))
		return nil
	}
	prefixes := []string{r.epochPrefix(ep.EID) + "k-"}
	for _, v := range a.Versions {
		if v.State >= state.Shredded && (of == nil || slices.Contains(of, v.VID)) {
			prefixes = append(prefixes, r.rowKey(v.VID, ep.EID))
		}
	}
	for _, prefix := range prefixes {
		for info, err := range r.Store.List(ctx, prefix, backends.ListOptions{Versions: true}) {
			if err != nil {
				return err
			}
			if info.Marker {
				continue
			}
			if err := r.searchTable(ctx, a, ep, key, info.Ref, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Ring) searchTable(ctx context.Context, a *state.Artefact, ep *state.Epoch, key seal.Key, ref backends.Ref, out *Attacked) error {
	b, err := ledger.ReadVersion(ctx, r.Store, ref, maxTable)
	if errors.Is(err, backends.NotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	out.Tables++
	plain, err := key.Open(b)
	if err != nil {
		return nil // not sealed to this epoch: it opens nothing
	}
	for _, v := range a.Versions {
		if v.State >= state.Shredded && bytes.Contains(plain, []byte(v.VID.String())) {
			out.Exposures = append(out.Exposures, Exposure{VID: v.VID, EID: ep.EID, Object: ref.Key})
		}
	}
	return nil
}

// control makes sure that a keeper opens what must open.
func (r *Ring) control(ctx context.Context, a *state.Artefact, instance string) Control {
	k, err := r.keeper(instance)
	if err != nil {
		return Control{Keeper: instance, What: "canary", Why: err.Error()}
	}
	if a.Current != nil {
		for i, ref := range a.Current.Candidate.Keys {
			if ref.Instance == instance {
				c := Control{Keeper: instance, What: "current epoch"}
				if err := r.opens(ctx, a, k, ref, i); err != nil {
					c.Why = err.Error()
				}
				c.Works = c.Why == ""
				return c
			}
		}
	}
	c := Control{Keeper: instance, What: "canary"}
	if err := canary(ctx, k); err != nil {
		c.Why = err.Error()
	}
	c.Works = c.Why == ""
	return c
}

func (r *Ring) opens(ctx context.Context, a *state.Artefact, k custody.Keeper, ref state.KeyRef, i int) error {
	s, _, err := r.getSeed(ctx, a.Current)
	if err != nil {
		return err
	}
	part, err := k.Unwrap(ctx, custody.KeyRef(ref.Ref), r.context(a, a.Current.EID), s.Wraps[i].Wrapped)
	clear(part)
	return err
}

// canary takes a key of no use through its life: it opens, and once destroyed
// it does not.
func canary(ctx context.Context, k custody.Keeper) error {
	var bound [32]byte
	secret := make([]byte, seal.SeedSize)
	rand.Read(secret)
	ref, err := k.Create(ctx, "canary-"+canonical.NewID().String())
	if err != nil {
		return fmt.Errorf("making a canary: %w", err)
	}
	wrapped, err := k.Wrap(ctx, ref, bound, secret)
	if err == nil {
		var back []byte
		if back, err = k.Unwrap(ctx, ref, bound, wrapped); err == nil && !bytes.Equal(back, secret) {
			err = errors.New("other bytes came back")
		}
	}
	if err != nil {
		_, left := k.Destroy(ctx, ref)
		return errors.Join(fmt.Errorf("opening a canary: %w", err), left)
	}
	if _, err := k.Destroy(ctx, ref); err != nil {
		return fmt.Errorf("destroying a canary: %w", err)
	}
	if _, err := k.Unwrap(ctx, ref, bound, wrapped); !errors.Is(err, custody.ErrDestroyed) {
		return fmt.Errorf("a destroyed canary: the keeper says %v, not that it is destroyed", err)
	}
	return nil
}
