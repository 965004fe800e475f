// Package state gives journal entries their meaning: the types of entry, the
// table of roles, and the fold that turns a verified journal into the state of
// a vault or an artefact (vault/FORMAT.md §5). It is pure: it reads no storage
// and no clock, and the same entries always give the same state.
//
// A verified entry that its author was not permitted to write, or that comes
// too late for where it stands, is void: it stays in the chain, changes
// nothing, and is reported with the rule it broke.
package state

import (
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Kinds of entries. A kind stands in one sort of journal: the vault's, an
// artefact's, or (skip, fence) both.
const (
	KindGenesis         = "genesis"
	KindMemberAdd       = "member.add"
	KindMemberRemove    = "member.remove"
	KindMemberRekey     = "member.rekey"
	KindMemberRotate    = "member.rotate"
	KindMemberSuspend   = "member.suspend"
	KindMemberResume    = "member.resume"
	KindMemberTaint     = "member.taint"
	KindMemberTraining  = "member.training"
	KindGroup           = "group"
	KindRule            = "rule"
	KindPolicy          = "policy"
	KindCustody         = "custody"
	KindPlugin          = "plugin"
	KindDisposalRequest = "disposal.request"
	KindDisposalApprove = "disposal.approve"
	KindDisposalCancel  = "disposal.cancel"
	KindDisposalAccept  = "disposal.accept"
	KindDisposalRemoved = "disposal.removed"
	KindCheckpoint      = "checkpoint"

	KindRegister   = "register"
	KindReaders    = "readers"
	KindIntent     = "intent"
	KindCandidate  = "candidate"
	KindActivate   = "activate"
	KindVersion    = "version"
	KindChannel    = "channel"
	KindCondemn    = "condemn"
	KindExecute    = "execute"
	KindCancel     = "cancel"
	KindDestroyed  = "destroyed"
	KindPurged     = "purged"
	KindVerified   = "verified"
	KindHold       = "hold"
	KindRelease    = "release"
	KindQuarantine = "quarantine"
	KindClear      = "clear"
	KindPermit     = "permit"
	KindApprove    = "approve"
	KindWaive      = "waive"
	KindAttest     = "attest"
	KindTransfer   = "transfer"

	KindSkip  = entry.KindSkip
	KindFence = "fence"
)

// Critical reports whether a client that does not know the kind must stop:
// whatever denies, holds, removes, kills, or decides which keys are used.
// Kinds not in the table are not ours to write.
func Critical(kind string) bool { return critical[kind] }

var critical = map[string]bool{
	KindGenesis: true, KindMemberAdd: true, KindMemberRemove: true, KindMemberRekey: true, KindMemberRotate: true,
	KindMemberSuspend: true, KindMemberResume: true, KindMemberTaint: true, KindMemberTraining: true, KindGroup: true, KindRule: true,
	KindPolicy: true, KindCustody: true, KindPlugin: true,
	KindDisposalRequest: true, KindDisposalApprove: true, KindDisposalCancel: true, KindDisposalAccept: false, KindDisposalRemoved: false, KindCheckpoint: false,
	KindRegister: true, KindReaders: true, KindIntent: true, KindCandidate: true, KindActivate: true,
	KindVersion: true, KindChannel: true, KindCondemn: true, KindExecute: true, KindCancel: true,
	KindDestroyed: true, KindPurged: true, KindVerified: false, KindHold: true, KindRelease: true,
	KindQuarantine: true, KindClear: true, KindPermit: false, KindApprove: false, KindWaive: true, KindAttest: false, KindTransfer: false,
	KindSkip: true, KindFence: true,
}

// Bodies of the vault journal.
type (
	// Genesis is entry 0 of the vault journal; its envelope's hash names the vault for ever.
	Genesis struct {
		Founder  MemberSpec `json:"founder"`
		Metadata Metadata   `json:"metadata"`
		Custody  Custody    `json:"custody"`
		Policy   Policy     `json:"policy"`
	}
	MemberAdd struct {
		Member   MemberSpec `json:"member"`
		Metadata Metadata   `json:"metadata"`
	}
	// MemberRemove ends a membership. Cut is the digest of the object that lists
	// every journal's head at that moment.
	MemberRemove struct {
		Name     string   `json:"name"`
		Cut      Object   `json:"cut"`
		Metadata Metadata `json:"metadata"`
		Reason   string   `json:"reason,omitempty"`
	}
	// MemberRekey replaces a lost or stolen key; an admin's act. It ends the old
	// key as MemberRemove ends a membership, Cut and all.
	MemberRekey struct {
		Name     string   `json:"name"`
		Key      string   `json:"key"`
		Cut      Object   `json:"cut"`
		Metadata Metadata `json:"metadata"`
	}
	// MemberRotate replaces one's own key, signed with both. The old one signs on
	// until Overlap. Former binds the old age identity, sealed to the new one, so
	// that nothing that was ever sealed to the member needs to be sealed again.
	MemberRotate struct {
		Key      string     `json:"key"`
		Overlap  entry.Time `json:"overlap"`
		Former   Object     `json:"former"`
		Metadata Metadata   `json:"metadata"`
	}
	// MemberMark suspends or resumes.
	MemberMark struct {
		Name   string `json:"name"`
		Reason string `json:"reason,omitempty"`
	}
	// MemberTaint says that a key's signatures in a window are not to be trusted for known good.
	MemberTaint struct {
		Key  canonical.Digest `json:"key"`
		From entry.Time       `json:"from"`
		To   entry.Time       `json:"to"`
	}
	// Group makes a group. With the id that the group has it seals the same
	// identity to more members; with another it replaces the identity.
	Group struct {
		Name      string       `json:"name"`
		ID        canonical.ID `json:"id"`
		Recipient string       `json:"recipient"`
		Object    Object       `json:"object"` // the group's identity, sealed to all its members
		List      Object       `json:"list"`   // all the members
	}
	// ReadRule grants reading to (or takes it from) artefacts that match a glob, existing or not.
	ReadRule struct {
		Glob    string   `json:"glob"`
		Readers []string `json:"readers"` // names and @groups
		Revoke  bool     `json:"revoke,omitempty"`
	}
	PolicySet struct {
		Policy Policy `json:"policy"`
	}
	CustodySet struct {
		Custody Custody `json:"custody"`
	}
	// Plugin adds a plugin's binary for one platform, or withdraws it.
	Plugin struct {
		Name     string           `json:"name"`
		Platform string           `json:"platform"`
		SHA256   canonical.Digest `json:"sha256"`
		Env      []string         `json:"env,omitempty"`
		Remove   bool             `json:"remove,omitempty"`
	}
	// DisposalRequest asks for an end of life. Plan binds the object that says what dies and why.
	DisposalRequest struct {
		ID        canonical.ID    `json:"id"`
		Scope     []DisposalScope `json:"scope"`
		After     entry.Time      `json:"after"` // not due before
		Plan      Object          `json:"plan"`
		Authority string          `json:"authority,omitempty"`
		Reason    string          `json:"reason"`
	}
	// DisposalScope names versions of one artefact, or all of it.
	DisposalScope struct {
		Artefact canonical.Digest `json:"artefact"`
		Versions []canonical.ID   `json:"versions,omitempty"`
		Whole    bool             `json:"whole,omitempty"`
	}
	// DisposalMark approves (binding the plan), cancels or accepts.
	DisposalMark struct {
		ID     canonical.ID     `json:"id"`
		Plan   canonical.Digest `json:"plan,omitzero"`
		Reason string           `json:"reason,omitempty"`
	}
)

// Bodies of an artefact's journal.
type (
	Register struct {
		Name string `json:"name"`
	}
	// Readers starts a generation or (Add) seals the current one to more readers.
	Readers struct {
		GID       canonical.ID `json:"gid"`
		Recipient string       `json:"recipient"`
		Object    Object       `json:"object"` // the generation identity, sealed to the readers
		List      Object       `json:"list"`   // who they are: those that Object is sealed to
		Add       bool         `json:"add,omitempty"`
	}
	// Intent announces an epoch, before its keeper keys exist.
	Intent struct {
		EID     canonical.ID `json:"eid"`
		Label   string       `json:"label"`
		Custody Custody      `json:"custody"`
	}
	// KeyRef is one keeper's key.
	KeyRef struct {
		Instance string `json:"instance"`
		Ref      string `json:"ref"`
	}
	// Candidate names the keeper keys of an intent's epoch, before they wrap anything.
	Candidate struct {
		EID       canonical.ID `json:"eid"`
		Mode      string       `json:"mode"`
		Keys      []KeyRef     `json:"keys"`
		Recipient string       `json:"recipient"`
	}
	// Activate makes a candidate the current epoch. None set: the artefact ends.
	// GID is the generation that every carried row is sealed to; left out where
	// there is none such.
	Activate struct {
		EID       canonical.ID     `json:"eid,omitzero"`
		GID       canonical.ID     `json:"gid,omitzero"`
		None      bool             `json:"none,omitempty"`
		Seed      canonical.Digest `json:"seed,omitzero"` // of the object e/<eid>/id
		Index     Object           `json:"index,omitzero"`
		Survivors Survivors        `json:"survivors"`
	}
	// Survivors binds a set of versions by number and digest.
	Survivors struct {
		Count  int              `json:"count"`
		Digest canonical.Digest `json:"digest"`
	}
	// Version commits a version.
	Version struct {
		VID            canonical.ID      `json:"vid"`
		EID            canonical.ID      `json:"eid"`
		GID            canonical.ID      `json:"gid"`
		Recipient      string            `json:"recipient"`
		Row            canonical.Digest  `json:"row"`      // of the inner row
		Manifest       Object            `json:"manifest"` // the root
		Secret         canonical.Digest  `json:"secret"`   // of the object s
		References     Object            `json:"references"`
		Digest         canonical.Digest  `json:"digest"`             // the version digest
		Borrowed       []canonical.ID    `json:"borrowed,omitempty"` // the versions it borrowed through
		Stored         int64             `json:"stored"`             // bytes of all its objects in storage, borrowed ones included
		Uploaded       int64             `json:"uploaded"`           // bytes of those it added
		Kind           string            `json:"kind"`
		Classification string            `json:"classification"`
		Labels         map[string]string `json:"labels,omitempty"`
		Sources        []Source          `json:"sources,omitempty"`
		Lineage        []Edge            `json:"lineage,omitempty"`
		Complete       bool              `json:"complete"`               // its author declares that lineage and sources name all it comes from
		Justification  Document          `json:"justification,omitzero"` // why what comes from outside is used
		Parts          []SystemPart      `json:"parts,omitempty"`        // of a system
		Move           string            `json:"move,omitempty"`         // a channel that moves to it
	}
	// Source is where public material came from.
	Source struct {
		URL      string     `json:"url"`
		Acquired entry.Time `json:"acquired"`
	}
	// Edge names an earlier version that a version is related to, and how.
	Edge struct {
		Artefact canonical.Digest `json:"artefact"`
		Version  canonical.ID     `json:"version"`
		Role     string           `json:"role"`
	}
	// Channel moves a channel. From is where it pointed; zero if nowhere.
	Channel struct {
		Channel  string       `json:"channel"`
		From     canonical.ID `json:"from,omitzero"`
		To       canonical.ID `json:"to"`
		Reason   string       `json:"reason,omitempty"`
		Incident string       `json:"incident,omitempty"`
	}
	// Versions is the body of condemn.
	Versions struct {
		Versions []canonical.ID `json:"versions"`
	}
	// Execute begins what an approved disposal asks of this artefact: its versions, or all.
	Execute struct {
		Disposal canonical.ID   `json:"disposal"`
		Versions []canonical.ID `json:"versions,omitempty"`
		Whole    bool           `json:"whole,omitempty"`
	}
	// Disposal names a disposal: the body of cancel.
	Disposal struct {
		Disposal canonical.ID `json:"disposal"`
		Reason   string       `json:"reason,omitempty"`
	}
	// Destroyed records that every superseded keeper key is gone, and with them these versions.
	Destroyed struct {
		Versions []canonical.ID `json:"versions,omitempty"`
		Keys     []DestroyedKey `json:"keys"`
	}
	DestroyedKey struct {
		EID canonical.ID `json:"eid"`
		KeyRef
		State    string           `json:"state"` // "destroyed"
		At       entry.Time       `json:"at"`
		Evidence canonical.Digest `json:"evidence,omitzero"`
	}
	// Purged records that storage holds nothing of these versions but what is kept or retained.
	Purged struct {
		Versions []canonical.ID `json:"versions"`
		Retained []Retained     `json:"retained,omitempty"` // the rest is in the certificate
	}
	Retained struct {
		Key   string     `json:"key"`
		Until entry.Time `json:"until"`
	}
	// Verified records the outcome of the attack on a disposal.
	Verified struct {
		Disposal canonical.ID `json:"disposal"`
		Result   string       `json:"result"` // "verified", "inconclusive", "failed"
		Report   Object       `json:"report"`
	}
	// Hold freezes versions (none named: the whole artefact) against disposal.
	Hold struct {
		ID       canonical.ID   `json:"id"`
		Versions []canonical.ID `json:"versions,omitempty"`
		Reason   string         `json:"reason"`
		Review   entry.Time     `json:"review,omitzero"`
	}
	Release struct {
		ID     canonical.ID `json:"id"`
		Reason string       `json:"reason"`
	}
	// Fence says that its author has read the vault head it cites; nothing more.
	Fence struct {
		Cut canonical.Digest `json:"cut,omitzero"`
	}
)
