package cli

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/vault"
)

func gcCommand() *command {
	return &command{
		name: "gc", usage: "erase what no entry needs any more",
		about:   "Pushes that were begun and not finished for a week, leftovers of rotations and purges, objects that a lock released, receipts past policy's maximum. What a version needs that is not destroyed is never touched, and held artefacts are passed over. Safe beside pushes and other runs of it.",
		example: "aivault gc --dry-run\naivault gc",
		flags:   flagList(boolFlag("dry-run", "tell what would be erased and erase nothing")),
		json:    gcJSON{},
		run:     runGC,
	}
}

type gcJSON struct {
	Schema    string `json:"schema"`
	Changed   bool   `json:"changed"`
	Freshness string `json:"freshness"`
	Artefact  string `json:"artefact"`
	Condemned int    `json:"condemned_versions"`
	Erased    int    `json:"erased_objects"`
	Receipts  int    `json:"erased_receipts"`
	Keys      int    `json:"destroyed_keys"`
	Retained  int    `json:"retained_objects"`
}

func runGC(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	pretend := c.flags.Bool("dry-run")
	done, err := v.Collect(ctx, pretend)
	if err != nil {
		return err
	}
	if err := table(c.out, done,
		func(d vault.Collected) any {
			return gcJSON{c.out.schema(), !pretend && d.Erased+d.Condemned+d.Keys > 0, v.Freshness(), d.Artefact, d.Condemned, d.Erased, d.Receipts, d.Keys, len(d.Retained)}
		},
		[]string{"ARTEFACT", "UNFINISHED", "OBJECTS", "RECEIPTS", "KEYS", "RETAINED"},
		func(d vault.Collected) []string {
			return []string{d.Artefact, fmt.Sprint(d.Condemned), fmt.Sprint(d.Erased), fmt.Sprint(d.Receipts), fmt.Sprint(d.Keys), fmt.Sprint(len(d.Retained))}
		}); err != nil {
		return err
	}
	if len(done) == 0 {
		c.note("There is nothing to erase.")
		return c.unchanged()
	}
	if pretend {
		c.note("Nothing was erased.")
	}
	return nil
}
