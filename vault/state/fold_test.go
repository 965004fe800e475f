package state_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// body returns a body of the kind that may well count here and now.
func (a *artefact) body(kind string) any {
	w := a.world
	vid := canonical.ID{9}
	if n := len(a.state.Versions); n > 0 {
		vid = a.state.Versions[w.n%n].VID
	}
	vids := []canonical.ID{vid}
	eid := w.id()
	if n := len(a.state.Epochs); n > 0 {
		eid = a.state.Epochs[n-1].EID
	}
	disposal := canonical.ID{8}
	if ds := w.state().Disposals(); len(ds) > 0 {
		disposal = ds[w.n%len(ds)].ID
	}
	mark := state.DisposalMark{ID: disposal}
	if r := w.state().Disposal(disposal); r != nil && kind == state.KindDisposalApprove {
		mark.Plan = r.Plan.SHA256
	}
	hold := canonical.ID{7}
	if held := a.state.Held(); len(held) > 0 {
		hold = held[0].ID
	}
	switch kind {
	case state.KindMemberAdd:
		return w.addBody("somebody", identities().get("fresh"))
	case state.KindMemberRemove:
		return state.MemberRemove{Name: "reader", Cut: w.doc(), Metadata: w.metadata()}
	case state.KindMemberRekey:
		return state.MemberRekey{Name: "dev", Key: identities().get("fresh").Public().String(), Cut: w.doc(), Metadata: w.metadata()}
	case state.KindMemberRotate:
		return w.rotateBody("fresh", time.Hour)
	case state.KindMemberSuspend, state.KindMemberResume:
		return state.MemberMark{Name: "op2"}
	case state.KindMemberTaint:
		return state.MemberTaint{Key: w.keyID("dev"), From: entry.At(dawn), To: entry.At(w.now)}
	case state.KindMemberTraining:
		return state.MemberTraining{Name: "dev", Role: state.Developer, Course: "secure training", Expires: entry.At(w.now.AddDate(1, 0, 0)), Document: w.doc()}
	case state.KindGroup:
		return state.Group{Name: "g", ID: vid, Recipient: "r", Object: w.named("grp/" + vid.String() + "-"), List: w.doc()}
	case state.KindRule:
		return state.ReadRule{Glob: "a/**", Readers: []string{"reader", "@g"}}
	case state.KindPolicy:
		return state.PolicySet{Policy: state.Policy{Approvals: 1 + w.n%2, AdminQuorum: 1, Channels: []state.Requirement{{Artefact: "*", Channel: "*", Approvals: 1}}[:w.n%2]}}
	case state.KindCustody:
		return state.CustodySet{Custody: custody()}
	case state.KindPlugin:
		return state.Plugin{Name: "p", Platform: "linux/amd64", SHA256: w.digest(), Env: []string{"HOME"}}
	case state.KindDisposalRequest:
		return state.DisposalRequest{ID: w.id(), Scope: []state.DisposalScope{a.scope(vid)}, Plan: w.doc(), Reason: "r"}
	case state.KindDisposalApprove, state.KindDisposalCancel, state.KindDisposalAccept:
		return mark
	case state.KindCheckpoint:
		return state.Checkpoint{Heads: w.doc(), Size: w.state().Head.Seq + 100}
	case state.KindRegister:
		return state.Register{Name: "m"}
	case state.KindReaders:
		return a.readers(w.id())
	case state.KindIntent:
		return a.intent(w.id())
	case state.KindCandidate:
		return a.candidate(eid)
	case state.KindActivate:
		return a.activate(eid)
	case state.KindVersion:
		b := a.version(w.id())
		if len(a.state.Versions) > 0 {
			b.Lineage = []state.Edge{a.to(vid, state.FineTunedFrom)}
			b.Sources = []state.Source{{URL: "https://hub.example/set", Acquired: entry.At(dawn)}}
			b.Justification = state.Document{Artefact: canonical.Digest{1}, Version: canonical.ID{1}, Digest: canonical.Digest{1}}
		}
		if w.n%3 == 0 {
			b.Kind, b.Parts = state.KindSystem, []state.SystemPart{{Name: "part", Artefact: w.digest(), Version: w.id(), Digest: w.digest()}}
		}
		return b
	case state.KindChannel:
		return state.Channel{Channel: "main", From: a.state.Channel("main"), To: vid}
	case state.KindCondemn:
		return state.Versions{Versions: append(vids, w.id())}
	case state.KindExecute:
		return state.Execute{Disposal: disposal, Versions: vids}
	case state.KindCancel:
		return state.Disposal{Disposal: disposal}
	case state.KindDestroyed:
		b := state.Destroyed{Keys: []state.DestroyedKey{}}
		for _, ep := range a.state.Doomed() {
			b.Keys = append(b.Keys, a.destroyedKeys(ep.EID)...)
		}
		return b
	case state.KindPurged:
		return state.Purged{Versions: vids}
	case state.KindVerified:
		return state.Verified{Disposal: disposal, Result: "failed", Report: w.doc()}
	case state.KindHold:
		return state.Hold{ID: w.id(), Versions: vids[:w.n%2], Reason: "r"}
	case state.KindRelease:
		return state.Release{ID: hold, Reason: "r"}
	case state.KindQuarantine, state.KindClear:
		return state.Quarantine{Versions: vids, Reason: "r"}
	case state.KindPermit:
		return state.Permit{Version: vid, Reader: "reader", Until: entry.At(w.now.Add(time.Hour)), Reason: "r"}
	case state.KindWaive:
		return state.Waive{Version: vid, Channel: "main", Gate: state.GateApproval, Reason: "r"}
	case state.KindApprove:
		return state.Approve{Version: vid}
	case state.KindAttest:
		b := state.Attest{Version: vid, Type: "drill", Result: "pass", Statement: a.doc()}
		if v := a.state.Version(vid); v != nil {
			b.Digest = v.Digest
		}
		return b
	case state.KindTransfer:
		b := state.Transfer{Version: vid, Recipient: "age1pq1new"}
		if v := a.state.Version(vid); v != nil {
			b.Digest = v.Digest
		}
		return b
	case state.KindSkip:
		return entry.Skip{Slots: []entry.SkippedSlot{{Seq: 0}}}
	}
	return state.Fence{}
}

