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
		v.endSole(e)
		return v.bindMetadata(b.Metadata)
	case KindMemberRemove:
		b, err := decode[MemberRemove](e)
		if err != nil {
			return err
		}
		if err := first(checkSentence("reason", b.Reason, false), checkDocument(b.Cut), v.change(b.Name, func(m *Member) { m.Removed = true })); err != nil {
			return err
		}
		v.end(e, b.Name, b.Cut)
		if err := v.adminLeft(e); err != nil {
			return err
		}
		return v.bindMetadata(b.Metadata)
	case KindMemberRekey:
		b, err := decode[MemberRekey](e)
		if err != nil {
			return err
		}
		if err := checkDocument(b.Cut); err != nil {
			return err
		}
		v.end(e, b.Name, b.Cut)
		if err := v.replaceKey(b.Name, b.Key, func(m *Member) { m.Since = e.Position() }); err != nil {
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
		if v.members[name].Public.Key.KeyID() != e.Author.String() {
			return refuse(RuleTarget, "the key that signs is being replaced already")
		}
		if err := e.Envelope.Verify(pub.Key); err != nil {
			return refuse(RuleQuorum, "not signed with the new key")
		}
		if b.Overlap.Before(e.Time.Time) {
			return refuse(RuleBody, "the overlap ends before it begins")
		}
		if err := checkGroupObject(b.Former); err != nil {
			return err
		}
		v.retire(name, b.Overlap, e.Author, b.Former)
		if err := v.replaceKey(name, b.Key, func(*Member) {}); err != nil {
			return err
		}
		return v.bindMetadata(b.Metadata)
	case KindMemberSuspend, KindMemberResume:
		b, err := decode[MemberMark](e)
		if err != nil {
			return err
		}
		suspend := e.Kind == KindMemberSuspend
		if err := first(checkSentence("reason", b.Reason, false), v.change(b.Name, func(m *Member) { m.Suspended = suspend })); err != nil {
			return err
		}
		v.endSole(e)
		if suspend {
			v.Fence, v.FenceCut = e.Position(), canonical.Digest{}
			return v.adminLeft(e)
		}
		return nil
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

// replaceKey gives a member another key, and changes them further by f.
func (v *Vault) replaceKey(name, line string, f func(*Member)) error {
	pub, err := identity.ParsePublic(line)
	if err != nil {
		return refuse(RuleBody, "%v", err)
	}
	if err := v.change(name, func(m *Member) { m.Public = pub; f(m) }); err != nil {
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
	if err := m.check(); err != nil {
		return err
	}
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
		if v.disposals[b.ID] != nil || b.ID.IsZero() {
			return refuse(RuleUnused, "disposal %s", b.ID)
		}
		if err := first(checkScope(b.Scope), checkDocument(b.Plan), checkSentence("reason", b.Reason, true), checkText("authority", b.Authority, maxAuthority)); err != nil {
			return err
		}
		v.disposals[b.ID] = &Request{DisposalRequest: *b, By: by, At: e.Position(), Time: e.Time,
			sole: v.count(Custodian, e.Time) <= 1, policies: []Policy{v.Policy}}
		return nil
	}
	if e.Kind == KindDisposalRemoved {
		return v.applyRemoved(e, by)
	}
	b, err := decode[DisposalMark](e)
	if err != nil {
		return err
	}
	old := v.disposals[b.ID]
	if old == nil {
		return refuse(RuleTarget, "there is no disposal %s", b.ID)
	}
	if err := checkSentence("reason", b.Reason, false); err != nil {
		return err
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
		r.Approvals = append(r.Approvals[:len(r.Approvals):len(r.Approvals)], Approval{By: by, Key: e.Author, Time: e.Time})
	case KindDisposalCancel:
		if r.Cancelled {
			return refuse(RuleUnused, "disposal %s was cancelled", b.ID)
		}
		if r.Accepted != "" {
			return refuse(RuleTarget, "disposal %s was accepted", b.ID)
		}
		r.Cancelled = true
	case KindDisposalAccept:
		if r.Accepted != "" {
			return refuse(RuleUnused, "disposal %s was accepted", b.ID)
		}
		// Also after a cancel: one that came too late leaves a result to accept.
		r.Accepted, r.AcceptedAt, r.Remark = by, e.Time, b.Reason
	}
	v.disposals[b.ID] = &r
	return nil
}

func checkScope(scope []DisposalScope) error {
	n := 0
	seen := map[canonical.Digest]bool{}
	for _, s := range scope {
		if s.Whole == (len(s.Versions) > 0) || seen[s.Artefact] || s.Artefact.IsZero() {
			return refuse(RuleBody, "scope of %s", s.Artefact)
		}
		seen[s.Artefact] = true
		n += len(s.Versions)
	}
	if len(scope) == 0 || len(scope) > MaxArtefacts || n > MaxNamed || n+scopeCost*len(scope) > MaxScope {
		return refuse(RuleBody, "a scope of %d artefacts and %d versions: at most %d and %d, and %d where an artefact counts %d",
			len(scope), n, MaxArtefacts, MaxNamed, MaxScope, scopeCost)
	}
	return nil
}

// endSole ends the privilege of a sole custodian, also for requests made while
// it lasted, once there is a second one.
func (v *Vault) endSole(e *entry.Entry) {
	if v.count(Custodian, e.Time) <= 1 {
		return
	}
	for id, r := range v.disposals {
		if r.sole {
			c := *r
			c.sole = false
			v.disposals[id] = &c
		}
	}
}

// tightenRequests holds open requests to a new policy as well.
func (v *Vault) tightenRequests() {
	for id, r := range v.disposals {
		c := *r
		c.policies = append(r.policies[:len(r.policies):len(r.policies)], v.Policy)
		v.disposals[id] = &c
	}
}
