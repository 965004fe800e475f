package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func decommissionCommand() *command {
	return &command{
		name: "decommission", usage: "end of life: planned, approved, executed, proven",
		about:   "A custodian requests, others approve exactly that plan, a runner executes it when it is due: keys are destroyed first, so that the data is unreadable at once whatever its size; then storage is purged, the result attacked, and a certificate made. Until the keys go it can be cancelled.",
		example: "aivault decommission request fraud-detector@v3 --reason 'contract ended' --after P30D\naivault decommission approve ID --plan DIGEST\naivault decommission run --due\naivault decommission certificate ID --format html > certificate.html",
		sub: []*command{
			decommissionRequestCommand(), decommissionPlanCommand(), decommissionApproveCommand(), decommissionCancelCommand(),
			decommissionListCommand(), decommissionRunCommand(), decommissionVerifyCommand(), decommissionAcceptCommand(),
			decommissionCertificateCommand(), decommissionRemovedCommand(),
		},
	}
}

// desk opens the vault of a command and its desk for disposals.
func (c *call) desk(ctx context.Context, addressed string, keepers bool) (*vault.Vault, *disposal.Desk, error) {
	v, err := c.open(ctx, addressed)
	if err != nil {
		return nil, nil, err
	}
	d, err := v.Desk(ctx, keepers)
	return v, d, err
}

// disposalID reads the id of a disposal.
func disposalID(text string) (canonical.ID, error) {
	id, err := canonical.ParseID(text)
	if err != nil {
		return id, usage("%q is no id of a disposal: aivault decommission list shows them", text)
	}
	return id, nil
}

// when reads a date, a time or an ISO 8601 duration from now.
func (c *call) when(flag string) (time.Time, error) {
	text := c.flags.String(flag)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := naming.ParseTime(text, c.sys.now())
	if err != nil {
		return t, usage("--%s: %w", flag, err)
	}
	return t, nil
}

// reason reads --reason, which stays on record.
func (c *call) reason() (string, error) {
	r := strings.TrimSpace(c.flags.String("reason"))
	if r == "" {
		return "", usage("--reason is needed: it stays on record")
	}
	return r, nil
}

// writePlan tells people what dies, what survives and why.
func writePlan(w io.Writer, p *disposal.Plan) {
	for _, a := range p.Artefacts {
		what := "versions of " + a.Name
		if a.Whole {
			what = a.Name + ", all of it, and its name for ever"
		}
		fmt.Fprintf(w, "Dies: %s\n", printable(what))
		for _, v := range a.Dies {
			fmt.Fprintf(w, "  v%-4d %s  %s  pushed %s by %s; %s erased", v.Number, v.Kind, bytesText(v.Stored), v.Pushed, printable(v.By), bytesText(v.Erased))
			if v.Shared > 0 {
				fmt.Fprintf(w, ", %s live on in other versions", bytesText(v.Shared))
			}
			if v.KeptUntil.After(p.Made.Time) {
				fmt.Fprintf(w, "; kept until %s by policy", v.KeptUntil)
			}
			fmt.Fprintln(w)
		}
		for _, s := range a.Survives {
			fmt.Fprintf(w, "  v%-4d survives: %s\n", s.Number, printable(s.Why))
		}
		for _, r := range a.Receipts {
			fmt.Fprintf(w, "  v%-4d plaintext was taken by %s on %s %s; this does not reach it\n", r.Number, printable(r.By), r.Time, printable(r.Host))
		}
	}
	for _, d := range p.Decisions {
		fmt.Fprintf(w, "Decided: %s: %s (%s)%s\n", printable(d.Subject), d.Decision, d.Rule, printable(reasoned(d.Reason)))
	}
	fmt.Fprintf(w, "Not before %s; %s needed\n", p.After, plural(p.Approvals, "approval"))
	fmt.Fprint(w, `Afterwards:
  unreadable from the moment the keys die: content, names and hashes of files, keys, identities
  erased by the purge: sealed objects and references, unless a lock keeps them, unreadable, until a date
  survives: the entries in the journals (number, author, time, kind, labels, lineage, sizes), and plaintext that was pulled
`)
}

