package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func auditLogCommand() *command {
	return &command{
		name: "log", args: "[ARTEFACT]", usage: "tell everything that happened, in all journals or one",
		about:   "The oldest first. What somebody wrote who was not permitted to is told too, as void: it changed nothing.",
		example: "aivault audit log --since 24h\naivault audit log team/fraud-detector --since 2026-11-01 --json",
		flags: flagList(
			textFlag("since", "TIME", "nothing before: a date, a time (2026-11-23T21:00:00Z), or how long ago (24h)"),
		),
		json: logJSON{},
		run:  runAuditLog,
	}
}

type logJSON struct {
	Schema    string    `json:"schema"`
	Freshness string    `json:"freshness"`
	Journal   string    `json:"journal"`
	Seq       uint64    `json:"seq"`
	Hash      string    `json:"hash"`
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"`
	By        string    `json:"by"`
	What      string    `json:"what"`
	Void      bool      `json:"void"`
	Rule      string    `json:"rule,omitempty"`
	Why       string    `json:"why,omitempty"`
}

func runAuditLog(ctx context.Context, c *call) error {
	addressed, name := "", ""
	var err error
	if len(c.args) > 0 {
		if addressed, name, err = naming.ParseArtefact(c.args[0]); err != nil {
			return err
		}
	}
	var since time.Time
	if text := c.flags.String("since"); text != "" {
		if since, err = parseSince(text, c.sys.now()); err != nil {
			return err
		}
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	events, freshness, err := v.AuditLog(ctx, name, since)
	if err != nil {
		return err
	}
	return table(c.out, events,
		func(e vault.LogEvent) any {
			return logJSON{c.out.schema(), freshness, e.Journal, e.Seq, e.Hash.String(), e.Time.UTC(), e.Kind, e.By, e.What, e.Void, e.Rule, e.Why}
		},
		[]string{"TIME", "JOURNAL", "SEQ", "BY", "WHAT"},
		func(e vault.LogEvent) []string {
			return []string{timeText(e.Time), e.Journal, fmt.Sprint(e.Seq), e.By, whatHappened(e.Event)}
		})
}

// parseSince reads a time, a date, or how long before now.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("--since %q is no time: write 2026-11-23, 2026-11-23T21:00:00Z, or how long ago, e.g. 24h", text)
}
