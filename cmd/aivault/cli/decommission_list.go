package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func decommissionListCommand() *command {
	return &command{
		name: "list", usage: "list disposals, and how far they have come",
		example: "aivault decommission list\naivault decommission list --due\naivault decommission list --awaiting me",
		flags: flagList(
			boolFlag("due", "only what can be run now"),
			textFlag("awaiting", "me", "only what waits for your approval or acceptance"),
		),
		json: listedDisposalJSON{},
		run:  runDecommissionList,
	}
}

type listedDisposalJSON struct {
	Schema    string    `json:"schema"`
	Freshness string    `json:"freshness"`
	State     stateJSON `json:"disposal"`
}

func runDecommissionList(ctx context.Context, c *call) error {
	awaiting := c.flags.String("awaiting")
	if awaiting != "" && awaiting != "me" {
		return usage("--awaiting takes the word me")
	}
	v, d, err := c.desk(ctx, "", false)
	if err != nil {
		return err
	}
	requests, err := d.Requests(ctx)
	if err != nil {
		return err
	}
	var shown []*disposal.Status
	for _, r := range requests {
		s, err := d.Status(ctx, r.ID)
		if err != nil {
			return err
		}
		if c.flags.Bool("due") && !isDue(s, c.sys.now()) || awaiting != "" && !awaitsMe(v, s, entry.At(c.sys.now())) {
			continue
		}
		shown = append(shown, s)
	}
	return table(c.out, shown,
		func(s *disposal.Status) any { return listedDisposalJSON{c.out.schema(), v.Freshness(), stateOf(s)} },
		[]string{"ID", "STATE", "DUE", "BY", "APPROVALS", "WHAT"},
		func(s *disposal.Status) []string {
			return []string{s.ID.String(), string(s.Phase), s.Due.String(), s.By, fmt.Sprintf("%d/%d", len(s.Approvals), s.Needed()), about(s)}
		})
}

// awaitsMe reports whether a disposal waits for the one who asks: to be approved,
// accepted, or cancelled to the end.
func awaitsMe(v *vault.Vault, s *disposal.Status, now entry.Time) bool {
	self := v.Self()
	if self == nil || !self.Active(now) || !self.Has(state.Custodian, "") {
		return false
	}
	switch s.Phase {
	case disposal.Requested:
		return self.Name != s.By && !slices.ContainsFunc(s.Approvals, func(a state.Approval) bool { return a.By == self.Name })
	case disposal.Verified:
		return true
	case disposal.Disabled:
		return s.Cancelled
	}
	return false
}
