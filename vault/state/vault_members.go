package state

import (
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
)

func (v *Vault) applyMember(e *entry.Entry) error {
	switch e.Kind {
	case KindMemberAdd:
		b, err := decode[MemberAdd](e)
		if err != nil {
			return err
		}
		m, err := checkMember(b.Member)
		if err != nil {
			return err
		}
		if old := v.members[m.Name]; old != nil {
			return refuse(RuleUnused, "the name %s is or was a member's", m.Name)
		}
		m.Since = e.Position()
		if err := v.admit(m); err != nil {
			return err
		}
		return v.bindMetadata(b.Metadata)
	case KindMemberRemove:
		b, err := decode[MemberRemove](e)
		if err != nil {
			return err
		}
		if err := v.change(b.Name, func(m *Member) { m.Removed = true }); err != nil {
			return err
		}
		v.retire(b.Name, entry.Time{})
		if err := v.adminLeft(e); err != nil {
			return err
		}
		return v.bindMetadata(b.Metadata)
	case KindMemberRekey:
		b, err := decode[MemberRekey](e)
		if err != nil {
			return err
		}
		v.retire(b.Name, entry.Time{})
		if err := v.replaceKey(e, b.Name, b.Key); err != nil {
			return err
		}
		return v.bindMetadata(b.Metadata)
	case KindMemberRotate:
		b, err := decode[MemberRotate](e)
		if err != nil {
			return err
		}
		name := v.keys[e.Author].Member
		pub, err := identity.ParsePublic(b.Key)
		if err != nil {
			return refuse(RuleBody, "%v", err)
		}
		if err := e.Envelope.Verify(pub.Key); err != nil {
			return refuse(RuleQuorum, "not signed with the new key")
		}
		if b.Overlap.Before(e.Time.Time) {
			return refuse(RuleBody, "the overlap ends before it begins")
		}
		v.retire(name, b.Overlap)
		if err := v.replaceKey(e, name, b.Key); err != nil {
			return err
		}
		return v.bindMetadata(b.Metadata)
	case KindMemberSuspend, KindMemberResume:
		b, err := decode[MemberMark](e)
		if err != nil {
			return err
		}
		if err := v.change(b.Name, func(m *Member) { m.Suspended = e.Kind == KindMemberSuspend }); err != nil {
			return err
		}
		return v.adminLeft(e)
	default:
		b, err := decode[MemberTaint](e)
		if err != nil {
			return err
		}
		if _, ok := v.keys[b.Key]; !ok || b.To.Before(b.From.Time) {
			return refuse(RuleTarget, "key %s from %s to %s", b.Key, b.From, b.To)
		}
		v.taints = append(v.taints, Taint{Key: b.Key, From: b.From, To: b.To})
		return nil
	}
}

// change applies f to a copy of a member.
func (v *Vault) change(name string, f func(*Member)) error {
	m := v.members[name]
	if m == nil || m.Removed {
		return refuse(RuleTarget, "there is no member %s", name)
	}
	c := *m
	f(&c)
	v.members[name] = &c
	return nil
}

func (v *Vault) replaceKey(e *entry.Entry, name, line string) error {
	pub, err := identity.ParsePublic(line)
	if err != nil {
		return refuse(RuleBody, "%v", err)
	}
	if err := v.change(name, func(m *Member) { m.Public, m.Since = pub, e.Position() }); err != nil {
		return err
	}
	return v.admit(v.members[name])
}

// adminLeft keeps a vault from losing the last member that can administer it.
func (v *Vault) adminLeft(e *entry.Entry) error {
	if n := v.count(Admin, e.Time); n < v.Policy.AdminQuorum {
		return refuse(RuleLastAdmin, "%d admins would be left; %d are needed", n, v.Policy.AdminQuorum)
	}
	return nil
}

func (v *Vault) bindMetadata(m Metadata) error {
	for _, old := range v.Metadata {
		if old.MID == m.MID {
			return refuse(RuleUnused, "metadata identity %s", m.MID)
		}
	}
	v.Metadata = append(v.Metadata, m)
	return nil
}

func (v *Vault) applyDisposal(e *entry.Entry) error {
	by := v.keys[e.Author].Member
	if e.Kind == KindDisposalRequest {
		b, err := decode[DisposalRequest](e)
		if err != nil {
			return err
		}
		if v.disposals[b.ID] != nil {
			return refuse(RuleUnused, "disposal %s", b.ID)
		}
		if err := checkScope(b.Scope); err != nil {
			return err
		}
		v.disposals[b.ID] = &Request{DisposalRequest: *b, By: by, At: e.Position(), Time: e.Time,
			sole: v.count(Custodian, e.Time) <= 1, needed: v.Policy.Approvals}
		return nil
	}
	b, err := decode[DisposalMark](e)
	if err != nil {
		return err
	}
	old := v.disposals[b.ID]
	if old == nil {
		return refuse(RuleTarget, "there is no disposal %s", b.ID)
	}
	r := *old
	switch e.Kind {
	case KindDisposalApprove:
		if b.Plan != r.Plan.SHA256 {
			return refuse(RuleTarget, "it approves another plan")
		}
		if r.Cancelled {
			return refuse(RuleTarget, "disposal %s was cancelled", b.ID)
		}
		if by == r.By && !r.sole {
			return refuse(RuleSecondPerson, "%s requested it", by)
		}
		if m := v.members[by]; m.Since.Seq > r.At.Seq {
			return refuse(RuleApproved, "%s was added or re-keyed after the request", by)
		}
		for _, a := range r.Approvals {
			if a.By == by {
				return refuse(RuleUnused, "%s approved it already", by)
			}
		}
		r.Approvals = append(r.Approvals[:len(r.Approvals):len(r.Approvals)], Approval{By: by, Time: e.Time})
	case KindDisposalCancel:
		if r.Cancelled {
			return refuse(RuleUnused, "disposal %s was cancelled", b.ID)
		}
		r.Cancelled = true
	case KindDisposalAccept:
		if r.Accepted != "" {
			return refuse(RuleUnused, "disposal %s was accepted", b.ID)
		}
		r.Accepted = by
	}
	v.disposals[b.ID] = &r
	return nil
}

func checkScope(scope []DisposalScope) error {
	n := 0
	seen := map[canonical.Digest]bool{}
	for _, s := range scope {
		if s.Whole == (len(s.Versions) > 0) || seen[s.Artefact] {
			return refuse(RuleBody, "scope of %s", s.Artefact)
		}
		seen[s.Artefact] = true
		n += len(s.Versions)
	}
	if len(scope) == 0 || len(scope) > 64 || n > 256 {
		return refuse(RuleBody, "a scope of %d artefacts and %d versions", len(scope), n)
	}
	return nil
}

// tightenRequests holds open requests to the strictest policy since they were made.
func (v *Vault) tightenRequests() {
	for id, r := range v.disposals {
		if r.needed < v.Policy.Approvals {
			c := *r
			c.needed = v.Policy.Approvals
			v.disposals[id] = &c
		}
	}
}
