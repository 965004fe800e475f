package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func quarantineCommand() *command {
	return &command{
		name: "quarantine", args: "REF…", usage: "deny versions to all who read, at once",
		about: "For operators. A version in quarantine cannot be pulled (exit code 15), handed over, or be what a channel moves to, and counts as held against disposal. Nothing is deleted, and no channel moves but with --rollback. With --descendants everything that descends from it goes with it. " +
			"For REF, - stands for references from stdin, one a line. All of them are looked up before anything is written; if a run breaks off, the same again does the rest.",
		example: "aivault quarantine fraud-detector@v3 fraud-detector@v4 --reason 'poisoned training data' --incident INC-4711\naivault quarantine data/train@v3 --descendants --rollback --reason poisoned --incident INC-4711\naivault quarantine - --reason 'see INC-4711' < suspects.txt",
		flags: flagList(
			textFlag("reason", "TEXT", "why, for the record"),
			boolFlag("descendants", "and all that descends from them, in whatever artefact; what cannot be excluded is named, with exit code 3"),
			boolFlag("rollback", "move channels that point to these versions back to what is known good first; those without a fallback stay where they are, and the exit code is 3"),
		),
		json: quarantineJSON{}, run: runQuarantine,
		sub: []*command{
			{
				name: "clear", args: "REF…", usage: "lift a quarantine",
				about:   "For operators. For REF, - stands for references from stdin, one a line. Who holds it for another reason places a hold.",
				example: "aivault quarantine clear fraud-detector@v4 --reason 'trained before the poisoning'",
				flags:   flagList(textFlag("reason", "TEXT", "why, for the record")),
				json:    quarantineJSON{}, run: runQuarantineClear,
			},
			{
				name: "permit", args: "REF MEMBER", usage: "let somebody else read a version in quarantine, to examine it",
				about:   "It takes two: the operator who permits it, and another member who reads, with aivault pull --forensic, until the time is over or the quarantine is lifted. It gives no key: MEMBER must read the artefact as it is.",
				example: "aivault quarantine permit fraud-detector@v3 carol --until P2D --reason 'find the trigger'",
				flags: flagList(
					textFlag("reason", "TEXT", "why, for the record"),
					textFlag("until", "TIME", "until when: a date, or a duration from now (default P1D)"),
				),
				json: permitJSON{}, run: runQuarantinePermit,
			},
		},
	}
}

type quarantinedJSON struct {
	Ref      string   `json:"ref"`
	Artefact string   `json:"artefact"`
	Version  int      `json:"version"`
	Changed  bool     `json:"changed"`
	Why      string   `json:"why,omitempty"` // with --descendants: how it descends
	Channels []string `json:"channels"`
	Head     string   `json:"head"`
}

type quarantineJSON struct {
	Schema     string            `json:"schema"`
	Changed    bool              `json:"changed"`
	Freshness  string            `json:"freshness"`
	Reason     string            `json:"reason"`
	Incident   string            `json:"incident,omitempty"`
	Versions   []quarantinedJSON `json:"versions"`
	Rollbacks  []retreatJSON     `json:"rollbacks,omitempty"`  // with --rollback
	Unexcluded []string          `json:"unexcluded,omitempty"` // with --descendants
}

type retreatJSON struct {
	Artefact string           `json:"artefact"`
	Channel  string           `json:"channel"`
	Changed  bool             `json:"changed"`
	From     int              `json:"from"`
	To       int              `json:"to"` // 0: nothing is known good, and it stays
	Versions []consideredJSON `json:"versions"`
	Head     string           `json:"head"`
}

type permitJSON struct {
	Schema    string    `json:"schema"`
	Changed   bool      `json:"changed"`
	Freshness string    `json:"freshness"`
	Ref       string    `json:"ref"`
	Member    string    `json:"member"`
	Until     time.Time `json:"until"`
	Reason    string    `json:"reason"`
	Head      string    `json:"head"`
}

func runQuarantine(ctx context.Context, c *call) error {
	return c.quarantine(ctx, (*vault.Vault).Quarantine, "in quarantine")
}

func runQuarantineClear(ctx context.Context, c *call) error {
	return c.quarantine(ctx, (*vault.Vault).Clear, "in no quarantine")
}

