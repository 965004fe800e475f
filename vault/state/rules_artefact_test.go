package state_test

import (
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func artefactCases() []ruleCase {
	return []ruleCase{
		{state.RuleRegistered, "the first entry", false, func(w *world) *state.Void {
			return w.blank("m", nil).try("dev", state.KindRegister, state.Register{Name: "m"})
		}},
		{state.RuleRegistered, "after a void registration", false, func(w *world) *state.Void {
			a := w.blank("m", nil)
			a.try("push", state.KindRegister, state.Register{Name: "m"})
			return a.try("dev", state.KindRegister, state.Register{Name: "m"})
		}},
		{state.RuleRegistered, "again", true, func(w *world) *state.Void {
			return w.register("m", nil).try("dev", state.KindRegister, state.Register{Name: "m"})
		}},
		{state.RuleRegistered, "not registered", true, func(w *world) *state.Void {
			a := w.blank("m", nil)
			return a.try("dev", state.KindReaders, a.readers(a.world.id()))
		}},
		{state.RuleRegistered, "a fence before registration", false, func(w *world) *state.Void {
			return w.blank("m", nil).try("reader", state.KindFence, state.Fence{})
		}},

		{state.RuleCut, "a journal that the cut has", false, func(w *world) *state.Void {
			return w.cutOff("m", false)
		}},
		{state.RuleCut, "a journal that the cut lacks", true, func(w *world) *state.Void {
			return w.cutOff("m", true)
		}},
		{state.RuleName, "its own", false, func(w *world) *state.Void {
			return w.blank("a/b", nil).try("cust", state.KindRegister, state.Register{Name: "a/b"})
		}},
		{state.RuleName, "another", true, func(w *world) *state.Void {
			return w.blank("m", nil).try("dev", state.KindRegister, state.Register{Name: "n"})
		}},
		{state.RuleName, "none that a name may be", true, func(w *world) *state.Void {
			return w.blank("M", nil).try("dev", state.KindRegister, state.Register{Name: "M"})
		}},

		{state.RuleEnded, "destroyed, purged and verified", false, func(w *world) *state.Void {
			a, vid, id := w.end()
			a.must("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{vid}, Keys: a.destroyedKeys(a.state.Epochs[0].EID)})
			a.must("run", state.KindPurged, state.Purged{Versions: []canonical.ID{vid}})
			return a.try("run", state.KindVerified, state.Verified{Disposal: id, Result: "verified", Report: a.doc()})
		}},
		{state.RuleEnded, "a fence", false, func(w *world) *state.Void {
			a, _, _ := w.end()
			return a.try("reader", state.KindFence, state.Fence{})
		}},
		{state.RuleEnded, "a version", true, func(w *world) *state.Void { a, _, _ := w.end(); return a.tryPush("push") }},
		{state.RuleEnded, "an intent", true, func(w *world) *state.Void {
			a, _, _ := w.end()
			return a.try("run", state.KindIntent, a.intent(a.world.id()))
		}},
		{state.RuleEnded, "an activation of a candidate that stood", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			eid := a.prepare()
			a.execute()
			a.must("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
			return a.try("run", state.KindActivate, a.activate(eid))
		}},
		{state.RuleEnded, "a second end", true, func(w *world) *state.Void {
			a, _, _ := w.end()
			return a.try("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
		}},
		{state.RuleEnded, "readers", true, func(w *world) *state.Void {
			a, _, _ := w.end()
			return a.try("op", state.KindReaders, a.readers(a.world.id()))
		}},
		{state.RuleEnded, "evidence", true, func(w *world) *state.Void {
			a, vid, _ := w.end()
			return a.try("op", state.KindAttest, state.Attest{Version: vid, Digest: a.state.Version(vid).Digest, Type: "drill", Result: "pass", Statement: a.doc()})
		}},
		{state.RuleEnded, "a cancel", true, func(w *world) *state.Void {
			a, _, id := w.end()
			return a.try("cust", state.KindCancel, state.Disposal{Disposal: id})
		}},
		{state.RuleRegistered, "after the end", true, func(w *world) *state.Void {
			a, _, _ := w.end()
			return a.try("dev", state.KindRegister, state.Register{Name: "m"})
		}},

		{state.RuleUnused, "readers added to a generation", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("dev", state.KindReaders, a.more(a.state.Generation().GID))
		}},
		{state.RuleUnused, "a generation again", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("op", state.KindReaders, a.readers(a.state.Generation().GID))
		}},
		{state.RuleUnused, "readers added under another recipient", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			b := a.more(a.state.Generation().GID)
			b.Recipient += "x"
			return a.try("dev", state.KindReaders, b)
		}},
		{state.RuleUnused, "readers added to a former generation", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			old := a.state.Generation().GID
			a.must("op", state.KindReaders, a.readers(a.world.id()))
			return a.try("dev", state.KindReaders, a.more(old))
		}},
		{state.RuleTarget, "readers added to no generation", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("dev", state.KindReaders, a.more(a.world.id()))
		}},

		{state.RuleMoved, "where it was seen", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			v1, v2 := a.push(), a.push()
			a.must("op", state.KindChannel, state.Channel{Channel: "prod", To: v1})
			return a.try("op", state.KindChannel, state.Channel{Channel: "prod", From: v1, To: v2})
		}},
		{state.RuleMoved, "moved since", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			v1, v2, v3 := a.push(), a.push(), a.push()
			a.must("op", state.KindChannel, state.Channel{Channel: "prod", To: v1})
			a.must("op", state.KindChannel, state.Channel{Channel: "prod", From: v1, To: v2})
			return a.try("op", state.KindChannel, state.Channel{Channel: "prod", From: v1, To: v3})
		}},
		{state.RuleMoved, "made since", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			v1 := a.push()
			a.must("op", state.KindChannel, state.Channel{Channel: "prod", To: v1})
			return a.try("op", state.KindChannel, state.Channel{Channel: "prod", To: v1})
		}},
		{state.RuleQuarantined, "a version out of quarantine", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.quarantine(state.KindQuarantine, vid)
			a.quarantine(state.KindClear, vid)
			return a.try("op", state.KindChannel, state.Channel{Channel: "prod", To: vid})
		}},
		{state.RuleQuarantined, "a version in quarantine", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.quarantine(state.KindQuarantine, vid)
			return a.try("op", state.KindChannel, state.Channel{Channel: "prod", To: vid})
		}},
		{state.RuleTarget, "a channel to a version that is not there", true, func(w *world) *state.Void {
			return w.register("m", nil).try("op", state.KindChannel, state.Channel{Channel: "prod", To: canonical.ID{1}})
		}},
		{state.RuleTarget, "a channel to a version that is disabled", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute(vid)
			return a.try("op", state.KindChannel, state.Channel{Channel: "prod", To: vid})
		}},
		{state.RuleTarget, "a quarantine of what is not there", true, func(w *world) *state.Void {
			return w.register("m", nil).try("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{{1}}, Reason: "r"})
		}},

		{state.RuleTarget, "a quarantine lifted that is not in force", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			return a.try("op", state.KindClear, state.Quarantine{Versions: []canonical.ID{vid}, Reason: "r"})
		}},
		{state.RuleTarget, "a quarantine of what is destroyed", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute(vid)
			a.must("run", state.KindActivate, a.activate(a.prepare()))
			return a.try("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{vid}, Reason: "r"})
		}},
		{state.RuleHeld, "in quarantine", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			id := w.approved(state.DisposalScope{Artefact: a.id, Versions: []canonical.ID{vid}})
			a.quarantine(state.KindQuarantine, vid)
			return a.try("run", state.KindExecute, state.Execute{Disposal: id, Versions: []canonical.ID{vid}})
		}},
		{state.RuleHeld, "out of quarantine, where two of the same ended at once", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			id := w.approved(state.DisposalScope{Artefact: a.id, Versions: []canonical.ID{vid}})
			a.quarantine(state.KindQuarantine, vid)
			a.quarantine(state.KindQuarantine, vid)
			a.quarantine(state.KindClear, vid, vid)
			return a.try("run", state.KindExecute, state.Execute{Disposal: id, Versions: []canonical.ID{vid}})
		}},
		{state.RuleSecondPerson, "a quarantined version to be read by somebody else", false, func(w *world) *state.Void {
			return w.permit(func(*artefact, *state.Permit) {})
		}},
		{state.RuleSecondPerson, "a quarantined version to be read by who permits it", true, func(w *world) *state.Void {
			return w.permit(func(_ *artefact, b *state.Permit) { b.Reader = "op" })
		}},
		{state.RuleTarget, "a permit for nobody", true, func(w *world) *state.Void {
			return w.permit(func(_ *artefact, b *state.Permit) { b.Reader = "nobody" })
		}},
		{state.RuleTarget, "a permit for a suspended member", true, func(w *world) *state.Void {
			return w.permit(func(*artefact, *state.Permit) { w.suspend("reader") })
		}},
		{state.RuleTarget, "a permit to read what is in no quarantine", true, func(w *world) *state.Void {
			return w.permit(func(a *artefact, b *state.Permit) { a.quarantine(state.KindClear, b.Version) })
		}},
		{state.RuleTarget, "a permit to read nothing", true, func(w *world) *state.Void {
			return w.permit(func(a *artefact, b *state.Permit) { b.Version = w.id() })
		}},
		{state.RuleBody, "a permit that is over", true, func(w *world) *state.Void {
			return w.permit(func(_ *artefact, b *state.Permit) { b.Until = entry.At(w.now) })
		}},
		{state.RuleBody, "a permit for no reason", true, func(w *world) *state.Void {
			return w.permit(func(_ *artefact, b *state.Permit) { b.Reason = "" })
		}},

		{state.RuleSecondPerson, "approved by somebody else", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("all", state.KindApprove, state.Approve{Version: a.push()})
		}},
		{state.RuleSecondPerson, "approved by who pushed it", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.world.id()
			a.must("all", state.KindVersion, a.version(vid))
			return a.try("all", state.KindApprove, state.Approve{Version: vid})
		}},
		{state.RuleUnused, "approved again", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.must("op", state.KindApprove, state.Approve{Version: vid})
			return a.try("op", state.KindApprove, state.Approve{Version: vid})
		}},
		{state.RuleTarget, "approved: nothing", true, func(w *world) *state.Void {
			return w.register("m", nil).try("op", state.KindApprove, state.Approve{Version: canonical.ID{1}})
		}},
		{state.RuleTarget, "attested", false, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) {})
		}},
		{state.RuleTarget, "attested, with a name, an end and a document", false, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) {
				b.Name, b.Expires = "robustness", entry.At(w.now.Add(time.Hour))
				b.Document = state.Document{Artefact: a.digest(), Version: w.id(), Digest: a.digest()}
			})
		}},
		{state.RuleTarget, "attested: another digest", true, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) { b.Digest = a.digest() })
		}},
		{state.RuleTarget, "attested: nothing", true, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) { b.Version = w.id() })
		}},
		{state.RuleBody, "attested: no type that there is", true, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) { b.Type = "horoscope" })
		}},
		{state.RuleBody, "attested: no result that there is", true, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) { b.Result = "splendid" })
		}},
		{state.RuleBody, "attested: it expires at once", true, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) { b.Expires = entry.At(w.now) })
		}},
		{state.RuleBody, "attested: without a statement", true, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) { b.Statement = state.Object{} })
		}},
		{state.RuleBody, "attested: half a document", true, func(w *world) *state.Void {
			return w.attest(func(a *artefact, b *state.Attest) { b.Document.Version = w.id() })
		}},
		{state.RuleTarget, "handed over", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.transfer("cust", a.push())
		}},
		{state.RuleTarget, "handed over twice", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.transfer("cust", vid)
			return a.transfer("cust", vid)
		}},
		{state.RuleTarget, "handed over: nothing", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("cust", state.KindTransfer, state.Transfer{Version: a.world.id(), Digest: a.digest(), Recipient: "age1pq1new"})
		}},
		{state.RuleTarget, "handed over: another digest", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("cust", state.KindTransfer, state.Transfer{Version: a.push(), Digest: a.digest(), Recipient: "age1pq1new"})
		}},
		{state.RuleTarget, "handed over: disabled", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.execute(vid)
			return a.transfer("cust", vid)
		}},
		{state.RuleTarget, "handed over: held", false, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.hold(vid)
			return a.transfer("cust", vid)
		}},
		{state.RuleQuarantined, "handed over", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			vid := a.push()
			a.quarantine(state.KindQuarantine, vid)
			return a.transfer("cust", vid)
		}},
		{state.RuleEnded, "handed over", true, func(w *world) *state.Void {
			a, vid, _ := w.end()
			return a.transfer("cust", vid)
		}},
		{state.RuleRole, "handed over by an operator", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.transfer("op", a.push())
		}},
		{state.RuleTarget, "verified: no such disposal", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			return a.try("run", state.KindVerified, state.Verified{Disposal: a.world.id(), Result: "verified", Report: a.doc()})
		}},
		{state.RuleTarget, "verified: nothing destroyed", true, func(w *world) *state.Void {
			a := w.register("m", nil)
			id := a.approved(a.scope(a.push()))
			return a.try("run", state.KindVerified, state.Verified{Disposal: id, Result: "verified", Report: a.doc()})
		}},
		{state.RuleTarget, "verified: keys not destroyed", true, func(w *world) *state.Void {
			a, _, id := w.end()
			return a.try("run", state.KindVerified, state.Verified{Disposal: id, Result: "verified", Report: a.doc()})
		}},
	}
}

