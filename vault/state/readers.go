package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// ReaderGroup is a group of readers.
type ReaderGroup struct {
	Group
	At entry.Position
	// Older are the identities it had before, newest first: generations may still
	// be sealed to them.
	Older []Group
}

// IsGroup reports whether a reader's name is that of a group, and returns it without the mark.
func IsGroup(reader string) (string, bool) { return strings.CutPrefix(reader, "@") }

// Groups returns all groups, by name.
func (v *Vault) Groups() []*ReaderGroup {
	var out []*ReaderGroup
	for _, name := range slices.Sorted(maps.Keys(v.groups)) {
		out = append(out, v.groups[name])
	}
	return out
}

// Group returns a group by its name without '@', or nil.
func (v *Vault) Group(name string) *ReaderGroup { return v.groups[name] }

func (v *Vault) setGroup(b *Group, at entry.Position) error {
	old := v.groups[b.Name]
	for name, g := range v.groups {
		for _, used := range append([]Group{g.Group}, g.Older...) {
			if used.ID == b.ID && (name != b.Name || used.ID != g.ID || used.Recipient != b.Recipient) {
				return refuse(RuleUnused, "group identity %s", b.ID)
			}
		}
	}
	next := &ReaderGroup{Group: *b, At: at}
	if old != nil {
		next.Older = old.Older
		if old.ID != b.ID {
			next.Older = append([]Group{old.Group}, old.Older...)
		}
	}
	v.groups[b.Name] = next
	v.bound = append(v.bound, b.Object, b.List)
	return nil
}

// Rules returns the reading rules, oldest first.
func (v *Vault) Rules() []ReadRule { return slices.Clip(v.grants) }

// Covered returns who may read an artefact of this name by rule, sorted: names,
// and groups with '@'. Of rules that name the same reader the latest that
// matches decides.
func (v *Vault) Covered(artefact string) []string {
	in := map[string]bool{}
	for _, r := range v.grants {
		if MatchGlob(r.Glob, artefact) {
			for _, name := range r.Readers {
				in[name] = !r.Revoke
			}
		}
	}
	maps.DeleteFunc(in, func(_ string, yes bool) bool { return !yes })
	return slices.Sorted(maps.Keys(in))
}

// Recipient returns what to seal to for a reader, a member's name or a group's
// with '@', at t. It is "" for one who is not to be sealed to: who is unknown,
// removed, suspended or expired.
func (v *Vault) Recipient(reader string, t entry.Time) string {
	if name, ok := IsGroup(reader); ok {
		if g := v.groups[name]; g != nil {
			return g.Recipient
		}
		return ""
	}
	if m := v.members[reader]; m != nil && m.Active(t) {
		return m.Public.Recipient.String()
	}
	return ""
}

// Holds reports whether a reader may still have what is sealed to recipient: it
// is their own, or, of a member, one that they replaced themselves.
func (v *Vault) Holds(reader, recipient string) bool {
	if name, ok := IsGroup(reader); ok {
		g := v.groups[name]
		return g != nil && g.Recipient == recipient
	}
	m := v.members[reader]
	if m == nil || m.Removed {
		return false
	}
	for _, k := range v.keys {
		if k.Member == reader && !k.Dead && k.Recipient == recipient {
			return true
		}
	}
	return false
}

// FormerIdentities returns the objects that hold age identities which the
// member has replaced by a rotation, in any order.
func (v *Vault) FormerIdentities(member string) []Object {
	var out []Object
	for _, k := range v.keys {
		if k.Member == member && !k.Dead && k.Former != (Object{}) {
			out = append(out, k.Former)
		}
	}
	return out
}

// MetadataRecipients returns what a metadata identity is sealed to at t: every
// member that is not removed, and, while a rotation's overlap lasts, the
// identity before as well.
func (v *Vault) MetadataRecipients(t entry.Time) []string {
	var out []string
	for _, m := range v.Members() {
		own := m.Public.Recipient.String()
		out = append(out, own)
		for _, k := range v.keys {
			if k.Member == m.Name && k.valid(t) && k.Recipient != own {
				out = append(out, k.Recipient)
			}
		}
	}
	return out
}

// EndedKey returns where a key was ended by a removal or rekeying, and the cut
// bound there; ok is false for a key that was not.
func (v *Vault) EndedKey(keyID canonical.Digest) (at entry.Position, cut Object, ok bool) {
	k, known := v.keys[keyID]
	return k.Ended, k.Cut, known && k.Dead
}

// ResealPending returns the live versions whose rows are not known to be sealed
// to the current readers: those whom a revocation took away could still open
// them, with the keeper's help.
func (a *Artefact) ResealPending() []*CommittedVersion {
	g := a.Generation()
	if g == nil || a.Current == nil {
		return nil
	}
	var out []*CommittedVersion
	for _, v := range a.LiveSet() {
		gid := v.GID
		if v.EID != a.Current.EID && !a.Activated.GID.IsZero() {
			gid = a.Activated.GID
		}
		if gid != g.GID {
			out = append(out, v)
		}
	}
	return out
}

// MayReplaceReaders says whether the holder of a key may take readers of the
// artefact called name away: nil, or an error wrapping ErrNotPermitted.
func (v *Vault) MayReplaceReaders(keyID canonical.Digest, name string, t entry.Time) error {
	if err := v.May(keyID, KindReaders, name, t); err != nil {
		return err
	}
	if m := v.ByKey(keyID); !m.Has(Operator, name) && !m.Has(Admin, name) {
		return fmt.Errorf("%w: %s is neither operator nor admin here and cannot take readers away (rule %s)", ErrNotPermitted, m.Name, RuleRole)
	}
	return nil
}
