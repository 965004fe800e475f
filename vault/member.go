package vault

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/state"
)

// Members returns the members that are not removed, by name.
func (v *Vault) Members(ctx context.Context) ([]*state.Member, string, error) {
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, "", err
	}
	return v.State().Members(), v.freshness(entry.VaultJournal), nil
}

// MemberAdd adds a member. A member who is there already, with the same key and
// roles, is left as they are. Errors: ErrConflict if the name or the key is or
// was another's; a *state.Void if the entry would not count.
func (v *Vault) MemberAdd(ctx context.Context, m state.MemberSpec) (*Change, error) {
	public, err := identity.ParsePublic(m.Key)
	if err != nil {
		return nil, err
	}
	return v.administer(ctx, state.KindMemberAdd, func(st *state.Vault) (any, error) {
		if err := m.Check(); err != nil {
			return nil, err
		}
		if old := st.Member(m.Name); old != nil {
			if !old.Removed && old.Public.Equal(public) && slices.Equal(old.Roles, m.Roles) && old.Env == m.Env && old.Person == m.Person && old.Expires == m.Expires {
				return nil, nil
			}
			return nil, fmt.Errorf("%s is or was a member's name; it is never given again: %w", m.Name, ErrConflict)
		}
		if other := st.ByKey(keyID(public)); other != nil {
			return nil, fmt.Errorf("this key is or was that of %s: %w", other.Name, ErrConflict)
		}
		meta, err := v.putMetadata(ctx, append(st.MetadataRecipients(v.session.Time()), public.Recipient.String()))
		return state.MemberAdd{Member: m, Metadata: meta}, err
	})
}

func keyID(p identity.Public) canonical.Digest {
	id, err := canonical.ParseDigest(p.Key.KeyID())
	if err != nil {
		panic("internal error: key id is no digest")
	}
	return id
}

// MemberRemove ends a membership and carries on with what follows from it, see
// Settlement, as far as this member may. It may be called again, by anybody,
// until nothing waits. Errors: ErrNotFound; ErrRefused for the last admin.
func (v *Vault) MemberRemove(ctx context.Context, name, reason string) (*Change, *Settlement, error) {
	if m := v.State().Member(name); m != nil && m.Removed {
		s, err := v.settle(ctx, true)
		return v.unchanged(), s, err
	}
	return v.endKey(ctx, state.KindMemberRemove, name, func(st *state.Vault, cut state.Object) (any, error) {
		meta, err := v.putMetadata(ctx, v.metadataWithout(st, name))
		return state.MemberRemove{Name: name, Cut: cut, Metadata: meta, Reason: reason}, err
	})
}

// MemberRekey replaces a lost or stolen key: the old one ends as if its member
// were removed, and the new one takes its place wherever this member may bring
// that about.
func (v *Vault) MemberRekey(ctx context.Context, name, key string) (*Change, *Settlement, error) {
	public, err := identity.ParsePublic(key)
	if err != nil {
		return nil, nil, err
	}
	if m := v.State().Member(name); m != nil && !m.Removed && m.Public.Equal(public) {
		s, err := v.settle(ctx, true)
		return v.unchanged(), s, err
	}
	return v.endKey(ctx, state.KindMemberRekey, name, func(st *state.Vault, cut state.Object) (any, error) {
		if other := st.ByKey(keyID(public)); other != nil {
			return nil, fmt.Errorf("this key is or was that of %s: %w", other.Name, ErrConflict)
		}
		meta, err := v.putMetadata(ctx, append(v.metadataWithout(st, name), public.Recipient.String()))
		return state.MemberRekey{Name: name, Key: key, Cut: cut, Metadata: meta}, err
	})
}

// metadataWithout returns what a metadata identity is sealed to without a member.
func (v *Vault) metadataWithout(st *state.Vault, name string) []string {
	return slices.DeleteFunc(st.MetadataRecipients(v.session.Time()), func(r string) bool { return st.Holds(name, r) })
}