// end destroys an artefact with one version and its first epoch, as far as "no epoch".
func (w *world) end() (a *artefact, vid, disposal canonical.ID) {
	w.tb.Helper()
	a = w.register("m", nil)
	vid = a.push()
	disposal = a.execute()
	a.must("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
	return a, vid, disposal
}

// transfer hands a version over to a new owner.
func (a *artefact) transfer(by string, vid canonical.ID) *state.Void {
	a.tb.Helper()
	return a.try(by, state.KindTransfer, state.Transfer{Version: vid, Digest: a.state.Version(vid).Digest, Recipient: "age1pq1new", Owner: "Example Ltd"})
}

func (a *artefact) more(gid canonical.ID) state.Readers {
	b := a.readers(gid)
	b.Add = true
	return b
}

func (a *artefact) quarantine(kind string, vids ...canonical.ID) {
	a.tb.Helper()
	a.must("op", kind, state.Quarantine{Versions: vids, Reason: "poisoned"})
}

// attest attests to a version, after a change to what is said.
func (w *world) attest(change func(*artefact, *state.Attest)) *state.Void {
	w.tb.Helper()
	a := w.register("m", nil)
	vid := a.push()
	b := state.Attest{Version: vid, Digest: a.state.Version(vid).Digest, Type: state.Evaluation, Result: state.Pass, Statement: a.doc()}
	change(a, &b)
	return a.try("dev", state.KindAttest, b)
}

// permit lets "reader" read a version in quarantine, after a change to that.
func (w *world) permit(change func(*artefact, *state.Permit)) *state.Void {
	w.tb.Helper()
	a := w.register("m", nil)
	b := state.Permit{Version: a.push(), Reader: "reader", Until: entry.At(w.now.Add(time.Hour)), Reason: "to examine it"}
	a.quarantine(state.KindQuarantine, b.Version)
	change(a, &b)
	return a.try("op", state.KindPermit, b)
}

// cutOff registers an artefact whose author's removal has, or lacks, its journal in the cut.
func (w *world) cutOff(name string, severed bool) *state.Void {
	a := w.blank(name, nil)
	a.state.Severed = func(e *entry.Entry) (bool, error) { return severed, nil }
	return a.try("dev", state.KindRegister, state.Register{Name: name})
}
