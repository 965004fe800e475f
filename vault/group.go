package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/state"
)

// GroupInfo is a group and who is in it.
type GroupInfo struct {
	Name    string
	Members []string
}

// maxMembers bounds the list of a group's members as stored, in bytes.
const maxMembers = 4 << 20

// Groups returns all groups, by name.
func (v *Vault) Groups(ctx context.Context) ([]GroupInfo, string, error) {
	if err := v.ledger.Refresh(ctx); err != nil {
		return nil, "", err
	}
	var out []GroupInfo
	for _, g := range v.State().Groups() {
		members, err := v.groupMembers(ctx, g)
		if err != nil {
			return nil, "", fmt.Errorf("group @%s: %w", g.Name, err)
		}
		info := GroupInfo{Name: g.Name}
		for _, m := range members {
			info.Members = append(info.Members, m.Name)
		}
		out = append(out, info)
	}
	v.keep()
	return out, v.freshness(entry.VaultJournal), nil
}

func (v *Vault) groupMembers(ctx context.Context, g *state.ReaderGroup) ([]keyring.Reader, error) {
	plain, err := v.ledger.Document(ctx, g.List, maxMembers)
	if err != nil {
		return nil, err
	}
	return keyring.DecodeMembers(plain, g.ID)
}

// GroupAdd makes a group of members, or seals the identity of one that is there
// to more: they read at once what the group reads, and no artefact is touched.
// Only an admin who is in the group can do the latter.
func (v *Vault) GroupAdd(ctx context.Context, name string, members []string) (*Change, error) {
	if err := state.CheckShortName(name); err != nil {
		return nil, err
	}
	return v.administer(ctx, state.KindGroup, func(st *state.Vault) (any, error) {
		add, err := v.resolveReaders(st, members, false)
		if err != nil {
			return nil, err
		}
		g := st.Group(name)
		if g == nil {
			return v.groupBody(ctx, name, canonical.ID{}, nil, add)
		}
		have, err := v.groupMembers(ctx, g)
		if err != nil {
			return nil, err
		}
		all := slices.Clone(have)
		for _, m := range add {
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
		if len(all) == len(have) {
			return nil, nil
		}
		key, err := v.others.GroupKey(ctx, v.ledger, g)
		if err != nil {
			return nil, err
		}
		if key == nil {
			return nil, fmt.Errorf("%w: only an admin who is in @%s can seal its identity to more members; in it are %s", ErrNotPermitted, name, names(have))
		}
		all = slices.DeleteFunc(all, func(m keyring.Reader) bool { return !st.Holds(m.Name, m.Recipient) })
		return v.groupBody(ctx, name, g.ID, key, all)
	})
}

func names(readers []keyring.Reader) string {
	var out []string
	for _, r := range readers {
		out = append(out, r.Name)
	}
	return strings.Join(out, ", ")
}

// GroupRemove takes members out of a group: it gets a new identity, and every
// artefact that it reads new readers, see Settlement. Errors: ErrRefused for the
// last member.
func (v *Vault) GroupRemove(ctx context.Context, name string, members []string) (*Change, *Settlement, error) {
	c, err := v.administer(ctx, state.KindGroup, func(st *state.Vault) (any, error) {
		g := st.Group(name)
		if g == nil {
			return nil, fmt.Errorf("there is no group @%s: %w", name, ErrNotFound)
		}
		have, err := v.groupMembers(ctx, g)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			if st.Member(m) == nil {
				return nil, fmt.Errorf("there is no member %s: %w", m, ErrNotFound)
			}
		}
		var left []string
		gone := false
		for _, m := range have {
			switch {
			case slices.Contains(members, m.Name):
				gone = true
			case st.Recipient(m.Name, v.session.Time()) != "" && !slices.Contains(left, m.Name):
				left = append(left, m.Name)
			}
		}
		if !gone {
			if gone, err = v.strayMember(ctx, st, g); err != nil {
				return nil, err
			}
		}
		switch {
		case !gone:
			return nil, nil
		case len(left) == 0:
			return nil, fmt.Errorf("@%s would be empty: %w; aivault revoke takes the group away from what it reads", name, ErrRefused)
		}
		to, err := v.resolveReaders(st, left, false)
		if err != nil {
			return nil, err
		}
		return v.groupBody(ctx, name, canonical.ID{}, nil, to)
	})
	if err != nil || c.Proposal != nil {
		return c, nil, err
	}
	s, err := v.settle(ctx, true)
	return c, s, err
}

