package state

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
)

// Key is a signing key that is or was a member's.
type Key struct {
	Public    *dsse.PublicKey
	Recipient string // of the same identity
	Member    string
	Until     entry.Time     // after a rotation: the end of the overlap; zero: no end
	Former    Object         // after a rotation: the age identity, sealed to the next one
	Dead      bool           // removed or replaced
	Ended     entry.Position // of the entry that made it so
	Cut       Object         // that the entry binds
}

// Member is one member. Removed members stay known, so that what they signed can be judged.
type Member struct {
	Name      string
	Public    identity.Public
	Roles     []Grant
	Env       string
	Person    string
	Expires   entry.Time
	Since     entry.Position // of the entry that added or re-keyed the member
	Removed   bool
	Suspended bool
}

// Taint is a window in which a key's signatures are not trusted for known good.
type Taint struct {
	Key      canonical.Digest
	From, To entry.Time
}

// Active reports whether the member may act at t.
func (m *Member) Active(t entry.Time) bool {
	return !m.Removed && !m.Suspended && (m.Expires.IsZero() || t.Before(m.Expires.Time))
}

// Has reports whether the member has a role for the artefact called name, or vault-wide for "".
func (m *Member) Has(role, name string) bool {
	return slices.ContainsFunc(m.Roles, func(g Grant) bool { return g.Role == role && MatchGlob(g.Glob, name) })
}

// Members returns the members that are not removed, by name.
func (v *Vault) Members() []*Member {
	var out []*Member
	for _, name := range slices.Sorted(maps.Keys(v.members)) {
		if m := v.members[name]; !m.Removed {
			out = append(out, m)
		}
	}
	return out
}

// Member returns a member by name, removed ones included, or nil.
func (v *Vault) Member(name string) *Member { return v.members[name] }

// ByKey returns the member whose key has this id, removed ones included, or nil.
func (v *Vault) ByKey(keyID canonical.Digest) *Member {
	if k, ok := v.keys[keyID]; ok {
		return v.members[k.Member]
	}
	return nil
}

// Key returns the public half of a key that is or was a member's, or nil.
func (v *Vault) Key(keyID canonical.Digest) *dsse.PublicKey {
	if k, ok := v.keys[keyID]; ok {
		return k.Public
	}
	return nil
}

// count returns how many members active at t have a role vault-wide.
func (v *Vault) count(role string, t entry.Time) int {
	n := 0
	for _, m := range v.members {
		if m.Active(t) && m.Has(role, "") {
			n++
		}
	}
	return n
}

// verify checks all signatures of an entry. It returns the author's name and
// the names of all who signed and could: active members, with a key that was
// not replaced. Errors wrap ErrUnverifiable.
func (v *Vault) verify(e *entry.Entry) (author string, signers []string, err error) {
	for _, s := range e.Envelope.Signatures {
		id, err := canonical.ParseDigest(s.KeyID)
		if err != nil {
			return "", nil, unverifiable(e, "key id %q", s.KeyID)
		}
		k, ok := v.keys[id]
		if !ok {
			if k.Public = rotatesTo(e); k.Public == nil || k.Public.KeyID() != s.KeyID {
				return "", nil, unverifiable(e, "signed by an unknown key %s", s.KeyID)
			}
		}
		if err := e.Envelope.Verify(k.Public); err != nil {
			return "", nil, unverifiable(e, "%v", err)
		}
		if !ok {
			continue
		}
		if id == e.Author {
			author = k.Member
		}
		if !slices.Contains(signers, k.Member) && k.valid(e.Time) && v.members[k.Member].Active(e.Time) {
			signers = append(signers, k.Member)
		}
	}
	if author == "" {
		return "", nil, unverifiable(e, "not signed by its author")
	}
	return author, signers, nil
}

// rotatesTo returns the key that a rotation brings in, which signs it before it is anybody's; else nil.
func rotatesTo(e *entry.Entry) *dsse.PublicKey {
	if e.Kind != KindMemberRotate {
		return nil
	}
	b, err := decode[MemberRotate](e)
	if err != nil {
		return nil
	}
	pub, err := identity.ParsePublic(b.Key)
	if err != nil {
		return nil
	}
	return pub.Key
}

// valid reports whether signatures with the key count at t.
func (k Key) valid(t entry.Time) bool { return !k.Dead && (k.Until.IsZero() || t.Before(k.Until.Time)) }

