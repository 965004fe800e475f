package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/aivault/aivault/vault"
)

func policyTestCommand() *command {
	return &command{
		name: "test", usage: "tell what would be destroyed at a time, and why each other thing is kept",
		about:   "Hold comes before minimum retention, that before an approved disposal, that before maximum retention. What is past its maximum is overdue: that is told, and destroys nothing without an approved request. Nothing is changed.",
		example: "aivault policy test --at 2027-06-30\naivault policy test --at P1Y --json",
		flags:   flagList(textFlag("at", "TIME", "a date, a time, or a duration from now (default now)")),
		json:    fateJSON{},
		run:     runPolicyTest,
	}
}

type fateJSON struct {
	Schema    string    `json:"schema"`
	Freshness string    `json:"freshness"`
	At        time.Time `json:"at"`
	Artefact  string    `json:"artefact"`
	Version   int       `json:"version"`
	Dies      bool      `json:"dies"`
	Overdue   bool      `json:"overdue"`
	Rule      string    `json:"rule"`
	Why       string    `json:"why"`
}

func runPolicyTest(ctx context.Context, c *call) error {
	at, err := c.when("at")
	if err != nil {
		return err
	}
	if at.IsZero() {
		at = c.sys.now()
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	fates, err := v.Simulate(ctx, at)
	if err != nil {
		return err
	}
	return table(c.out, fates,
		func(f vault.Fate) any {
			return fateJSON{c.out.schema(), v.Freshness(), at.UTC(), f.Artefact, f.Version, f.Dies, f.Overdue, f.Rule, f.Why}
		},
		[]string{"VERSION", "FATE", "RULE", "WHY"},
		func(f vault.Fate) []string {
			fate := "kept"
			switch {
			case f.Dies:
				fate = "dies"
			case f.Overdue:
				fate = "overdue"
			}
			return []string{fmt.Sprintf("%s@v%d", f.Artefact, f.Version), fate, f.Rule, f.Why}
		})
}
