package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func rollbackCommand() *command {
	return &command{
		name: "rollback", args: "ARTEFACT:CHANNEL", usage: "move a channel back to the newest version that is known good",
		about: "For operators who read the artefact. What is known good is computed now, from the checks that policy requires of this channel; every newer version is printed with why it is passed over, and the one that is chosen with what each check rests on. Unknown is not pass. Only what the channel pointed to before is looked at. " +
			"The version is verified before the move, and channel and version are read anew after it. If nothing is known good, nothing is moved (exit code 15).\n\n" +
			"How far content is read: every object's header, or with --full every byte, or with --quick the root of the manifest alone, where a drill has shown that the rest verifies.",
		example: "aivault rollback fraud-detector:prod --reason 'false negatives' --incident INC-4711\naivault rollback fraud-detector:prod --dry-run --quick\naivault rollback fraud-detector:prod --to fraud-detector@v3 --reason 'the auditor asked for it'",
		flags: flagList(
			textFlag("to", "REF", "to this version, whatever journals say of it; gates that are unmet are waived, on record, unless you have pushed it"),
			textFlag("reason", "TEXT", "why, for the record; needed with --to"),
			boolFlag("quick", "read nothing but the root of the manifest"),
			boolFlag("full", "read and verify every byte before the move"),
			boolFlag("dry-run", "decide, and move nothing"),
		),
		json: rollbackJSON{}, run: runRollback,
	}
}

func drillCommand() *command {
	return &command{
		name: "drill", args: "ARTEFACT:CHANNEL", usage: "restore, for practice, what a channel would fall back to",
		about:   "For developers, operators and custodians who read the artefact. The version that aivault rollback would choose now is pulled into a temporary directory, every byte verified, and how that went is recorded on it as evidence of type drill, named for the channel. Policy can ask that a fallback was drilled lately; aivault rollback --quick relies on it. The copy is removed; of a drill that is killed it stays, plaintext, in a directory aivault-drill-… there.",
		example: "aivault drill fraud-detector:prod --json",
		flags:   flagList(textFlag("temp-dir", "DIR", "where the temporary directory is made (default: the system's)")),
		json:    drillJSON{}, run: runDrill,
	}
}

type checkResultJSON struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Why    string `json:"why"`
}

type consideredJSON struct {
	Version int               `json:"version"`
	Ref     string            `json:"ref"`
	Digest  string            `json:"digest"`
	Good    bool              `json:"good"`
	Why     string            `json:"why,omitempty"` // it is passed over
	Checks  []checkResultJSON `json:"checks"`
}

type rollbackJSON struct {
	Schema    string           `json:"schema"`
	Changed   bool             `json:"changed"`
	Freshness string           `json:"freshness"`
	Artefact  string           `json:"artefact"`
	Channel   string           `json:"channel"`
	From      int              `json:"from"`
	To        int              `json:"to,omitempty"`
	Reason    string           `json:"reason,omitempty"`
	Incident  string           `json:"incident,omitempty"`
	Versions  []consideredJSON `json:"versions"`
	Head      string           `json:"head"`
}

type drillJSON struct {
	Schema    string           `json:"schema"`
	Changed   bool             `json:"changed"`
	Freshness string           `json:"freshness"`
	Artefact  string           `json:"artefact"`
	Channel   string           `json:"channel"`
	Version   int              `json:"version,omitempty"`
	Result    string           `json:"result"`
	Files     int64            `json:"files"`
	Bytes     int64            `json:"bytes"`
	Seconds   float64          `json:"seconds"`
	Versions  []consideredJSON `json:"versions"`
	Head      string           `json:"head"`
}

func consideredObjects(artefact string, all []vault.Judged) []consideredJSON {
	out := []consideredJSON{}
	for _, j := range all {
		o := consideredJSON{Version: j.Version, Ref: fmt.Sprintf("%s@v%d", artefact, j.Version), Digest: "sha256:" + j.Digest.String(), Good: j.Good, Why: j.Reason(), Checks: []checkResultJSON{}}
		for _, k := range j.Checks {
			o.Checks = append(o.Checks, checkResultJSON{k.Name, k.Status, k.Why})
		}
		out = append(out, o)
	}
	return out
}

// writeJudged tells people which versions are passed over, and what the checks of
// the last one rest on.
func writeJudged(w io.Writer, all []vault.Judged) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, j := range all {
		if reason := j.Reason(); reason != "" {
			writeRow(t, []string{versionText(j.Version), "passed over", reason})
		}
		if i < len(all)-1 || j.Why != "" || !j.Good {
			continue
		}
		writeRow(t, []string{versionText(j.Version), "known good"})
		for _, k := range j.Checks {
			writeRow(t, []string{"", "  " + k.Name, k.Status + ": " + k.Why})
		}
	}
	t.Flush()
}