// endKey writes an entry that ends a member's keys, and settles.
func (v *Vault) endKey(ctx context.Context, kind, name string, build func(*state.Vault, state.Object) (any, error)) (*Change, *Settlement, error) {
	c, err := v.administer(ctx, kind, func(st *state.Vault) (any, error) {
		if m := st.Member(name); m == nil || m.Removed {
			return nil, fmt.Errorf("there is no member %s: %w", name, ErrNotFound)
		}
		if kind == state.KindMemberRemove {
			if left := st.AdminsWithout(name, v.session.Time()); left < st.Policy.AdminQuorum {
				return nil, fmt.Errorf("%w: %d admins would be left without %s, and %d are needed (rule %s)", ErrRefused, left, name, st.Policy.AdminQuorum, state.RuleLastAdmin)
			}
		}
		cut, err := v.putCut(ctx)
		if err != nil {
			return nil, err
		}
		return build(st, cut)
	})
	if err != nil || c.Proposal != nil {
		return c, nil, err
	}
	s, err := v.settle(ctx, true)
	return c, s, err
}

func (v *Vault) unchanged() *Change {
	return &Change{Head: v.Head(), Freshness: v.freshness(entry.VaultJournal)}
}

// MemberSuspend is the brake: what the member signs does not count until an
// admin lets them go on. It fences every journal, so that nothing signed
// without knowing of it counts later.
func (v *Vault) MemberSuspend(ctx context.Context, name, reason string) (*Change, *Settlement, error) {
	c, err := v.mark(ctx, state.KindMemberSuspend, name, reason, true)
	if err != nil {
		return nil, nil, err
	}
	s, err := v.settle(ctx, false)
	return c, s, err
}

// MemberResume lets a suspended member act again.
func (v *Vault) MemberResume(ctx context.Context, name, reason string) (*Change, error) {
	return v.mark(ctx, state.KindMemberResume, name, reason, false)
}

func (v *Vault) mark(ctx context.Context, kind, name, reason string, suspended bool) (*Change, error) {
	return v.administer(ctx, kind, func(st *state.Vault) (any, error) {
		m := st.Member(name)
		if m == nil || m.Removed {
			return nil, fmt.Errorf("there is no member %s: %w", name, ErrNotFound)
		}
		if m.Suspended == suspended {
			return nil, nil
		}
		return state.MemberMark{Name: name, Reason: reason}, nil
	})
}

// MemberTaint says that what a member's key signed from one time to another is
// not to be trusted for known good. key is a key id; zero: the member's present one.
func (v *Vault) MemberTaint(ctx context.Context, name string, key canonical.Digest, from, to time.Time) (*Change, error) {
	return v.administer(ctx, state.KindMemberTaint, func(st *state.Vault) (any, error) {
		m := st.Member(name)
		if m == nil {
			return nil, fmt.Errorf("there is and was no member %s: %w", name, ErrNotFound)
		}
		id := key
		if id.IsZero() {
			id = keyID(m.Public)
		}
		if owner := st.ByKey(id); owner == nil || owner.Name != name {
			return nil, fmt.Errorf("%s never had the key %s: %w", name, id, ErrNotFound)
		}
		return state.MemberTaint{Key: id, From: entry.At(from), To: entry.At(to)}, nil
	})
}

// IdentityRotate replaces this member's own keys by those of next. The old ones
// serve on for overlap, on machines that have them still. What was sealed to the
// old identity opens with the new one, by way of an object that holds the old.
func (v *Vault) IdentityRotate(ctx context.Context, next *identity.Identity, overlap time.Duration) (*Change, error) {
	self := v.Self()
	if self == nil {
		return nil, fmt.Errorf("%w: this identity is no member's", ErrNotPermitted)
	}
	public := next.Public()
	former, err := keyring.SealFormer(seal.Age{}, self.Name, v.session.Self, public.Recipient.String())
	if err != nil {
		return nil, err
	}
	id := canonical.NewID()
	return v.administer(ctx, state.KindMemberRotate, func(st *state.Vault) (any, error) {
		if owner := st.ByKey(keyID(public)); owner != nil {
			return nil, fmt.Errorf("this key is or was that of %s: %w", owner.Name, ErrConflict)
		}
		bound, err := v.put(ctx, "grp/"+id.String()+"-"+canonical.NewID().String(), former)
		if err != nil {
			return nil, err
		}
		recipients := append(v.metadataWithout(st, self.Name), public.Recipient.String())
		if overlap > 0 {
			recipients = append(recipients, v.session.Self.Recipient())
		}
		meta, err := v.putMetadata(ctx, recipients)
		return state.MemberRotate{Key: public.String(), Overlap: entry.At(v.config.Now().Add(overlap)), Former: bound, Metadata: meta}, err
	}, next.Signing())
}
