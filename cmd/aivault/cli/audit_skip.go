package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

func auditSkipCommand() *command {
	return &command{
		name: "skip", args: "SLOT…", usage: "pass over objects that block a journal because they do not verify",
		about:   "Every slot between the last entry that verifies and the first free one must be named, as its object key, its last part or its number, each with the SHA-256 of what stands there, in the same order: what is passed over is on record for ever. For operators and admins. An entry that verifies cannot be skipped.",
		example: "aivault audit skip log/fffffffffffffff8 --sha256 9f86… --reason 'junk by a stolen credential'\naivault audit skip 7 8 --sha256 9f86… --sha256 2c62… --artefact team/fraud-detector --reason 'torn upload'",
		flags: flagList(
			textFlag("artefact", "NAME", "whose journal is blocked; without it, the vault's own"),
			listFlag("sha256", "DIGEST", "of the object in the slot; once for each SLOT"),
			textFlag("reason", "TEXT", "why, for the record"),
		),
		json: skipJSON{},
		run:  runSkip,
	}
}

type skipJSON struct {
	Schema   string   `json:"schema"`
	Changed  bool     `json:"changed"`
	Artefact string   `json:"artefact,omitempty"`
	Slots    []uint64 `json:"slots"`
	Head     string   `json:"head"`
}

func runSkip(ctx context.Context, c *call) error {
	digests := c.flags.StringSlice("sha256")
	if len(digests) != len(c.args) {
		return usage("each SLOT needs its --sha256: %s, %s", plural(len(c.args), "slot"), plural(len(digests), "digest"))
	}
	reason := strings.TrimSpace(c.flags.String("reason"))
	if reason == "" {
		return usage("--reason is needed: it stays on record")
	}
	var slots []entry.SkippedSlot
	for i, a := range c.args {
		seq, err := parseSlot(a)
		if err != nil {
			return err
		}
		digest, err := canonical.ParseDigest(digests[i])
		if err != nil {
			return usage("--sha256 %q: %w", digests[i], err)
		}
		slots = append(slots, entry.SkippedSlot{Seq: seq, SHA256: digest})
	}
	slices.SortFunc(slots, func(a, b entry.SkippedSlot) int { return int(int64(a.Seq) - int64(b.Seq)) })
	addressed, name := "", ""
	if c.flags.IsSet("artefact") {
		var err error
		if addressed, name, err = naming.ParseArtefact(c.flags.String("artefact")); err != nil {
			return err
		}
	} else if strings.HasPrefix(c.args[0], "a/") {
		return usage("%s lies in the journal of an artefact; name it with --artefact", c.args[0])
	}
	p, err := c.findVault(addressed)
	if err != nil {
		return err
	}
	config, err := c.config(ctx, p)
	if err != nil {
		return err
	}
	head, err := vault.Skip(ctx, config, name, slots, reason)
	if err != nil {
		return err
	}
	object := skipJSON{Schema: c.out.schema(), Changed: true, Artefact: name, Head: head.String()}
	for _, s := range slots {
		object.Slots = append(object.Slots, s.Seq)
	}
	return c.out.result(object, object.Head, func(w io.Writer) {
		fmt.Fprintf(w, "%s passed over; the journal goes on at entry %d\n", plural(len(slots), "slot"), head.Seq)
	})
}

// parseSlot reads a slot: an object key, the last part of one, or a number.
func parseSlot(s string) (uint64, error) {
	last := s[strings.LastIndexByte(s, '/')+1:]
	if v, err := strconv.ParseUint(last, 16, 64); err == nil && journal.Slot(math.MaxUint64-v) == last && math.MaxUint64-v <= entry.MaxSeq {
		return math.MaxUint64 - v, nil
	}
	seq, err := strconv.ParseUint(s, 10, 64)
	if err != nil || seq > entry.MaxSeq {
		return 0, usage("%q is no slot: name an object such as log/fffffffffffffff8, or a number", s)
	}
	return seq, nil
}
