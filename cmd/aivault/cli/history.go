package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func historyCommand() *command {
	return &command{
		name: "history", args: "ARTEFACT", usage: "tell everything that happened to an artefact",
		about:   "The oldest first. What somebody wrote who was not permitted to is told too, as void: it changed nothing.",
		example: "aivault history team/fraud-detector",
		json:    eventJSON{},
		run:     runHistory,
	}
}

type eventJSON struct {
	Schema    string    `json:"schema"`
	Freshness string    `json:"freshness"`
	Artefact  string    `json:"artefact"`
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"`
	By        string    `json:"by"`
	What      string    `json:"what"`
	Void      bool      `json:"void"`
	Rule      string    `json:"rule,omitempty"`
	Why       string    `json:"why,omitempty"`
}

func runHistory(ctx context.Context, c *call) error {
	addressed, name, err := naming.ParseArtefact(c.args[0])
	if err != nil {
		return err
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	h, err := v.History(ctx, name)
	if err != nil {
		return err
	}
	return table(c.out, h.Events,
		func(e vault.Event) any {
			return eventJSON{c.out.schema(), h.Freshness, h.Artefact, e.Seq, e.Time.UTC(), e.Kind, e.By, e.What, e.Void, e.Rule, e.Why}
		},
		[]string{"SEQ", "TIME", "BY", "WHAT"},
		func(e vault.Event) []string {
			return []string{fmt.Sprint(e.Seq), timeText(e.Time), e.By, whatHappened(e)}
		})
}

func whatHappened(e vault.Event) string {
	if e.Void {
		return fmt.Sprintf("void: %s (%s: %s)", e.What, e.Rule, e.Why)
	}
	return e.What
}
