package state

import (
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// VersionState is how far a version has come.
type VersionState uint8

const (
	Live     VersionState = iota + 1
	Executed              // its disposal has begun; refused to readers; still cancellable
	Dropped               // the current epoch does not carry it; its old keys are being destroyed
	Shredded              // every key that opened it is destroyed
	Erased                // and storage holds nothing of it but what is kept or retained
)

var versionStates = map[VersionState]string{Live: "live", Executed: "disabled", Dropped: "dropped", Shredded: "destroyed", Erased: "purged"}

func (s VersionState) String() string { return versionStates[s] }

// CommittedVersion is a version that a valid entry committed. Its number never changes.
type CommittedVersion struct {
	Version
	Number int
	At     entry.Position
	Time   entry.Time
	By     string
	Key    canonical.Digest // that signed it
	Op     canonical.ID

	State         VersionState
	Disposal      canonical.ID // that executed it
	DestroyedAt   entry.Position
	DestroyedTime entry.Time
	Retained      []Retained    // object versions that storage kept when it was purged last; some of them, if they are many
	Holds         []*PlacedHold // in force
	Quarantined   *PlacedQuarantine
	Approvals     []Approval
	Waivers       []PlacedWaiver
	Evidence      []Evidence
	Transfers     []Transferred // to new owners, in order
}

// PlacedHold is a hold in force, or released, or what a quarantine in force
// amounts to: that has no id and ends with the quarantine.
type PlacedHold struct {
	Hold
	By       string
	Time     entry.Time
	Released bool
}

// Kinds of artefacts and classifications that a version may have.
func ArtefactKinds() []string {
	return []string{"model", "dataset", "config", "prompt", "system", "evaluation"}
}

func Classifications() []string { return []string{"public", "internal", "confidential"} }

// Check reports whether the descriptive fields are within limits; a client
// calls it before it sends the first byte.
func (b *Version) Check() error {
	size := 0
	for k, v := range b.Labels {
		size += len(k) + len(v)
		if k == "" {
			return refuse(RuleBody, "a label without a name")
		}
		if err := first(checkText("label", k, MaxLabels), checkText("label "+k, v, MaxLabels)); err != nil {
			return err
		}
	}
	switch {
	case !slices.Contains(ArtefactKinds(), b.Kind):
		return refuse(RuleBody, "kind %q: one of %v", b.Kind, ArtefactKinds())
	case !slices.Contains(Classifications(), b.Classification):
		return refuse(RuleBody, "classification %q: one of %v", b.Classification, Classifications())
	case size > MaxLabels || len(b.Labels) > 64:
		return refuse(RuleBody, "labels of %d bytes: at most %d, in at most 64 labels", size, MaxLabels)
	case len(b.Borrowed) > MaxBorrowed:
		return refuse(RuleBody, "it borrowed through %d versions: at most %d", len(b.Borrowed), MaxBorrowed)
	}
	if err := b.checkProvenance(); err != nil {
		return err
	}
	if err := checkParts(b.Kind, b.Parts); err != nil {
		return err
	}
	described, err := canonical.Marshal(struct {
		Labels        map[string]string
		Sources       []Source
		Lineage       []Edge
		Justification Document     `json:",omitzero"`
		Parts         []SystemPart `json:",omitempty"`
	}{b.Labels, b.Sources, b.Lineage, b.Justification, b.Parts})
	if err != nil {
		return refuse(RuleBody, "%v", err)
	}
	if len(described) > MaxDescription {
		return refuse(RuleBody, "labels, sources, lineage, justification and parts of %d bytes together: at most %d", len(described), MaxDescription)
	}
	return nil
}

func (a *Artefact) applyVersion(e *entry.Entry) error {
	b, err := decode[Version](e)
	if err != nil {
		return err
	}
	if err := b.Check(); err != nil {
		return err
	}
	prefix := a.prefix("v", b.VID) + "/"
	if err := first(checkRecipient(b.Recipient), checkNamed(b.Manifest, prefix+"m-"), checkNamed(b.References, prefix+"r-")); err != nil {
		return err
	}
	on := a.deviate.on
	op := opKey{e.Author, e.Op}
	switch {
	case b.VID.IsZero() || b.Row.IsZero() || b.Secret.IsZero() || b.Digest.IsZero() || b.Stored < 0 || b.Uploaded < 0:
		return refuse(RuleBody, "it binds no row, push secret or digest")
	case a.byVID[b.VID] != nil:
		return refuse(RuleUnused, "version %s", b.VID)
	case a.ops[op] != nil:
		return refuse(RuleUnused, "operation %s made v%d", e.Op, a.ops[op].Number)
	case a.condemned[b.VID]:
		return refuse(RuleCondemned, "gc has condemned %s", b.VID)
	case a.Whole && on(RuleWhole):
		return refuse(RuleWhole, "a disposal of the whole artefact is under way")
	case a.Current == nil || a.Current.EID != b.EID && on(RuleEpoch):
		return refuse(RuleEpoch, "epoch %s is not current", b.EID)
	case a.Generation() == nil || a.Generation().GID != b.GID:
		return refuse(RuleGeneration, "generation %s is not current", b.GID)
	}
	for _, id := range b.Borrowed {
		if v := a.byVID[id]; (v == nil || v.State != Live) && on(RuleBorrowed) {
			return refuse(RuleBorrowed, "it borrowed through %s, which is not live", id)
		}
	}
	if err := a.checkOwnLineage(b); err != nil {
		return err
	}
	for _, p := range b.Parts {
		if p.Artefact == a.ID {
			return refuse(RuleBody, "part %q is of the system's own artefact", p.Name)
		}
	}
	by := a.author(e).Name
	if b.Move != "" {
		if err := a.mayMove(by, b.Move); err != nil {
			return err
		}
		if a.Gated(b.Move, b.Kind) {
			return refuse(RuleGates, "channel %s has gates, and no push moves it", b.Move)
		}
	}
	v := &CommittedVersion{Version: *b, Number: len(a.Versions) + 1, At: e.Position(), Time: e.Time, By: by, Key: e.Author, Op: e.Op, State: Live}
	for _, h := range a.Held() {
		if len(h.Versions) == 0 {
			v.Holds = append(v.Holds, h)
		}
	}
	a.Versions = append(a.Versions, v)
	a.byVID[b.VID] = v
	if !e.Op.IsZero() {
		a.ops[op] = v
	}
	if b.Move != "" {
		a.move(b.Move, Move{To: b.VID, At: e.Position(), Time: e.Time, By: by, Reason: "push"})
	}
	return nil
}

// mayMove says whether a push by this member may move a channel with it.
func (a *Artefact) mayMove(by, channel string) error {
	if err := checkShort(channel); err != nil {
		return err
	}
	if m := a.Vault.members[by]; m == nil || !m.Has(Operator, a.Name) {
		return refuse(RuleRole, "%s is no operator here and cannot move channel %s", by, channel)
	}
	return nil
}

// MayMove reports whether a push by the member called by may move the channel with it.
func (a *Artefact) MayMove(by, channel string) bool { return a.mayMove(by, channel) == nil }

// Version returns a version by id, or nil.
func (a *Artefact) Version(vid canonical.ID) *CommittedVersion { return a.byVID[vid] }

// Latest returns the newest live version, or nil.
func (a *Artefact) Latest() *CommittedVersion {
	for _, v := range slices.Backward(a.Versions) {
		if v.State == Live {
			return v
		}
	}
	return nil
}

// ByOp returns the version that this author's operation committed, or nil.
func (a *Artefact) ByOp(author canonical.Digest, op canonical.ID) *CommittedVersion {
	return a.ops[opKey{author, op}]
}

// Condemned reports whether gc has condemned an uncommitted version id.
func (a *Artefact) Condemned(vid canonical.ID) bool { return a.condemned[vid] }

func (a *Artefact) applyCondemn(e *entry.Entry) error {
	b, err := decode[Versions](e)
	if err != nil {
		return err
	}
	if len(b.Versions) == 0 || len(b.Versions) > MaxNamed {
		return refuse(RuleBody, "%d versions: 1 to %d", len(b.Versions), MaxNamed)
	}
	for _, id := range b.Versions {
		if a.byVID[id] == nil {
			a.condemned[id] = true
		}
	}
	return nil
}

// named looks versions up; each must be in the given state.
func (a *Artefact) named(ids []canonical.ID, want VersionState) ([]*CommittedVersion, error) {
	if len(ids) > MaxNamed {
		return nil, refuse(RuleBody, "%d versions: at most %d", len(ids), MaxNamed)
	}
	out := make([]*CommittedVersion, 0, len(ids))
	for _, id := range ids {
		v := a.byVID[id]
		if v == nil {
			return nil, refuse(RuleTarget, "version %s does not exist", id)
		}
		if v.State != want {
			return nil, refuse(RuleTarget, "v%d is %s, not %s", v.Number, v.State, want)
		}
		out = append(out, v)
	}
	return out, nil
}

// Name is the version's number as people write it: "v7".
func (v *CommittedVersion) Name() string { return fmt.Sprintf("v%d", v.Number) }

// Ref names the version for people.
func (v *CommittedVersion) Ref(artefact string) string {
	return fmt.Sprintf("%s@v%d", artefact, v.Number)
}