// refold folds both journals anew, that of the vault from the state number
// from on, and compares the results with w and a.
func (a *artefact) refold(t interface{ Fatalf(string, ...any) }, from int) {
	v := a.states[from]
	at := map[entry.Position]*state.Vault{}
	for _, s := range a.states[:from+1] {
		at[s.Head] = s
	}
	for i, e := range a.world.entries[from+1:] {
		next, _, err := v.Apply(e)
		if err != nil {
			t.Fatalf("%v", err)
		}
		v = next
		if at[v.Head] = v; state.DumpVault(v) != state.DumpVault(a.states[from+1+i]) {
			t.Fatalf("the vault's journal, folded again, differs at entry %d:\n%s\n%s", e.Seq, state.DumpVault(v), state.DumpVault(a.states[from+1+i]))
		}
	}
	again := state.NewArtefact(a.id, a.nameKey, func(p entry.Position) (*state.Vault, error) { return at[p], nil }, nil)
	for _, e := range a.entries {
		if _, err := again.Apply(e); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if x, y := state.DumpArtefact(a.state), state.DumpArtefact(again); x != y {
		t.Fatalf("the artefact's journal, folded again, differs:\n%s\n%s", x, y)
	}
}

// TestFoldIsDeterministic writes what might count, by members who might be
// allowed to, and folds it again from the beginning.
func TestFoldIsDeterministic(t *testing.T) {
	w := newWorld(t)
	all := kinds(t)
	counted := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		fork := *w
		fork.keys = cloneKeys(w)
		a := fork.register("m", nil)
		for range 2 {
			a.push()
		}
		a.execute(a.state.Versions[0].VID)
		for range rapid.IntRange(1, 14).Draw(rt, "entries") {
			kind := rapid.SampledFrom(all).Draw(rt, "kind")
			author := rapid.SampledFrom([]string{"all", "all", "admin", "op", "cust", "cust2", "run", "push", "reader"}).Draw(rt, "author")
			if kind == state.KindSkip || kind == state.KindGenesis {
				continue
			}
			var more []any
			if kind == state.KindMemberRotate {
				fork.rotateBody("fresh", 0)
				more = append(more, cosigned("fresh"))
			}
			put := a.put
			if inVault(kind) {
				put = fork.put
			}
			void, err := put(author, kind, a.body(kind), more...)
			if err != nil && !errors.Is(err, state.ErrUnverifiable) {
				rt.Fatal(err)
			}
			if void == nil && err == nil {
				counted[kind] = true
			}
			fork.pass(time.Minute)
		}
		a.refold(rt, len(w.states)-1)
	})
	if len(counted) < len(all)/2 {
		t.Errorf("entries of only %d kinds ever counted: %v", len(counted), counted)
	}
	w.register("m", nil).refold(t, 0)
}

