package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// KeeperStatus is a keeper that the vault pins.
type KeeperStatus struct {
	state.Keeper
	Reached bool   // from this machine
	Why     string // it is not
	Profile custody.Profile
}

// KeyStatus is how the keys of one artefact stand.
type KeyStatus struct {
	Artefact   string
	Epoch      canonical.ID // current; zero if the artefact has ended or was not finished
	Ended      bool
	InCustody  bool // the epoch's keepers are those that the vault pins now
	Epochs     int  // ever announced
	Superseded int  // whose keys are not on record as destroyed
	Pending    int  // versions not sealed to the present readers yet
}

// CustodyStatus is how the keys of a vault stand.
type CustodyStatus struct {
	Mode      string
	Keepers   []KeeperStatus
	Artefacts []KeyStatus
	Head      ledger.Pin
	Freshness string
}

// CustodyStatus tells how keys stand, by what journals say.
func (v *Vault) CustodyStatus(ctx context.Context) (*CustodyStatus, error) {
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, err
	}
	st := v.State()
	out := &CustodyStatus{Mode: st.Custody.Mode, Head: v.Head(), Freshness: v.freshness(entry.VaultJournal)}
	keepers, connectErr := v.connect(ctx)
	for _, k := range st.Custody.Keepers {
		s := KeeperStatus{Keeper: k}
		if keeper := keepers[k.Instance]; keeper != nil {
			p, err := keeper.Profile(ctx)
			if err != nil {
				return nil, fmt.Errorf("asking keeper %s who it is: %w", k.Instance, err)
			}
			s.Reached, s.Profile = true, p
		} else if s.Why = "this machine is not told where it is"; connectErr != nil || v.unreached != nil {
			s.Why = cmp.Or(connectErr, v.unreached).Error()
		}
		out.Keepers = append(out.Keepers, s)
	}
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return nil, err
	}
	s := &settling{Vault: v}
	if _, err := s.each(ctx, ids, func(ctx context.Context, l *ledger.Artefact) error {
		a, err := l.Fold(ctx)
		if errors.Is(err, journal.ErrEmpty) && !broken(err) {
			return nil
		}
		if err != nil || a.Name == "" {
			return err
		}
		k := KeyStatus{Artefact: a.Name, Ended: a.Ended, Epochs: len(a.Epochs), Superseded: len(a.Doomed()), Pending: len(a.ResealPending())}
		if a.Current != nil {
			k.Epoch = a.Current.EID
			k.InCustody = sameCustody(a.Current.Custody, st.Custody)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		out.Artefacts = append(out.Artefacts, k)
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortFunc(out.Artefacts, func(a, b KeyStatus) int { return cmp.Compare(a.Artefact, b.Artefact) })
	return out, nil
}

func sameCustody(a, b state.Custody) bool {
	return a.Mode == b.Mode && slices.Equal(a.Keepers, b.Keepers)
}

// RotateResult is what CustodyRotate did.
type RotateResult struct {
	Artefact   string
	Epoch      canonical.ID
	Survivors  int
	Settlement *Settlement
	Head       ledger.Pin
	Freshness  string
}

// CustodyRotate makes a new epoch of an artefact current, with rows sealed anew
// if this member reads, and destroys the old keys if they may; what they may not
// stands in the Settlement.
func (v *Vault) CustodyRotate(ctx context.Context, name string) (*RotateResult, error) {
	l, a, err := v.fold(ctx, name)
	if err != nil {
		return nil, err
	}
	if a.Ended {
		return nil, fmt.Errorf("%s: %w", name, ErrDestroyed)
	}
	if err := v.State().May(v.session.Author(), state.KindIntent, name, v.session.Time()); err != nil {
		return nil, err
	}
	keepers, err := v.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("rotating the key of %s: %w", name, err)
	}
	rot, err := v.ring(l, v.config.Store, keepers).Rotate(ctx, canonical.NewID())
	switch {
	case errors.Is(err, keyring.ErrLapsed):
		return nil, fmt.Errorf("rotating the key of %s: %w: %w", name, ErrRefused, err)
	case errors.Is(err, keyring.ErrIntegrity):
		return nil, fmt.Errorf("rotating the key of %s: %w: %w", name, ErrIntegrity, err)
	case err != nil:
		return nil, fmt.Errorf("rotating the key of %s: %w", name, err)
	}
	s := &settling{Vault: v}
	if n := len(l.State().ResealPending()); n > 0 {
		s.wait(name, fmt.Sprintf("%d versions are still sealed to the readers before", n), "a reader who is a developer, operator, custodian or runner for it: aivault custody rotate "+name)
	}
	if err := s.destroy(ctx, l, keepers); err != nil {
		return nil, err
	}
	v.keep()
	a = l.State()
	return &RotateResult{Artefact: name, Epoch: rot.EID, Survivors: rot.Survivors, Settlement: &s.Settlement, Head: pinOf(a), Freshness: v.freshness(a.ID.String())}, nil
}
