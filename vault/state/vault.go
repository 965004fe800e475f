package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
)

// Vault is the fold of the vault's journal up to Head. It is immutable: Apply
// returns the next one. All methods are safe for concurrent use.
type Vault struct {
	Genesis  canonical.Digest
	Head     entry.Position
	Time     entry.Time // of the entry at Head
	Metadata []Metadata // in order; the last one is current
	Custody  Custody
	Policy   Policy
	// Checkpoints are all checkpoints of the vault's log, the oldest first.
	Checkpoints []CheckpointMade
	// Fence is the latest entry that took rights away: what was signed without
	// knowing of it counts in a journal until an entry there cites it. FenceCut is
	// the cut it binds, if it binds one.
	Fence    entry.Position
	FenceCut canonical.Digest

	members   map[string]*Member
	keys      map[canonical.Digest]Key
	taints    []Taint
	trainings []Training
	groups    map[string]*ReaderGroup
	bound     []Object
	grants    []ReadRule
	plugins   []Plugin
	disposals map[canonical.ID]*Request
}

// Request is a disposal as the vault journal knows it.
type Request struct {
	DisposalRequest
	By         string
	At         entry.Position
	Time       entry.Time
	Approvals  []Approval
	Cancelled  bool
	Accepted   string // by whom; "" while it is not
	Removals   []Removal
	AcceptedAt entry.Time
	Remark     string   // of who accepted it
	sole       bool     // there has been one custodian ever since the request
	policies   []Policy // every policy in force since the request
}

// Approval is one custodian's of a disposal, or one operator's of a version.
type Approval struct {
	By   string
	Key  canonical.Digest // that signed it
	Time entry.Time
}

// Approved reports whether policy's approvals are there: those of custodians
// other than the requester, or the sole custodian's own.
func (r *Request) Approved() (bool, string) {
	if r.Cancelled {
		return false, "it was cancelled"
	}
	n, own := 0, false
	for _, a := range r.Approvals {
		if a.By == r.By {
			own = true
		} else {
			n++
		}
	}
	needed := r.Needed()
	if n >= needed || own && r.sole && needed <= 1 {
		return true, ""
	}
	return false, fmt.Sprintf("%d of %d approvals by custodians other than %s", n, needed, r.By)
}

// vaultKinds are those that may follow a genesis.
var vaultKinds = map[string]bool{
	KindMemberAdd: true, KindMemberRemove: true, KindMemberRekey: true, KindMemberRotate: true,
	KindMemberSuspend: true, KindMemberResume: true, KindMemberTaint: true, KindMemberTraining: true, KindGroup: true, KindRule: true,
	KindPolicy: true, KindCustody: true, KindPlugin: true, KindDisposalRequest: true, KindDisposalApprove: true,
	KindDisposalCancel: true, KindDisposalAccept: true, KindDisposalRemoved: true, KindCheckpoint: true, KindSkip: true, KindFence: true,
}

// InVault reports whether a kind belongs in the vault's own journal.
func InVault(kind string) bool { return vaultKinds[kind] || kind == KindGenesis }

// NewVault folds entry 0. Its signature is its founder's own; that it is the
// right vault is for the caller to know, by its hash.
func NewVault(e *entry.Entry) (*Vault, error) {
	if e.Kind != KindGenesis || !e.Critical || e.Seq != 0 || e.Journal != entry.VaultJournal {
		return nil, fmt.Errorf("%w: the vault's first entry is a %s, number %d", ErrUnverifiable, e.Kind, e.Seq)
	}
	g, err := decode[Genesis](e)
	if err != nil {
		return nil, unverifiable(e, "%v", err)
	}
	m, err := checkMember(g.Founder)
	if err != nil {
		return nil, unverifiable(e, "%v", err)
	}
	if err := checkCustody(g.Custody); err != nil {
		return nil, unverifiable(e, "%v", err)
	}
	if err := checkPolicy(g.Policy); err != nil {
		return nil, unverifiable(e, "%v", err)
	}
	v := &Vault{
		Genesis: e.Hash, Head: e.Position(), Time: e.Time, Metadata: []Metadata{g.Metadata}, Custody: g.Custody, Policy: g.Policy,
		members: map[string]*Member{}, keys: map[canonical.Digest]Key{},
		groups: map[string]*ReaderGroup{}, disposals: map[canonical.ID]*Request{},
	}
	m.Since = e.Position()
	if err := first(g.Metadata.check(), v.admit(m)); err != nil {
		return nil, unverifiable(e, "%v", err)
	}
	if err := v.Verify(e); err != nil {
		return nil, err
	}
	if err := v.adminLeft(e); err != nil {
		return nil, unverifiable(e, "%v", err)
	}
	return v, nil
}