// FuzzFold folds entries whose bodies are garbage, or almost right.
//
// The input is a list of entries of five bytes each: kind, author, where the
// body is changed, how, and whether it is replaced by what follows up to a zero
// byte.
func FuzzFold(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3, 4, 0, 20, 3, 0, 0, 0, 22, 0, 0, 0, 0, 23, 0, 0, 0, 0})
	f.Add([]byte("\x05\x00\x00\x00\x01{\"policy\":{\"approvals\":1e9}}\x00"))
	f.Add([]byte("\x19\x00\x00\x00\x01{\"vid\":null}\x00\x19\x00\x20\x01\x00"))
	for i := range 40 {
		f.Add([]byte{byte(i), 0, byte(i), 1, 0, byte(i), 0, 0, 0, 0})
	}
	authors := []string{"all", "admin", "push", "dev", "op", "cust", "cust2", "run", "aud", "reader"}
	all := make([]string, 0, 64)
	for k := range state.RoleTable() {
		all = append(all, k)
	}
	slices.Sort(all)
	all = append(all, "telepathy", state.KindGenesis)
	w := newWorld(f)
	start := w.register("m", nil)
	start.push()
	start.execute(start.push())
	f.Fuzz(func(t *testing.T, data []byte) {
		fork := *start.world
		fork.tb, fork.keys = t, cloneKeys(start.world)
		a := fork.blank("m", nil)
		for _, e := range start.entries {
			if _, err := a.state.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		a.entries = slices.Clip(start.entries)
		for n := 0; len(data) >= 5 && n < 12; n++ {
			kind, author := all[int(data[0])%len(all)], authors[int(data[1])%len(authors)]
			where, how, replace := int(data[2]), data[3], data[4] == 1
			data = data[5:]
			text, err := json.Marshal(a.body(kind))
			if err != nil {
				t.Fatal(err)
			}
			if replace {
				text, data, _ = bytes.Cut(data, []byte{0})
			} else if len(text) > 0 {
				text[where*len(text)/256] ^= how
			}
			if !json.Valid(text) || len(text) > 8<<10 {
				continue
			}
			put := a.put
			if inVault(kind) {
				put = fork.put
			}
			void, err := put(author, kind, json.RawMessage(text))
			if err != nil && !errors.Is(err, state.ErrUnverifiable) && !errors.Is(err, entry.ErrUpgrade) {
				t.Fatalf("an error of no kind: %v", err)
			}
			if void != nil && (void.Rule == "" || void.Why == "" || void.Error() == "") {
				t.Fatalf("void without a reason: %+v", void)
			}
		}
		a.refold(t, len(start.world.states)-1)
	})
}