// authorise verifies an entry's signatures and says whether its author may
// write it here: among the kinds of this journal, on the artefact called name
// ("" for the vault). Errors: ErrUnverifiable; entry.ErrUpgrade for a critical
// kind that this client does not know; a refusal.
//
// A skip entry that is not permitted is unverifiable: what it passes over must
// not depend on somebody without the right.
func (v *Vault) authorise(e *entry.Entry, name string, here map[string]bool) error {
	author, signers, err := v.verify(e)
	if err != nil {
		return err
	}
	err = v.permit(e, name, here, author, signers)
	if err != nil && e.Kind == KindSkip {
		return unverifiable(e, "%v", err)
	}
	return err
}

func (v *Vault) permit(e *entry.Entry, name string, here map[string]bool, author string, signers []string) error {
	want, known := critical[e.Kind]
	switch {
	case !slices.Contains(signers, author):
		return refuse(RuleMember, "%s was not an active member, or the key was replaced", author)
	case !known && e.Critical:
		return fmt.Errorf("entry %d is a critical %q: %w", e.Seq, e.Kind, entry.ErrUpgrade)
	case !known:
		return refuse(RuleKind, "this client is too old for it")
	case !here[e.Kind]:
		return refuse(RuleKind, "it does not belong in journal %s", e.Journal)
	case want != e.Critical:
		return refuse(RuleKind, "it says critical %v", e.Critical)
	case !permits(v.members[author].Roles, e.Kind, name):
		return refuse(RuleRole, "%s has none of the roles %v here", author, roleTable[e.Kind])
	}
	if need := v.Quorum(e.Kind); need > 1 {
		if n := v.admins(signers); n < need {
			return refuse(RuleQuorum, "%d of %d admins signed", n, need)
		}
	}
	return nil
}

// Check reports whether a member so described could be added, as far as that
// can be told without a vault.
func (s MemberSpec) Check() error {
	_, err := checkMember(s)
	return err
}

// checkMember builds a member from what an admin entered.
func checkMember(s MemberSpec) (*Member, error) {
	if err := CheckShortName(s.Name); err != nil {
		return nil, refuse(RuleBody, "%v", err)
	}
	pub, err := identity.ParsePublic(s.Key)
	if err != nil {
		return nil, refuse(RuleBody, "key of %s: %v", s.Name, err)
	}
	if len(s.Roles) > MaxGrants {
		return nil, refuse(RuleBody, "member %s: %d roles, at most %d", s.Name, len(s.Roles), MaxGrants)
	}
	if err := first(checkText("environment", s.Env, MaxWord), checkText("person", s.Person, maxPerson)); err != nil {
		return nil, err
	}
	for _, g := range s.Roles {
		if !slices.Contains(Roles(), g.Role) || CheckGlob(g.Glob) != nil {
			return nil, refuse(RuleBody, "member %s: role %q for %q", s.Name, g.Role, g.Glob)
		}
	}
	return &Member{Name: s.Name, Public: pub, Roles: s.Roles, Env: s.Env, Person: s.Person, Expires: s.Expires}, nil
}

// Verify checks every signature of e against the keys that are or were
// members'. It is what separates junk from an entry that is merely void.
func (v *Vault) Verify(e *entry.Entry) error {
	_, _, err := v.verify(e)
	return err
}

// May says whether the holder of a key may write a kind of entry at t on the
// artefact called name ("" for the vault): nil, or an error wrapping
// ErrNotPermitted that names the rule.
func (v *Vault) May(keyID canonical.Digest, kind, name string, t entry.Time) error {
	k, ok := v.keys[keyID]
	if !ok {
		return fmt.Errorf("%w: this identity is not a member's (rule %s)", ErrNotPermitted, RuleMember)
	}
	m := v.members[k.Member]
	if !k.valid(t) || !m.Active(t) {
		return fmt.Errorf("%w: %s is not an active member, or this key was replaced (rule %s)", ErrNotPermitted, m.Name, RuleMember)
	}
	if !permits(m.Roles, kind, name) {
		return fmt.Errorf("%w: a %s entry needs one of the roles %v, which %s has not (rule %s)", ErrNotPermitted, kind, roleTable[kind], m.Name, RuleRole)
	}
	return nil
}