// Apply folds the next entry, which must chain to Head. It returns the state
// after it; a Void if the entry does not count; an error wrapping
// ErrUnverifiable or entry.ErrUpgrade if the journal cannot be read past it.
func (v *Vault) Apply(e *entry.Entry) (*Vault, *Void, error) {
	next := v.clone(e.Kind)
	next.Head, next.Time = e.Position(), e.Time
	err := next.authorise(e, "", vaultKinds)
	if err == nil {
		err = next.apply(e)
	}
	if err == nil {
		return next, nil, nil
	}
	r, ok := err.(*refusal)
	if !ok {
		return nil, nil, err
	}
	same := *v
	same.Head, same.Time = e.Position(), e.Time
	return &same, v.void(e, r), nil
}

func (v *Vault) void(e *entry.Entry, r *refusal) *Void {
	name := "an unknown member"
	if m := v.ByKey(e.Author); m != nil {
		name = m.Name
	}
	return &Void{At: e.Position(), Kind: e.Kind, Author: name, Key: e.Author, Time: e.Time, Rule: r.rule, Why: r.why}
}

// clone copies what an entry of this kind changes in place; the rest is shared
// with the states before, of which a client keeps one for every entry.
func (v *Vault) clone(kind string) *Vault {
	n := *v
	switch kind {
	case KindMemberAdd, KindMemberRemove, KindMemberRekey, KindMemberRotate, KindMemberSuspend, KindMemberResume:
		n.members, n.keys, n.disposals = maps.Clone(v.members), maps.Clone(v.keys), maps.Clone(v.disposals)
	case KindGroup:
		n.groups = maps.Clone(v.groups)
	case KindPolicy, KindDisposalRequest, KindDisposalApprove, KindDisposalCancel, KindDisposalAccept, KindDisposalRemoved:
		n.disposals = maps.Clone(v.disposals)
	}
	n.Metadata, n.taints, n.trainings = slices.Clip(v.Metadata), slices.Clip(v.taints), slices.Clip(v.trainings)
	n.grants, n.plugins, n.Checkpoints, n.bound = slices.Clip(v.grants), slices.Clip(v.plugins), slices.Clip(v.Checkpoints), slices.Clip(v.bound)
	return &n
}

func (v *Vault) apply(e *entry.Entry) error {
	switch e.Kind {
	case KindMemberAdd, KindMemberRemove, KindMemberRekey, KindMemberRotate, KindMemberSuspend, KindMemberResume, KindMemberTaint:
		return v.applyMember(e)
	case KindDisposalRequest, KindDisposalApprove, KindDisposalCancel, KindDisposalAccept, KindDisposalRemoved:
		return v.applyDisposal(e)
	case KindCheckpoint:
		return v.applyCheckpoint(e)
	case KindMemberTraining:
		return v.applyTraining(e)
	case KindGroup:
		b, err := decode[Group](e)
		if err != nil {
			return err
		}
		if err := first(checkShort(b.Name), checkRecipient(b.Recipient), checkNamed(b.Object, "grp/"+b.ID.String()+"-"), checkDocument(b.List)); err != nil {
			return err
		}
		if err := v.setGroup(b, e.Position()); err != nil {
			return err
		}
	case KindRule:
		b, err := decode[ReadRule](e)
		if err != nil {
			return err
		}
		if CheckGlob(b.Glob) != nil || len(b.Readers) == 0 || len(b.Readers) > MaxRuleReaders {
			return refuse(RuleBody, "%d readers of %q", len(b.Readers), b.Glob)
		}
		for _, r := range b.Readers {
			if err := checkShort(strings.TrimPrefix(r, "@")); err != nil {
				return err
			}
		}
		v.grants = append(v.grants, *b)
	case KindPolicy:
		b, err := decode[PolicySet](e)
		if err != nil {
			return err
		}
		if err := checkPolicy(b.Policy); err != nil {
			return err
		}
		if n := v.count(Admin, e.Time); b.Policy.AdminQuorum > n {
			return refuse(RuleLastAdmin, "a quorum of %d among %d admins", b.Policy.AdminQuorum, n)
		}
		v.Policy = b.Policy
		v.tightenRequests()
	case KindCustody:
		b, err := decode[CustodySet](e)
		if err != nil {
			return err
		}
		if err := checkCustody(b.Custody); err != nil {
			return err
		}
		v.Custody = b.Custody
	case KindPlugin:
		return v.applyPlugin(e)
	case KindSkip, KindFence:
	}
	return nil
}

