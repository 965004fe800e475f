package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// LogEvent is one entry of any journal, told to a person.
type LogEvent struct {
	Journal string // "vault", or the artefact's name
	Hash    canonical.Digest
	Event
}

// AuditLog tells what happened since a time, in all journals or in that of one
// artefact, the oldest first; of one time, the vault's journal first. Memory
// grows with the number of events. The string is the freshness.
func (v *Vault) AuditLog(ctx context.Context, artefact string, since time.Time) ([]LogEvent, string, error) {
	if artefact != "" {
		l, a, err := v.fold(ctx, artefact)
		if err != nil {
			return nil, "", err
		}
		v.keep()
		return later(artefact, v.events(l.Log(), a.Voids, func(e *entry.Entry) string { return describe(a, e) }), l.Log(), since), v.freshness(a.ID.String()), nil
	}
	out := later(entry.VaultJournal, v.vaultEvents(), v.ledger.Log(), since)
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids {
		l := v.ledger.Artefact(id)
		a, err := l.Fold(ctx)
		if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, ErrRolledBack) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("artefact %s: %w", id, err)
		}
		name := a.Name
		if name == "" {
			name = id.String()
		}
		out = append(out, later(name, v.events(l.Log(), a.Voids, func(e *entry.Entry) string { return describe(a, e) }), l.Log(), since)...)
	}
	slices.SortStableFunc(out, func(a, b LogEvent) int { return a.Time.Compare(b.Time) })
	v.keep()
	return out, v.freshness(entry.VaultJournal), nil
}

// later picks the events since a time.
func later(name string, events []Event, log *journal.Log, since time.Time) []LogEvent {
	var out []LogEvent
	for i, e := range events {
		if !e.Time.Before(since) {
			out = append(out, LogEvent{Journal: name, Hash: log.Entries[i].Hash, Event: e})
		}
	}
	return out
}

// vaultEvents tells the vault's own journal.
func (v *Vault) vaultEvents() []Event {
	return v.events(v.ledger.Log(), v.ledger.Voids(), describeVault)
}

// events tells entries, one event for each.
func (v *Vault) events(log *journal.Log, voids []state.Void, what func(*entry.Entry) string) []Event {
	void := map[uint64]state.Void{}
	for _, vd := range voids {
		void[vd.At.Seq] = vd
	}
	out := make([]Event, 0, len(log.Entries))
	for _, e := range log.Entries {
		ev := Event{Seq: e.Seq, Time: e.Time.Time, Kind: e.Kind, By: v.author(e), What: what(e)}
		if vd, ok := void[e.Seq]; ok {
			ev.Void, ev.Rule, ev.Why = true, string(vd.Rule), vd.Why
		}
		out = append(out, ev)
	}
	return out
}

// describeVault says in a line what an entry of the vault's journal does.
func describeVault(e *entry.Entry) string {
	mark := func(verb string) string {
		return line(e, func(b state.MemberMark) string { return because(b.Name+" "+verb, b.Reason) })
	}
	disposal := func(verb string) string {
		return line(e, func(b state.DisposalMark) string { return because("disposal "+b.ID.String()+" "+verb, b.Reason) })
	}
	switch e.Kind {
	case state.KindGenesis:
		return line(e, func(b state.Genesis) string { return "vault founded by " + b.Founder.Name })
	case state.KindMemberAdd:
		return line(e, func(b state.MemberAdd) string { return "member " + b.Member.Name + " added: " + roles(b.Member.Roles) })
	case state.KindMemberRemove:
		return line(e, func(b state.MemberRemove) string { return because("member "+b.Name+" removed", b.Reason) })
	case state.KindMemberRekey:
		return line(e, func(b state.MemberRekey) string { return "member " + b.Name + " has a new key" })
	case state.KindMemberRotate:
		return line(e, func(b state.MemberRotate) string {
			return "own key replaced; the old one signs until " + b.Overlap.String()
		})
	case state.KindMemberSuspend:
		return mark("suspended")
	case state.KindMemberResume:
		return mark("may act again")
	case state.KindMemberTaint:
		return line(e, func(b state.MemberTaint) string {
			return fmt.Sprintf("signatures of key %s from %s to %s are not to be trusted", b.Key, b.From, b.To)
		})
	case state.KindMemberTraining:
		return line(e, func(b state.MemberTraining) string {
			s := fmt.Sprintf("%s was trained as %s: %s", b.Name, b.Role, b.Course)
			if !b.Expires.IsZero() {
				s += ", until " + b.Expires.String()
			}
			return s
		})
	case state.KindGroup:
		return line(e, func(b state.Group) string { return "group " + b.Name + " set" })
	case state.KindRule:
		return line(e, func(b state.ReadRule) string {
			verb := "granted to "
			if b.Revoke {
				verb = "taken from "
			}
			return "reading of " + b.Glob + " " + verb + strings.Join(b.Readers, " ")
		})
	case state.KindPolicy:
		return line(e, func(b state.PolicySet) string {
			return fmt.Sprintf("policy set: %d approvals, %d admins, %d witnesses", b.Policy.Approvals, b.Policy.AdminQuorum, len(b.Policy.Witnesses))
		})
	case state.KindCustody:
		return line(e, func(b state.CustodySet) string {
			var at []string
			for _, k := range b.Custody.Keepers {
				at = append(at, k.Instance)
			}
			return fmt.Sprintf("custody: %s of %s", b.Custody.Mode, strings.Join(at, ", "))
		})
	case state.KindPlugin:
		return line(e, func(b state.Plugin) string {
			if b.Remove {
				return fmt.Sprintf("plugin %s for %s withdrawn, sha256 %s", b.Name, b.Platform, b.SHA256)
			}
			what := fmt.Sprintf("plugin %s for %s pinned, sha256 %s", b.Name, b.Platform, b.SHA256)
			if len(b.Env) > 0 {
				what += ", sees " + strings.Join(b.Env, " ")
			}
			return what
		})
	case state.KindDisposalRequest:
		return line(e, func(b state.DisposalRequest) string { return because("disposal "+b.ID.String()+" requested", b.Reason) })
	case state.KindDisposalApprove:
		return disposal("approved")
	case state.KindDisposalCancel:
		return disposal("cancelled")
	case state.KindDisposalAccept:
		return disposal("accepted")
	case state.KindCheckpoint:
		return line(e, func(b state.Checkpoint) string { return fmt.Sprintf("checkpoint of %d entries", b.Size) })
	case state.KindSkip:
		return line(e, func(b entry.Skip) string {
			return because(fmt.Sprintf("passed over %d unverifiable slots", len(b.Slots)), b.Reason)
		})
	case state.KindFence:
		return fmt.Sprintf("acknowledges vault entry %d", e.Vault.Seq)
	}
	return e.Kind
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

func roles(grants []state.Grant) string {
	if len(grants) == 0 {
		return "no role"
	}
	var out []string
	for _, g := range grants {
		text := g.Role
		if g.Glob != "*" {
			text += " of " + g.Glob
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
