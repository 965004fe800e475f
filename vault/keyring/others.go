package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Formats of objects grp/<id>-<rnd> and of the lists of groups (vault/FORMAT.md §5.4).
const (
	groupFormat   = "aivault-group/1"
	formerFormat  = "aivault-former/1"
	membersFormat = "aivault-members/1"
	maxGroup      = 4 << 20 // bytes as stored
)

// groupObject is the plaintext of grp/<id>-<rnd>: the identity of a group or,
// with the format formerFormat, one that a member had before a rotation.
type groupObject struct {
	Format   string `json:"format"`
	Name     string `json:"name"`
	Identity string `json:"identity"`
}

type membersObject struct {
	Format  string       `json:"format"`
	ID      canonical.ID `json:"id"`
	Members []Reader     `json:"members"`
}

// Others finds the identities of groups, and those of before a rotation, that
// are sealed to one member. It reads each object once. Safe for concurrent use.
type Others struct {
	Store backends.Store

	mu   sync.Mutex
	seen map[string]seal.Key // by object; nil: it is not sealed to this member
}

// keys returns identities by which this member may be among readers.
func (o *Others) keys(ctx context.Context, v *ledger.Vault, readers []Reader) ([]seal.Key, error) {
	st := v.State()
	self := st.ByKey(v.Author())
	if self == nil {
		return nil, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	own, err := o.former(ctx, v, st, self)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(own)
	for _, rd := range readers {
		name, isGroup := state.IsGroup(rd.Name)
		g := st.Group(name)
		if !isGroup || g == nil {
			continue
		}
		for _, bound := range append([]state.Group{g.Group}, g.Older...) {
			if bound.Recipient != rd.Recipient {
				continue
			}
			key, err := o.open(ctx, v, bound.Object, groupFormat, name, append(slices.Clone(own), v.Self), bound.Recipient)
			if err != nil {
				return nil, err
			}
			if key != nil {
				out = append(out, key)
			}
		}
	}
	return out, nil
}

// former returns the identities that a member had before. Each is sealed to the
// next one, so they open one after the other.
func (o *Others) former(ctx context.Context, v *ledger.Vault, st *state.Vault, self *state.Member) ([]seal.Key, error) {
	var out []seal.Key
	left := st.FormerIdentities(self.Name)
	for progress := true; progress; {
		progress = false
		for i, object := range left {
			key, err := o.open(ctx, v, object, formerFormat, self.Name, append(slices.Clone(out), v.Self), "")
			if err != nil {
				return nil, err
			}
			if key != nil {
				out, left, progress = append(out, key), slices.Delete(left, i, i+1), true
				break
			}
		}
	}
	return out, nil
}

// open opens an object with the first of with that fits, or returns nil.
func (o *Others) open(ctx context.Context, v *ledger.Vault, bound state.Object, format, name string, with []seal.Key, recipient string) (seal.Key, error) {
	if key := o.seen[bound.Key]; key != nil {
		return key, nil
	}
	sealed, err := ledger.ReadBound(ctx, o.Store, bound, maxGroup)
	if err != nil {
		return nil, err
	}
	for _, k := range with {
		plain, err := k.OpenShared(sealed)
		if errors.Is(err, seal.ErrNoMatch) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrIntegrity, bound.Key, err)
		}
		var object groupObject
		if err := canonical.Unmarshal(plain, &object); err != nil || object.Format != format || object.Name != name {
			return nil, fmt.Errorf("%w: %s is of %q in format %q: %v", ErrIntegrity, bound.Key, object.Name, object.Format, err)
		}
		key, err := v.Cipher.Parse(object.Identity)
		if err != nil || recipient != "" && key.Recipient() != recipient {
			return nil, fmt.Errorf("%w: %s holds another identity than the journal binds", ErrIntegrity, bound.Key)
		}
		if o.seen == nil {
			o.seen = map[string]seal.Key{}
		}
		o.seen[bound.Key] = key
		return key, nil
	}
	return nil, nil
}

// GroupKey returns the identity of a group, or nil if it is not sealed to this member.
func (o *Others) GroupKey(ctx context.Context, v *ledger.Vault, g *state.ReaderGroup) (seal.Key, error) {
	keys, err := o.keys(ctx, v, []Reader{{Name: "@" + g.Name, Recipient: g.Recipient}})
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Recipient() == g.Recipient {
			return k, nil
		}
	}
	return nil, nil
}

// SealGroup returns the object that holds a group's identity, sealed to members.
func SealGroup(c seal.Cipher, name string, key seal.Key, members []Reader) ([]byte, error) {
	return sealIdentity(c, groupObject{groupFormat, name, key.Reveal()}, members)
}

// SealFormer returns the object that holds the identity a member had before,
// sealed to the next one.
func SealFormer(c seal.Cipher, name string, key seal.Key, next string) ([]byte, error) {
	return sealIdentity(c, groupObject{formerFormat, name, key.Reveal()}, []Reader{{name, next}})
}

func sealIdentity(c seal.Cipher, o groupObject, to []Reader) ([]byte, error) {
	plain, err := canonical.Marshal(o)
	if err != nil {
		return nil, err
	}
	recipients := make([]string, len(to))
	for i, rd := range to {
		recipients[i] = rd.Recipient
	}
	sealed, err := c.Seal(plain, recipients...)
	if err != nil {
		return nil, fmt.Errorf("sealing the identity of %s: %w", o.Name, err)
	}
	return sealed, nil
}

// EncodeMembers returns the list of a group's members.
func EncodeMembers(id canonical.ID, members []Reader) ([]byte, error) {
	return canonical.Marshal(membersObject{Format: membersFormat, ID: id, Members: members})
}

// DecodeMembers reads the list of the members of the group with this identity.
func DecodeMembers(plain []byte, id canonical.ID) ([]Reader, error) {
	var o membersObject
	if err := canonical.Unmarshal(plain, &o); err != nil || o.Format != membersFormat || o.ID != id {
		return nil, fmt.Errorf("%w: a list of members of group identity %s in format %q: %v", ErrIntegrity, o.ID, o.Format, err)
	}
	return o.Members, nil
}
