package state_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// wide returns printable text of n bytes that takes the most room in JSON.
func wide(n int) string { return strings.Repeat(`"`, n) }

func repeat[T any](n int, f func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

// largest builds, for every kind, the largest body that its rules allow.
type largest struct {
	digest    canonical.Digest
	id        canonical.ID
	recipient string // in age's text form
	key       string // a member's line
}

func (l largest) ids(n int) []canonical.ID { return repeat(n, func(int) canonical.ID { return l.id }) }

func (l largest) named(prefix string) state.Object {
	return state.Object{Key: prefix + l.id.String(), SHA256: l.digest}
}

func (l largest) inArtefact(dir, kind string) state.Object {
	return l.named("a/" + l.digest.String() + "/" + dir + "/" + l.id.String() + kind)
}

func (l largest) doc() state.Object {
	return state.Object{Key: "doc/" + l.digest.String(), SHA256: l.digest}
}

func (l largest) metadata() state.Metadata {
	return state.Metadata{MID: l.id, Recipient: l.recipient, SHA256: l.digest}
}

func (l largest) custody() state.Custody {
	return state.Custody{Mode: state.AllOf, Keepers: repeat(state.MaxKeepers, func(i int) state.Keeper {
		return state.Keeper{Instance: fmt.Sprint(i, strings.Repeat("i", 199)), Kind: strings.Repeat("k", state.MaxWord)}
	})}
}

func (l largest) member() state.MemberSpec {
	return state.MemberSpec{Name: strings.Repeat("m", state.MaxShortName), Key: l.key, Env: wide(state.MaxWord), Person: wide(256), Expires: entry.At(dawn),
		Roles: repeat(state.MaxGrants, func(int) state.Grant {
			return state.Grant{Role: state.Developer, Glob: strings.Repeat("g", state.MaxName)}
		})}
}

// version fills what may be long to its limit: labels, and then lineage.
func (l largest) version(tb testing.TB) state.Version {
	v := state.Version{VID: l.id, EID: l.id, GID: l.id, Recipient: l.recipient, Row: l.digest, Secret: l.digest, Digest: l.digest,
		Manifest: l.inArtefact("v", "/m-"), References: l.inArtefact("v", "/r-"), Borrowed: l.ids(state.MaxBorrowed),
		Stored: entry.MaxSeq, Uploaded: entry.MaxSeq, Kind: "evaluation", Classification: "confidential", Move: strings.Repeat("c", state.MaxShortName),
		Labels: map[string]string{}, Justification: state.Document{Artefact: l.digest, Version: l.id, Digest: l.digest}}
	for i := range 64 {
		v.Labels[fmt.Sprintf("%02d", i)] = wide(14)
	}
	for v.Check() == nil {
		v.Lineage = append(v.Lineage, state.Edge{Artefact: canonical.Digest{0xff}, Version: canonical.ID{1, byte(len(v.Lineage))}, Role: "fine-tuned-from"})
	}
	v.Lineage = v.Lineage[:len(v.Lineage)-1]
	if err := v.Check(); err != nil || len(v.Lineage) < 16 {
		tb.Fatalf("%d edges: %v", len(v.Lineage), err)
	}
	v.Sources = []state.Source{{Acquired: entry.At(dawn)}}
	for n := 1; ; n++ {
		if v.Sources[0].URL = wide(n); v.Check() != nil {
			v.Sources[0].URL = wide(n - 1)
			return v
		}
	}
}

func (l largest) bodies(tb testing.TB) map[string]any {
	text, word, short := wide(state.MaxText), wide(state.MaxWord), strings.Repeat("n", state.MaxShortName)
	scope := func(artefacts int) (out []state.DisposalScope) {
		left := min(state.MaxNamed, state.MaxScope-3*artefacts)
		for i := range artefacts {
			n := left / (artefacts - i)
			left -= n
			out = append(out, state.DisposalScope{Artefact: canonical.Sum([]byte{byte(i)}), Versions: l.ids(n)})
		}
		return out
	}
	request := func(artefacts int) state.DisposalRequest {
		return state.DisposalRequest{ID: l.id, Scope: scope(artefacts), After: entry.At(dawn), Plan: l.doc(), Authority: wide(256), Reason: text}
	}
	refs := repeat(state.MaxKeepers, func(i int) state.KeyRef { return state.KeyRef{Instance: wide(200), Ref: wide(200)} })
	return map[string]any{
		state.KindGenesis:                    state.Genesis{Founder: l.member(), Metadata: l.metadata(), Custody: l.custody(), Policy: state.Policy{Approvals: 16, AdminQuorum: 1}},
		state.KindMemberAdd:                  state.MemberAdd{Member: l.member(), Metadata: l.metadata()},
		state.KindMemberRemove:               state.MemberRemove{Name: short, Cut: l.doc(), Metadata: l.metadata(), Reason: text},
		state.KindMemberRekey:                state.MemberRekey{Name: short, Key: l.key, Cut: l.doc(), Metadata: l.metadata()},
		state.KindMemberRotate:               state.MemberRotate{Key: l.key, Overlap: entry.At(dawn), Former: l.named("grp/" + l.id.String() + "-"), Metadata: l.metadata()},
		state.KindMemberSuspend:              state.MemberMark{Name: short, Reason: text},
		state.KindMemberResume:               state.MemberMark{Name: short, Reason: text},
		state.KindMemberTaint:                state.MemberTaint{Key: l.digest, From: entry.At(dawn), To: entry.At(dawn)},
		state.KindMemberTraining:             state.MemberTraining{Name: short, Role: state.Developer, Course: text, Expires: entry.At(dawn.AddDate(9, 0, 0)), Document: l.doc()},
		state.KindGroup:                      state.Group{Name: short, ID: l.id, Recipient: l.recipient, Object: l.named("grp/" + l.id.String() + "-"), List: l.doc()},
		state.KindRule:                       state.ReadRule{Glob: strings.Repeat("g", state.MaxName), Revoke: true, Readers: repeat(state.MaxRuleReaders, func(int) string { return "@" + short })},
		state.KindPolicy:                     state.PolicySet{Policy: l.policy()},
		state.KindCheckpoint:                 state.Checkpoint{Heads: l.doc(), Size: entry.MaxSeq},
		state.KindCustody:                    state.CustodySet{Custody: l.custody()},
		state.KindPlugin:                     state.Plugin{Name: short, Platform: word, SHA256: l.digest, Remove: true, Env: repeat(32, func(int) string { return word })},
		state.KindDisposalRequest:            request(1),
		"disposal.request of some artefacts": request((state.MaxScope - state.MaxNamed) / 3),
		"disposal.request of many artefacts": request(state.MaxArtefacts),
		state.KindDisposalApprove:            state.DisposalMark{ID: l.id, Plan: l.digest, Reason: text},
		state.KindDisposalCancel:             state.DisposalMark{ID: l.id, Plan: l.digest, Reason: text},
		state.KindDisposalAccept:             state.DisposalMark{ID: l.id, Plan: l.digest, Reason: text},
		state.KindDisposalRemoved:            state.DisposalRemoved{ID: l.id, Holder: wide(256), By: wide(256), Document: l.doc()},

		state.KindRegister:  state.Register{Name: strings.Repeat("n", state.MaxName)},
		state.KindReaders:   state.Readers{GID: l.id, Recipient: l.recipient, Object: l.inArtefact("g", "-"), List: l.doc(), Add: true},
		state.KindIntent:    state.Intent{EID: l.id, Label: l.digest.String(), Custody: l.custody()},
		state.KindCandidate: state.Candidate{EID: l.id, Mode: state.AllOf, Keys: refs, Recipient: l.recipient},
		state.KindActivate:  state.Activate{EID: l.id, GID: l.id, Seed: l.digest, Index: l.inArtefact("e", "/i-"), Survivors: state.Survivors{Count: entry.MaxSeq, Digest: l.digest}},
		state.KindVersion:   l.version(tb),
		state.KindChannel:   state.Channel{Channel: short, From: l.id, To: l.id, Reason: text, Incident: word},
		state.KindCondemn:   state.Versions{Versions: l.ids(state.MaxNamed)},
		state.KindExecute:   state.Execute{Disposal: l.id, Versions: l.ids(state.MaxNamed)},
		state.KindCancel:    state.Disposal{Disposal: l.id, Reason: text},
		state.KindDestroyed: state.Destroyed{Keys: repeat(state.MaxKeepers, func(i int) state.DestroyedKey {
			return state.DestroyedKey{EID: l.id, KeyRef: refs[i], State: "destroyed", At: entry.At(dawn), Evidence: l.digest}
		})},
		"destroyed versions": state.Destroyed{Versions: l.ids(state.MaxNamed)},
		state.KindPurged: state.Purged{Versions: l.ids(state.MaxNamed), Retained: repeat(state.MaxRetained, func(int) state.Retained {
			return state.Retained{Key: strings.Repeat("k", 200), Until: entry.At(dawn)}
		})},
		state.KindVerified:   state.Verified{Disposal: l.id, Result: "inconclusive", Report: l.doc()},
		state.KindHold:       state.Hold{ID: l.id, Versions: l.ids(state.MaxNamed), Reason: text, Review: entry.At(dawn)},
		state.KindRelease:    state.Release{ID: l.id, Reason: text},
		state.KindQuarantine: state.Quarantine{Versions: l.ids(state.MaxNamed), Reason: text, Incident: word},
		state.KindClear:      state.Quarantine{Versions: l.ids(state.MaxNamed), Reason: text, Incident: word},
		state.KindPermit:     state.Permit{Version: l.id, Reader: short, Until: entry.At(dawn.AddDate(1, 0, 0)), Reason: text},
		state.KindWaive:      state.Waive{Version: l.id, Channel: short, Gate: "evaluation/" + word, Reason: text},
		state.KindApprove:    state.Approve{Version: l.id},
		state.KindAttest:     state.Attest{Version: l.id, Digest: l.digest, Type: "risk-assessment", Name: word, Result: state.Pass, Expires: entry.At(dawn.AddDate(1, 0, 0)), Statement: l.doc(), Document: state.Document{Artefact: l.digest, Version: l.id, Digest: l.digest}},
		state.KindTransfer:   state.Transfer{Version: l.id, Digest: l.digest, Recipient: l.recipient, Owner: wide(256), Reason: text},
		state.KindSkip: entry.Skip{Reason: text, Slots: repeat(entry.MaxSkipped, func(i int) entry.SkippedSlot {
			return entry.SkippedSlot{Seq: entry.MaxSeq - entry.MaxSkipped + uint64(i), SHA256: l.digest}
		})},
		state.KindFence: state.Fence{Cut: l.digest},
	}
}

func (l largest) policy() state.Policy {
	most := state.Duration{Years: 9999, Months: 9999, Weeks: 9999, Days: 9999, Hours: 9999, Minutes: 9999, Seconds: 9999}
	p := state.Policy{Approvals: 16, AdminQuorum: 16, Grace: most, Receipts: state.ReceiptsBestEffort, MaxStaleness: most, Witnesses: repeat(8, func(int) string { return wide(256) })}
	for p.Check() == nil {
		p.Channels = append(p.Channels, state.Requirement{Artefact: strings.Repeat("a", state.MaxName), Channel: strings.Repeat("c", state.MaxShortName), Kinds: state.ArtefactKinds(),
			Evidence: []string{"evaluation/" + wide(state.MaxWord)}, Independent: true, Approvals: 16, Complete: true, Sourced: true, Justified: true, Drill: most})
	}
	p.Channels = p.Channels[1:]
	for _, c := range state.RetentionClasses() {
		p.Retention = append(p.Retention, state.Retention{Class: c, Min: most, Max: most})
	}
	return p
}

// TestLargestEntriesFit signs the largest body of every kind. Entries that
// policy may ask several admins to sign must fit with as many signatures as an
// envelope has room for.
func TestLargestEntriesFit(t *testing.T) {
	id := identities().get("largest")
	l := largest{digest: canonical.Sum([]byte("x")), recipient: id.Public().Recipient.String(), key: id.Public().String()}
	copy(l.id[:], l.digest[:])
	admins := []dsse.Signer{id.Signing()}
	for i := range dsse.MaxSignatures - 1 {
		admins = append(admins, identities().get(fmt.Sprint("admin", i)).Signing())
	}
	roles := state.RoleTable()
	bodies := l.bodies(t)
	for kind := range roles {
		if bodies[kind] == nil {
			t.Errorf("no body for %s", kind)
		}
	}
	for name, body := range bodies {
		kind, _, _ := strings.Cut(name, " ")
		signers := admins[:1]
		if slices.Equal(roles[kind], []string{state.Admin}) {
			signers = admins
		}
		e, err := entry.Sign(context.Background(), entry.Header{Kind: kind, Critical: true, Format: entry.Format, Genesis: l.digest, Journal: l.digest.String(),
			Seq: entry.MaxSeq, Prev: l.digest, Vault: entry.Position{Seq: entry.MaxSeq, Hash: l.digest}, Author: keyID(id), Time: entry.At(dawn), Op: l.id}, body, signers...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Logf("%s: %d bytes", name, len(e.Raw))
	}
}

// TestLargestEntriesAreLegal holds the bodies of the test before to their name.
func TestLargestEntriesAreLegal(t *testing.T) {
	w := newWorld(t)
	a := w.register("m", nil)
	id := identities().get("largest")
	l := largest{digest: a.id, recipient: id.Public().Recipient.String(), key: id.Public().String()}
	copy(l.id[:], l.digest[:])
	for name, body := range l.bodies(t) {
		kind, _, _ := strings.Cut(name, " ")
		var void *state.Void
		switch {
		case kind == state.KindSkip, kind == state.KindGenesis, kind == state.KindMemberRotate:
			continue
		case inVault(kind):
			void = w.try("all", kind, body)
		default:
			void = a.try("all", kind, body)
		}
		if void != nil && void.Rule == state.RuleBody {
			t.Errorf("%s: %v", name, void)
		}
	}
	b := l.bodies(t)[state.KindGenesis].(state.Genesis)
	b.Founder.Roles[0] = state.Grant{Role: state.Admin, Glob: "*"}
	b.Founder.Key, b.Founder.Expires = identities().get("admin").Public().String(), entry.Time{}
	e := w.sign(entry.Header{Kind: state.KindGenesis, Critical: true, Format: entry.Format, Journal: entry.VaultJournal, Time: entry.At(w.now)}, b, "admin")
	if _, err := state.NewVault(e); err != nil {
		t.Error(err)
	}
}

// inVault reports whether a kind belongs in the vault's journal alone.
func inVault(kind string) bool {
	return slices.Contains([]string{state.KindGenesis, state.KindMemberAdd, state.KindMemberRemove, state.KindMemberRekey, state.KindMemberRotate,
		state.KindMemberSuspend, state.KindMemberResume, state.KindMemberTaint, state.KindMemberTraining, state.KindGroup, state.KindRule, state.KindPolicy, state.KindCustody,
		state.KindPlugin, state.KindDisposalRequest, state.KindDisposalApprove, state.KindDisposalCancel, state.KindDisposalAccept, state.KindDisposalRemoved, state.KindCheckpoint}, kind)
}