// strayMember reports whether storage has the group's identity in an object that
// no entry binds: an addition that died before it was on record may have sealed it
// to anybody.
func (v *Vault) strayMember(ctx context.Context, st *state.Vault, g *state.ReaderGroup) (bool, error) {
	bound := map[string]bool{}
	for _, o := range st.Bound() {
		bound[o.Key] = true
	}
	for info, err := range v.config.Store.List(ctx, groupPrefix(g.ID), backends.ListOptions{}) {
		if err != nil {
			return false, fmt.Errorf("listing group @%s: %w", g.Name, err)
		}
		if !bound[info.Key] {
			return true, nil
		}
	}
	return false, nil
}

func groupPrefix(id canonical.ID) string { return "grp/" + id.String() + "-" }

// newGroup gives a group a new identity.
func (v *Vault) newGroup(ctx context.Context, name string, members []string) (*Change, error) {
	return v.administer(ctx, state.KindGroup, func(st *state.Vault) (any, error) {
		to, err := v.resolveReaders(st, members, false)
		if err != nil {
			return nil, err
		}
		return v.groupBody(ctx, name, canonical.ID{}, nil, to)
	})
}

// groupBody stores a group's identity, a new one if key is nil, and its list.
func (v *Vault) groupBody(ctx context.Context, name string, id canonical.ID, key seal.Key, members []keyring.Reader) (any, error) {
	if len(members) > keyring.MaxReaders {
		return nil, fmt.Errorf("@%s would have %d members: %w: at most %d", name, len(members), ErrRefused, keyring.MaxReaders)
	}
	if key == nil {
		var err error
		if key, err = (seal.Age{}).Generate(); err != nil {
			return nil, err
		}
		id = canonical.NewID()
	}
	sealed, err := keyring.SealGroup(seal.Age{}, name, key, members)
	if err != nil {
		return nil, err
	}
	object, err := v.put(ctx, groupPrefix(id)+canonical.NewID().String(), sealed)
	if err != nil {
		return nil, err
	}
	plain, err := keyring.EncodeMembers(id, members)
	if err != nil {
		return nil, err
	}
	list, err := v.putDocument(ctx, plain)
	return state.Group{Name: name, ID: id, Recipient: key.Recipient(), Object: object, List: list}, err
}

// resolveReaders turns names, and, if they may be, groups with '@', into readers
// as they are sealed to now. Errors: ErrNotFound; ErrRefused for a member who is
// suspended or expired.
func (v *Vault) resolveReaders(st *state.Vault, readers []string, groups bool) ([]keyring.Reader, error) {
	var out []keyring.Reader
	for _, name := range readers {
		rd := keyring.Reader{Name: name, Recipient: st.Recipient(name, v.session.Time())}
		group, isGroup := state.IsGroup(name)
		switch {
		case isGroup && !groups:
			return nil, fmt.Errorf("%s is a group; a group consists of members: %w", name, ErrRefused)
		case isGroup && st.Group(group) == nil:
			return nil, fmt.Errorf("there is no group %s: %w", name, ErrNotFound)
		case !isGroup && (st.Member(name) == nil || st.Member(name).Removed):
			return nil, fmt.Errorf("there is no member %s: %w", name, ErrNotFound)
		case rd.Recipient == "":
			return nil, fmt.Errorf("%s is suspended or has expired: %w", name, ErrRefused)
		}
		if !slices.Contains(out, rd) {
			out = append(out, rd)
		}
	}
	return out, nil
}