// stateJSON is where a disposal stands.
type stateJSON struct {
	ID        string              `json:"id"`
	State     string              `json:"state"`
	Due       time.Time           `json:"due"`
	Requested string              `json:"requested_by"`
	Reason    string              `json:"reason"`
	Approvals []string            `json:"approvals"`
	Needed    int                 `json:"approvals_needed"`
	Missing   string              `json:"missing,omitempty"`
	Accepted  string              `json:"accepted_by,omitempty"`
	Artefacts []artefactStateJSON `json:"artefacts"`
}

type artefactStateJSON struct {
	Artefact string   `json:"artefact"`
	State    string   `json:"state"`
	Whole    bool     `json:"whole"`
	Versions []int    `json:"versions"`
	Holds    []string `json:"holds"`
	// Quarantined: a quarantine keeps some of the versions.
	Quarantined bool `json:"quarantined"`
}

func stateOf(s *disposal.Status) stateJSON {
	out := stateJSON{ID: s.ID.String(), State: string(s.Phase), Due: s.Due.Time, Requested: s.By, Reason: s.Reason, Approvals: []string{},
		Needed: s.Needed(), Accepted: s.Accepted, Artefacts: []artefactStateJSON{}}
	if s.Phase == disposal.Requested || s.Phase == disposal.Disabled {
		out.Missing = s.Missing
	}
	for _, a := range s.Approvals {
		out.Approvals = append(out.Approvals, a.By)
	}
	for _, a := range s.Artefacts {
		x := artefactStateJSON{Artefact: a.Name, State: string(a.Phase), Whole: a.Whole, Versions: []int{}, Holds: []string{}}
		for _, v := range a.Versions {
			x.Versions = append(x.Versions, v.Number)
		}
		for _, h := range a.Held {
			if h.ID.IsZero() {
				x.Quarantined = true
				continue
			}
			x.Holds = append(x.Holds, h.ID.String())
		}
		out.Artefacts = append(out.Artefacts, x)
	}
	return out
}

// about says in a few words what a disposal is about.
func about(s *disposal.Status) string {
	var parts []string
	for _, a := range s.Artefacts {
		text := a.Name
		if !a.Whole {
			var numbers []string
			for _, v := range a.Versions {
				numbers = append(numbers, fmt.Sprintf("v%d", v.Number))
			}
			text += "@" + strings.Join(numbers, ",")
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

// allKept reports whether holds keep everything that is still to be destroyed.
func allKept(a disposal.ArtefactStatus) bool {
	return len(a.Held) > 0 && !slices.ContainsFunc(a.Versions, func(v *state.CommittedVersion) bool { return v.State == state.Executed && len(v.Holds) == 0 })
}

// isDue reports whether a disposal can be run now. One that a hold or minimum
// retention keeps is not: cron need not fail for as long as a law suit lasts.
func isDue(s *disposal.Status, now time.Time) bool {
	switch s.Phase {
	case disposal.Approved:
		for _, a := range s.Artefacts {
			if len(a.Held) > 0 {
				return false
			}
			for _, v := range a.Versions {
				if s.KeptUntil(v.Kind, v.Time).After(now) {
					return false
				}
			}
		}
		return !entry.At(now).Before(s.Due.Time)
	case disposal.Disabled:
		return !s.Cancelled && !slices.ContainsFunc(s.Artefacts, allKept)
	case disposal.Pending, disposal.Destroyed, disposal.Purged:
		return true
	case disposal.Verified, disposal.Accepted:
		// What a lock kept is taken once its date is past.
		for _, a := range s.Artefacts {
			for _, v := range a.Versions {
				if slices.ContainsFunc(v.Retained, func(r state.Retained) bool { return !r.Until.After(now) }) {
					return true
				}
			}
		}
	}
	return false
}

// reasoned puts a reason behind what it is for, if there is one.
func reasoned(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