// admit makes a member's key known. A key is one member's for ever.
func (v *Vault) admit(m *Member) error {
	id, err := canonical.ParseDigest(m.Public.Key.KeyID())
	if err != nil {
		return err
	}
	if _, taken := v.keys[id]; taken {
		return refuse(RuleUnused, "the key of %s is or was a member's", m.Name)
	}
	v.members[m.Name] = m
	v.keys[id] = Key{Public: m.Public.Key, Recipient: m.Public.Recipient.String(), Member: m.Name}
	return nil
}

// end marks a member's keys dead.
func (v *Vault) end(e *entry.Entry, name string, cut Object) {
	for id, k := range v.keys {
		if k.Member == name && !k.Dead {
			k.Dead, k.Ended, k.Cut = true, e.Position(), cut
			v.keys[id] = k
		}
	}
	v.bound = append(v.bound, cut)
	v.Fence, v.FenceCut = e.Position(), cut.SHA256
}

// retire lets a member's keys end at until. former belongs to the one that signs.
func (v *Vault) retire(name string, until entry.Time, signer canonical.Digest, former Object) {
	for id, k := range v.keys {
		if k.Member == name && !k.Dead {
			if k.Until.IsZero() || until.Before(k.Until.Time) {
				k.Until = until
			}
			if id == signer {
				k.Former = former
			}
			v.keys[id] = k
		}
	}
	v.bound = append(v.bound, former)
}

// CurrentMetadata is the metadata identity to seal to.
func (v *Vault) CurrentMetadata() Metadata { return v.Metadata[len(v.Metadata)-1] }

// Disposal returns a request by id, or nil.
func (v *Vault) Disposal(id canonical.ID) *Request { return v.disposals[id] }

// Disposals returns all requests, oldest first.
func (v *Vault) Disposals() []*Request {
	out := slices.Collect(maps.Values(v.disposals))
	slices.SortFunc(out, func(a, b *Request) int { return int(a.At.Seq) - int(b.At.Seq) })
	return out
}

// Tainted reports whether what the key signed at t is not to be trusted.
func (v *Vault) Tainted(key canonical.Digest, t entry.Time) bool {
	return slices.ContainsFunc(v.taints, func(w Taint) bool {
		return w.Key == key && !t.Before(w.From.Time) && !t.After(w.To.Time)
	})
}

// Recipients returns the public halves of all members that may still read, in
// order of names.
func (v *Vault) Recipients() []identity.Public {
	var out []identity.Public
	for _, m := range v.Members() {
		out = append(out, m.Public)
	}
	return out
}

// Bound returns the objects that entries bind beside metadata identities:
// groups, their lists, cuts, former identities and documents of training.
func (v *Vault) Bound() []Object { return slices.Clip(v.bound) }

func unverifiable(e *entry.Entry, format string, args ...any) error {
	return fmt.Errorf("%w: %s entry %d of journal %s: %s", ErrUnverifiable, e.Kind, e.Seq, e.Journal, fmt.Sprintf(format, args...))
}

func checkCustody(c Custody) error {
	if len(c.Keepers) == 0 || len(c.Keepers) > MaxKeepers || c.Mode != AnyOf && c.Mode != AllOf {
		return refuse(RuleBody, "custody %q with %d keepers", c.Mode, len(c.Keepers))
	}
	seen := map[string]bool{}
	for _, k := range c.Keepers {
		if k.Instance == "" || seen[k.Instance] {
			return refuse(RuleBody, "keeper %q of kind %q", k.Instance, k.Kind)
		}
		if err := first(checkText("keeper", k.Instance, maxRef), checkWord("kind of keeper", k.Kind)); err != nil {
			return err
		}
		seen[k.Instance] = true
	}
	if b, err := canonical.Marshal(c.Keepers); err != nil || len(b) > maxCustody {
		return refuse(RuleBody, "keepers of %d bytes: at most %d", len(b), maxCustody)
	}
	return nil
}

// Check reports whether a policy is one that an entry may set, as far as that can
// be told without a vault.
func (p Policy) Check() error { return checkPolicy(p) }

func checkPolicy(p Policy) error {
	if p.Approvals < 1 || p.Approvals > 16 || p.AdminQuorum < 1 || p.AdminQuorum > 16 {
		return refuse(RuleBody, "policy: approvals %d, admin quorum %d (1 to 16)", p.Approvals, p.AdminQuorum)
	}
	switch p.Receipts {
	case "", ReceiptsOff, ReceiptsBestEffort, ReceiptsRequired:
	default:
		return refuse(RuleBody, "receipts %q: %s, %s or %s", p.Receipts, ReceiptsOff, ReceiptsBestEffort, ReceiptsRequired)
	}
	return first(checkRetention(p.Retention), checkFreshness(p), checkRequirements(p.Channels))
}
