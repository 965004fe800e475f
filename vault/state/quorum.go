package state

import (
	"slices"

	"github.com/aivault/aivault/vault/entry"
)

// Quorum returns how many admins must sign a kind of entry.
func (v *Vault) Quorum(kind string) int {
	if slices.Equal(roleTable[kind], []string{Admin}) {
		return v.Policy.AdminQuorum
	}
	return 1
}

// Lacks returns how many admins must still sign e, which must chain to Head,
// before it counts. Errors: a *Void if it would not count whoever signed it;
// those of Apply.
func (v *Vault) Lacks(e *entry.Entry) (int, error) {
	next := v.clone(e.Kind)
	next.Head, next.Time = e.Position(), e.Time
	author, signers, err := next.verify(e)
	if err != nil {
		return 0, err
	}
	lacks := 0
	err = next.permit(e, "", vaultKinds, author, signers)
	if r, ok := err.(*refusal); ok && r.rule == RuleQuorum {
		err, lacks = nil, v.Quorum(e.Kind)-v.admins(signers)
	}
	if err == nil {
		err = next.apply(e)
	}
	if r, ok := err.(*refusal); ok {
		return 0, v.void(e, r)
	}
	return lacks, err
}

// admins returns how many of the members named are admins.
func (v *Vault) admins(signers []string) int {
	n := 0
	for _, s := range signers {
		if v.members[s].Has(Admin, "") {
			n++
		}
	}
	return n
}

// SignersOf returns the names of the members whose signatures on e count.
func (v *Vault) SignersOf(e *entry.Entry) ([]string, error) {
	_, signers, err := v.verify(e)
	return signers, err
}

// AdminsWithout returns how many admins active at t there are besides one member.
func (v *Vault) AdminsWithout(name string, t entry.Time) int {
	n := v.count(Admin, t)
	if m := v.members[name]; m != nil && m.Active(t) && m.Has(Admin, "") {
		n--
	}
	return n
}
