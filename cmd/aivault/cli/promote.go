package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

func promoteCommand() *command {
	return &command{
		name: "promote", args: "REF CHANNEL", usage: "move a channel to a version, through its gates",
		about: "For operators. Policy says what a version must show before a channel moves to it: evidence, approvals. Each gate is printed, met or unmet, with what it rests on; one that is unmet stops the move (exit code 15), for every client, unless somebody who did not push the version waives it with a reason, which stays on record. " +
			"If somebody else has moved the channel meanwhile, nothing is moved (exit code 11).",
		example: "aivault promote fraud-detector@v7 prod --reason 'release 2026.11'\naivault promote fraud-detector@v7 prod --waive scan --reason 'scanner is down, see INC-4711' --incident INC-4711",
		flags: flagList(
			textFlag("reason", "TEXT", "why, for the record; needed with --waive"),
			listFlag("waive", "GATE", "move although this gate is unmet; may be repeated"),
			boolFlag("dry-run", "print the gates and move nothing"),
		),
		json: promoteJSON{}, run: runPromote,
	}
}

func approveCommand() *command {
	return &command{
		name: "approve", args: "REF", usage: "mark a version as known good",
		about:   "For operators, on versions that somebody else has pushed. A channel's gates may ask for it, and so does falling back, from the second operator on.",
		example: "aivault approve fraud-detector@v7",
		json:    approveJSON{}, run: runApprove,
	}
}

type gateJSON struct {
	Gate   string      `json:"gate"`
	Met    bool        `json:"met"`
	Why    string      `json:"why"`
	Waived *waiverJSON `json:"waived,omitempty"`
}

type waiverJSON struct {
	By     string    `json:"by"`
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
}

type promoteJSON struct {
	Schema    string     `json:"schema"`
	Changed   bool       `json:"changed"`
	Freshness string     `json:"freshness"`
	Artefact  string     `json:"artefact"`
	Channel   string     `json:"channel"`
	Version   int        `json:"version"`
	Ref       string     `json:"ref"`
	Digest    string     `json:"digest"`
	From      int        `json:"from,omitempty"` // the version that it pointed to before
	Gates     []gateJSON `json:"gates"`
	Head      string     `json:"head"`
}

type approveJSON struct {
	Schema    string   `json:"schema"`
	Changed   bool     `json:"changed"`
	Freshness string   `json:"freshness"`
	Ref       string   `json:"ref"`
	Digest    string   `json:"digest"`
	By        []string `json:"by"`
	Head      string   `json:"head"`
}

func gateObjects(gates []state.Gate) []gateJSON {
	out := []gateJSON{}
	for _, g := range gates {
		o := gateJSON{Gate: g.Name, Met: g.Met, Why: g.Why}
		if w := g.Waived; w != nil {
			o.Waived = &waiverJSON{w.By, w.Time.UTC(), w.Reason}
		}
		out = append(out, o)
	}
	return out
}

// writeGates writes gates for people.
func writeGates(w io.Writer, gates []state.Gate) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range gates {
		word, why := "unmet", g.Why
		switch {
		case g.Met:
			word = "met"
		case g.Waived != nil:
			word, why = "waived", fmt.Sprintf("by %s on %s: %s; %s", g.Waived.By, g.Waived.Time, g.Waived.Reason, g.Why)
		}
		writeRow(t, []string{"  " + word, g.Name, why})
	}
	t.Flush()
}

func runPromote(ctx context.Context, c *call) error {
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	o := vault.PromoteOptions{Reason: strings.TrimSpace(c.flags.String("reason")), Incident: c.set.incident, Waive: c.flags.StringSlice("waive"), Pretend: c.flags.Bool("dry-run")}
	if len(o.Waive) > 0 && o.Reason == "" {
		return usage("--waive needs --reason: it stays on record")
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	res, failed := v.Promote(ctx, ref, c.args[1], o)
	if res == nil {
		return failed
	}
	object := promoteJSON{c.out.schema(), res.Changed, res.Freshness, res.Artefact, res.Channel, res.Version, fmt.Sprintf("%s@v%d", res.Artefact, res.Version),
		"sha256:" + res.Digest.String(), res.From, gateObjects(res.Gates), res.Head.String()}
	if failed != nil {
		if !c.set.json && !c.set.quiet {
			writeGates(c.sys.stderr, res.Gates)
		}
		return failed
	}
	err = c.out.result(object, object.Ref, func(w io.Writer) {
		writeGates(w, res.Gates)
		switch {
		case o.Pretend:
			fmt.Fprintf(w, "nothing was moved: %s of %s points to %s\n", printable(res.Channel), printable(res.Artefact), versionText(res.From))
		case res.Changed:
			fmt.Fprintf(w, "channel %s of %s points to v%d, before to %s\n", printable(res.Channel), printable(res.Artefact), res.Version, versionText(res.From))
		default:
			fmt.Fprintf(w, "channel %s of %s points to v%d already\n", printable(res.Channel), printable(res.Artefact), res.Version)
		}
	})
	if res.Changed {
		c.note("head %s (for --pin)", object.Head)
	}
	switch {
	case err != nil:
		return err
	case o.Pretend && slices.ContainsFunc(res.Gates, func(g state.Gate) bool { return !g.Open() }):
		return fmt.Errorf("%s would not become %s: %w", object.Ref, res.Channel, vault.ErrGates)
	case !res.Changed && !o.Pretend:
		return c.unchanged()
	}
	return nil
}

func runApprove(ctx context.Context, c *call) error {
	v, ref, err := c.openRef(ctx)
	if err != nil {
		return err
	}
	res, err := v.ApproveVersion(ctx, ref)
	if err != nil {
		return err
	}
	object := approveJSON{c.out.schema(), res.Changed, res.Freshness, fmt.Sprintf("%s@v%d", res.Artefact, res.Version), "sha256:" + res.Digest.String(), res.By, res.Head.String()}
	err = c.out.result(object, object.Ref, func(w io.Writer) {
		fmt.Fprintf(w, "%s is approved by %s\n", printable(object.Ref), printable(strings.Join(res.By, ", ")))
	})
	if err == nil && !res.Changed {
		return c.unchanged()
	}
	return err
}
