package vault

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/handover"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Event is one entry of a journal, told to a person.
type Event struct {
	Seq  uint64
	Time time.Time
	Kind string
	By   string
	What string // one line
	Void bool   // it does not count; Rule and Why say for what reason
	Rule string
	Why  string
}

// History is an artefact's journal, oldest entry first.
type History struct {
	Artefact  string
	Events    []Event
	Head      ledger.Pin
	Freshness string
}

// History tells everything that happened to an artefact.
func (v *Vault) History(ctx context.Context, name string) (*History, error) {
	l, a, err := v.fold(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := v.readKinIfSound(ctx, a, a.Versions...); err != nil {
		return nil, err
	}
	h := &History{Artefact: name, Head: ledger.Pin{Journal: a.ID.String(), Position: a.Head}, Freshness: v.freshness(a.ID.String())}
	h.Events = v.events(l.Log(), a.Voids, func(e *entry.Entry) string { return describe(a, e) })
	v.keep()
	return h, nil
}

func (v *Vault) author(e *entry.Entry) string {
	if m := v.ledger.State().ByKey(e.Author); m != nil {
		return m.Name
	}
	return e.Author.String()
}

// describe says in a line what an entry does. Bodies that do not decode were
// reported as void; here they read as their kind.
func describe(a *state.Artefact, e *entry.Entry) string {
	number := func(id canonical.ID) string {
		if cv := a.Version(id); cv != nil {
			return fmt.Sprintf("v%d", cv.Number)
		}
		return id.String()
	}
	numbers := func(ids []canonical.ID) string {
		var out []string
		for _, id := range ids {
			out = append(out, number(id))
		}
		return strings.Join(out, " ")
	}
	switch e.Kind {
	case state.KindRegister:
		return line(e, func(b state.Register) string { return "registered " + b.Name })
	case state.KindReaders:
		return line(e, func(b state.Readers) string {
			if b.Add {
				return "readers added to generation " + b.GID.String()
			}
			return "new readers, generation " + b.GID.String()
		})
	case state.KindIntent:
		return line(e, func(b state.Intent) string { return "new epoch announced: " + b.EID.String() })
	case state.KindCandidate:
		return line(e, func(b state.Candidate) string { return fmt.Sprintf("keys for epoch %s (%s)", b.EID, b.Mode) })
	case state.KindActivate:
		return line(e, func(b state.Activate) string {
			if b.None {
				return "the artefact ended"
			}
			return fmt.Sprintf("epoch %s in force, carrying %d versions", b.EID, b.Survivors.Count)
		})
	case state.KindVersion:
		return line(e, func(b state.Version) string {
			s := fmt.Sprintf("pushed %s (sha256:%s)", number(b.VID), b.Digest) + origin(a, b)
			if n := len(b.Parts); n > 0 {
				s += fmt.Sprintf(", a system of %d parts: %s", n, partNames(b.Parts))
			}
			if b.Move != "" {
				s += ", channel " + b.Move + " moved to it"
			}
			return s
		})
	case state.KindChannel:
		return line(e, func(b state.Channel) string {
			verb := "moved"
			if from, to := a.Version(b.From), a.Version(b.To); from != nil && to != nil && to.Number < from.Number {
				verb = "rolled back from " + from.Name()
			}
			return because(fmt.Sprintf("channel %s %s to %s", b.Channel, verb, number(b.To)), b.Reason) + inIncident(b.Incident)
		})
	case state.KindCondemn:
		return line(e, func(b state.Versions) string { return fmt.Sprintf("%d unfinished uploads condemned", len(b.Versions)) })
	case state.KindExecute:
		return line(e, func(b state.Execute) string {
			if b.Whole {
				return fmt.Sprintf("disposal %s begun: the whole artefact", b.Disposal)
			}
			return fmt.Sprintf("disposal %s begun: %s", b.Disposal, numbers(b.Versions))
		})
	case state.KindCancel:
		return line(e, func(b state.Disposal) string { return fmt.Sprintf("disposal %s cancelled", b.Disposal) })
	case state.KindDestroyed:
		return line(e, func(b state.Destroyed) string {
			return strings.TrimSpace(fmt.Sprintf("%d keys destroyed %s", len(b.Keys), numbers(b.Versions)))
		})
	case state.KindPurged:
		return line(e, func(b state.Purged) string { return "purged " + numbers(b.Versions) })
	case state.KindHold:
		return line(e, func(b state.Hold) string { return strings.TrimSpace("hold: " + b.Reason + " " + numbers(b.Versions)) })
	case state.KindRelease:
		return line(e, func(b state.Release) string { return "hold released: " + b.Reason })
	case state.KindQuarantine:
		return line(e, func(b state.Quarantine) string {
			return numbers(b.Versions) + " in quarantine: " + b.Reason + inIncident(b.Incident)
		})
	case state.KindClear:
		return line(e, func(b state.Quarantine) string {
			return numbers(b.Versions) + " out of quarantine: " + b.Reason + inIncident(b.Incident)
		})
	case state.KindPermit:
		return line(e, func(b state.Permit) string {
			return fmt.Sprintf("%s may read %s until %s, in quarantine as it is: %s", b.Reader, number(b.Version), b.Until, b.Reason)
		})
	case state.KindApprove:
		return line(e, func(b state.Approve) string { return number(b.Version) + " approved" })
	case state.KindWaive:
		return line(e, func(b state.Waive) string {
			return fmt.Sprintf("gate %s of channel %s waived for %s: %s", b.Gate, b.Channel, number(b.Version), b.Reason)
		})
	case state.KindAttest:
		return line(e, func(b state.Attest) string {
			s := fmt.Sprintf("%s on %s: %s", evidenceName(b), number(b.Version), b.Result)
			if !b.Expires.IsZero() {
				s += ", until " + b.Expires.String()
			}
			return s
		})
	case state.KindTransfer:
		return line(e, func(b state.Transfer) string {
			return strings.TrimSuffix(fmt.Sprintf("%s handed over to %s: %s", number(b.Version), cmp.Or(b.Owner, "recipient "+handover.Fingerprint(b.Recipient)), b.Reason), ": ")
		})
	case state.KindSkip:
		return line(e, func(b entry.Skip) string {
			return fmt.Sprintf("passed over %d unverifiable slots: %s", len(b.Slots), b.Reason)
		})
	case state.KindFence:
		return fmt.Sprintf("acknowledges vault entry %d", e.Vault.Seq)
	}
	return e.Kind
}

// origin says where a version comes from.
func origin(a *state.Artefact, b state.Version) string {
	var out []string
	for _, s := range b.Sources {
		out = append(out, s.URL)
	}
	for _, r := range relations(a, &state.CommittedVersion{Version: b}) {
		out = append(out, r.text())
	}
	if len(out) == 0 {
		return ""
	}
	return ", from " + strings.Join(out, ", ")
}

// partNames lists the parts of a system by name and version digest.
func partNames(parts []state.SystemPart) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = fmt.Sprintf("%s sha256:%s", p.Name, p.Digest)
	}
	return strings.Join(out, ", ")
}

// evidenceName is the type of evidence, with which of several it is.
func evidenceName(b state.Attest) string {
	if b.Name == "" {
		return b.Type
	}
	return b.Type + " " + b.Name
}

// inIncident says to which incident an act belongs.
func inIncident(id string) string {
	if id == "" {
		return ""
	}
	return " (incident " + id + ")"
}

func line[T any](e *entry.Entry, f func(T) string) string {
	var b T
	if canonical.Unmarshal(e.Body, &b) != nil {
		return e.Kind
	}
	return f(b)
}
