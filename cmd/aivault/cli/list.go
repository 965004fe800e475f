package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/vault"
)

func listCommand() *command {
	return &command{
		name: "list", args: "[GLOB]", usage: "list artefacts",
		about:   "Every member sees every artefact. In a GLOB, * stands for anything within one part of a name, and /** at the end for everything below.",
		example: "aivault list\naivault list 'team/**' --json",
		json:    summaryJSON{},
		run:     runList,
	}
}

type summaryJSON struct {
	Schema         string         `json:"schema"`
	Freshness      string         `json:"freshness"`
	Artefact       string         `json:"artefact"`
	Kind           string         `json:"kind,omitempty"`
	Classification string         `json:"classification,omitempty"`
	State          string         `json:"state"`
	Versions       int            `json:"versions"`
	Live           int            `json:"live"`
	Quarantined    int            `json:"quarantined"`
	Latest         int            `json:"latest,omitempty"`
	Channels       map[string]int `json:"channels"`
	Fallbacks      map[string]int `json:"fallbacks"` // 0: nothing is known good
	Modified       time.Time      `json:"modified"`
	Stored         int64          `json:"stored_bytes"`
	Sources        []sourceJSON   `json:"sources"` // of the newest version, like lineage
	Lineage        []relationJSON `json:"lineage"`
	Complete       bool           `json:"lineage_complete"`
}

func runList(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	all, freshness, err := v.List(ctx, c.arg(0))
	if err != nil {
		return err
	}
	return table(c.out, all,
		func(s vault.Summary) any {
			return summaryJSON{c.out.schema(), freshness, s.Artefact, s.Kind, s.Classification, s.State, s.Versions, s.Live, s.Quarantined, s.Latest, s.Channels, s.Fallbacks, s.Modified.UTC(), s.Stored, sourceObjects(s.Sources), relationObjects(s.Relations), s.Complete}
		},
		[]string{"ARTEFACT", "KIND", "STATE", "LATEST", "LIVE", "CHANNELS", "STORED", "MODIFIED"},
		func(s vault.Summary) []string {
			return []string{s.Artefact, orDash(s.Kind), stateText(s), versionText(s.Latest), fmt.Sprint(s.Live), channelsText(s.Channels), bytesText(s.Stored), timeText(s.Modified)}
		})
}

// stateText is the state, with what of it is in quarantine.
func stateText(s vault.Summary) string {
	if s.Quarantined == 0 {
		return s.State
	}
	return fmt.Sprintf("%s, %d in quarantine", s.State, s.Quarantined)
}

// versionText is "v7", "-" for 0.
func versionText(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("v%d", n)
}

func channelsText(channels map[string]int) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		out = append(out, name+"="+versionText(channels[name]))
	}
	return orDash(strings.Join(out, " "))
}