func (c *call) quarantine(ctx context.Context, act func(*vault.Vault, context.Context, []vault.Ref, string, string) ([]vault.QuarantineInfo, error), now string) error {
	reason, err := c.reason()
	if err != nil {
		return err
	}
	addressed, refs, err := c.references()
	if err != nil {
		return err
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	why := map[string]string{}
	var open []vault.Unexcluded
	if c.flags.Bool("descendants") {
		all, left, err := v.Descendants(ctx, refs)
		if err != nil {
			return err
		}
		refs, open = nil, left
		for _, d := range all {
			refs, why[d.Ref.String()] = append(refs, d.Ref), d.Why
		}
	}
	var retreats []vault.RollbackResult
	if c.flags.Bool("rollback") {
		if retreats, err = v.Retreat(ctx, refs, vault.RollbackOptions{Reason: reason, Incident: c.set.incident}); err != nil {
			return err
		}
	}
	done, failed := act(v, ctx, refs, reason, c.set.incident)
	if failed != nil && len(done) == 0 {
		return failed
	}
	object := quarantineJSON{Schema: c.out.schema(), Freshness: v.Freshness(), Reason: reason, Incident: c.set.incident, Versions: []quarantinedJSON{}}
	names := make([]string, len(done))
	for i, q := range done {
		names[i] = q.Ref()
		object.Changed = object.Changed || q.Changed
		object.Versions = append(object.Versions, quarantinedJSON{q.Ref(), q.Artefact, q.Version, q.Changed, why[q.Ref()], q.Channels, q.Head.String()})
	}
	for _, u := range open {
		object.Unexcluded = append(object.Unexcluded, u.Ref())
	}
	stay := 0
	for _, r := range retreats {
		object.Rollbacks = append(object.Rollbacks, retreatJSON{r.Artefact, r.Channel, r.Changed, r.From, r.To, consideredObjects(r.Artefact, r.Judged), r.Head.String()})
		if r.To == 0 {
			stay++
		}
	}
	err = c.out.result(object, strings.Join(names, " "), func(w io.Writer) {
		for _, r := range retreats {
			writeJudged(w, r.Judged)
			if r.To > 0 {
				fmt.Fprintf(w, "channel %s of %s points to v%d, before to v%d\n", printable(r.Channel), printable(r.Artefact), r.To, r.From)
			}
		}
		for _, q := range done {
			was := ""
			if !q.Changed {
				was = " already"
			}
			if how := why[q.Ref()]; how != "" {
				was += ": " + how
			}
			fmt.Fprintf(w, "%s is %s%s\n", printable(q.Ref()), now, printable(was))
			for _, channel := range q.Channels {
				fmt.Fprintf(w, "  channel %s points to it\n", printable(channel))
			}
		}
	})
	for _, u := range open {
		c.note("%s cannot be excluded: %s", printable(u.Ref()), printable(u.Why))
	}
	switch {
	case failed != nil:
		return errors.Join(failed, err)
	case err == nil && stay > 0:
		return fmt.Errorf("%w: %s without a fallback still point to what is in quarantine", errPartial, plural(stay, "channel"))
	case err == nil && len(open) > 0:
		return fmt.Errorf("%w: %s", errPartial, notExcluded(len(open), 0))
	case err == nil && !object.Changed:
		return c.unchanged()
	}
	return err
}

// references reads the references that are given, or one a line from stdin, and
// the vault that they name, which must be one.
func (c *call) references() (addressed string, refs []vault.Ref, err error) {
	words := c.args
	if len(words) == 1 && words[0] == "-" {
		if words, err = lines(c.sys.stdin); err != nil {
			return "", nil, err
		}
		if len(words) == 0 {
			return "", nil, usage("stdin names no reference")
		}
	}
	for i, word := range words {
		at, ref, err := naming.ParseRef(word)
		if err != nil {
			return "", nil, err
		}
		if i > 0 && at != addressed {
			return "", nil, usage("%q and %q name different vaults", words[0], word)
		}
		addressed, refs = at, append(refs, ref)
	}
	return addressed, refs, nil
}

// maxReferences bounds what is read from stdin.
const maxReferences = 100_000

// lines returns the lines of r that are not blank.
func lines(r io.Reader) ([]string, error) {
	var out []string
	s := bufio.NewScanner(r)
	for s.Scan() {
		if text := strings.TrimSpace(s.Text()); text != "" {
			out = append(out, text)
		}
		if len(out) > maxReferences {
			return nil, usage("stdin names more than %d references", maxReferences)
		}
	}
	if err := s.Err(); err != nil {
		return nil, usage("reading references from stdin: %w", err)
	}
	return out, nil
}

func runQuarantinePermit(ctx context.Context, c *call) error {
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	reason, err := c.reason()
	if err != nil {
		return err
	}
	until, err := c.when("until")
	if err != nil {
		return err
	}
	if until.IsZero() {
		until = c.sys.now().Add(24 * time.Hour)
	}
	if !until.After(c.sys.now()) {
		return usage("--until: that time is over")
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	p, err := v.Permit(ctx, ref, c.args[1], reason, until)
	if err != nil {
		return err
	}
	object := permitJSON{c.out.schema(), true, v.Freshness(), fmt.Sprintf("%s@v%d", p.Artefact, p.Version), p.Reader, p.Until.UTC().Truncate(time.Second), reason, p.Head.String()}
	return c.out.result(object, object.Ref, func(w io.Writer) {
		fmt.Fprintf(w, "%s may read %s until %s: aivault pull %s DEST --forensic\n", printable(p.Reader), printable(object.Ref), timeText(p.Until), printable(object.Ref))
	})
}