// channelOf reads ARTEFACT:CHANNEL; a bare name means its default channel.
func (c *call) channelOf(text string) (addressed, artefact, channel string, err error) {
	addressed, ref, err := naming.ParseRef(text)
	if err != nil {
		return "", "", "", err
	}
	if ref.Channel == "" && ref != (vault.Ref{Artefact: ref.Artefact}) {
		return "", "", "", usage("%q names a version: name a channel, ARTEFACT:CHANNEL", text)
	}
	if ref.Channel == "" {
		ref.Channel = "main"
	}
	return addressed, ref.Artefact, ref.Channel, nil
}

func (c *call) rollbackOptions() (addressed string, o vault.RollbackOptions, err error) {
	o = vault.RollbackOptions{Reason: strings.TrimSpace(c.flags.String("reason")), Incident: c.set.incident, Pretend: c.flags.Bool("dry-run")}
	switch quick, full := c.flags.Bool("quick"), c.flags.Bool("full"); {
	case quick && full:
		return "", o, usage("--quick and --full exclude each other")
	case quick:
		o.Depth = vault.DepthRoot
	case full:
		o.Depth = vault.DepthFull
	}
	if text := c.flags.String("to"); text != "" {
		at, ref, err := naming.ParseRef(text)
		if err != nil {
			return "", o, err
		}
		if o.Reason == "" {
			return "", o, usage("--to needs --reason: it stays on record")
		}
		addressed, o.To = at, &ref
	}
	return addressed, o, nil
}

func runRollback(ctx context.Context, c *call) error {
	addressed, artefact, channel, err := c.channelOf(c.args[0])
	if err != nil {
		return err
	}
	at, o, err := c.rollbackOptions()
	if err != nil {
		return err
	}
	if o.To != nil && (at != addressed || o.To.Artefact != artefact) {
		return usage("--to %s is no version of %s", c.flags.String("to"), artefact)
	}
	v, err := c.openShowing(ctx, addressed, "rollback "+artefact+":"+channel)
	if err != nil {
		return err
	}
	res, failed := v.Rollback(ctx, artefact, channel, o)
	if res == nil {
		return failed
	}
	object := rollbackJSON{c.out.schema(), res.Changed, res.Freshness, res.Artefact, res.Channel, res.From, res.To, o.Reason, o.Incident, consideredObjects(res.Artefact, res.Judged), res.Head.String()}
	if failed != nil && !res.Changed {
		if !c.set.json && !c.set.quiet {
			writeJudged(c.sys.stderr, res.Judged)
		}
		return failed
	}
	err = c.out.result(object, fmt.Sprintf("%s@v%d", res.Artefact, res.To), func(w io.Writer) {
		writeJudged(w, res.Judged)
		switch {
		case res.Changed:
			fmt.Fprintf(w, "channel %s of %s points to v%d, before to %s\n", printable(res.Channel), printable(res.Artefact), res.To, versionText(res.From))
		case o.Pretend:
			fmt.Fprintf(w, "nothing was moved: %s of %s points to %s, and would fall back to v%d\n", printable(res.Channel), printable(res.Artefact), versionText(res.From), res.To)
		default:
			fmt.Fprintf(w, "channel %s of %s points to v%d already\n", printable(res.Channel), printable(res.Artefact), res.To)
		}
	})
	if res.Changed {
		c.note("head %s (for --pin)", object.Head)
	}
	switch {
	case failed != nil:
		return failed
	case err == nil && !res.Changed && !o.Pretend:
		return c.unchanged()
	}
	return err
}

func runDrill(ctx context.Context, c *call) (err error) {
	addressed, artefact, channel, err := c.channelOf(c.args[0])
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.flags.String("temp-dir"), "aivault-drill-")
	if err != nil {
		return usage("a temporary directory: %w", err)
	}
	defer func() {
		if left := os.RemoveAll(dir); left != nil {
			err = errors.Join(err, fmt.Errorf("plaintext is left in %s: %w", dir, left))
		}
	}()
	v, err := c.openShowing(ctx, addressed, "drill "+artefact+":"+channel)
	if err != nil {
		return err
	}
	res, failed := v.Drill(ctx, artefact, channel, filepath.Join(dir, "restored"))
	if res == nil {
		return failed
	}
	object := drillJSON{c.out.schema(), true, res.Freshness, res.Artefact, res.Channel, res.Version, "fail", res.Files, res.Bytes, res.Took.Seconds(), consideredObjects(res.Artefact, res.Judged), res.Head.String()}
	if failed != nil {
		if !c.set.json && !c.set.quiet {
			writeJudged(c.sys.stderr, res.Judged)
		}
		return failed
	}
	object.Result = "pass"
	return c.out.result(object, fmt.Sprintf("%s@v%d", res.Artefact, res.Version), func(w io.Writer) {
		writeJudged(w, res.Judged)
		fmt.Fprintf(w, "%s, %s of v%d restored and verified in %s; it is on record\n", plural(int(res.Files), "file"), bytesText(res.Bytes), res.Version, res.Took.Round(time.Millisecond))
	})
}
