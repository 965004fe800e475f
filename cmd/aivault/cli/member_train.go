package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func memberTrainCommand() *command {
	return &command{
		name: "train", args: "NAME", usage: "record that a member was trained for a role",
		about:   "For operators and admins, and not about oneself where somebody else could. Policy may ask that those who push a version, approve it and move a channel to it have been trained (trained, of channels). aivault member list --json prints what is on record.",
		example: "aivault member train bob --role operator --course 'rolling back under attack' --expires P1Y --file certificate.pdf",
		flags: flagList(
			textFlag("role", "ROLE", "what for: "+strings.Join(state.Roles(), ", ")),
			textFlag("course", "TEXT", "what it was"),
			textFlag("expires", "TIME", "it counts before then: a date, or a duration from now (default never)"),
			textFlag("file", "FILE", "what shows it, at most 1 MiB; every member can read it"),
		),
		json: changeJSON{}, run: memberTrain,
	}
}

func memberTrain(ctx context.Context, c *call) error {
	o := vault.TrainingOptions{Role: c.flags.String("role"), Course: c.flags.String("course")}
	if !slices.Contains(state.Roles(), o.Role) {
		return usage("--role %q: there are %s", o.Role, strings.Join(state.Roles(), ", "))
	}
	if o.Course == "" {
		return usage("--course says what the training was")
	}
	var err error
	if o.Expires, err = c.when("expires"); err != nil {
		return err
	}
	if !o.Expires.IsZero() && !o.Expires.After(c.sys.now()) {
		return usage("--expires: that time is over")
	}
	if file := c.flags.String("file"); file != "" {
		f, err := os.Open(file)
		if err != nil {
			return usage("--file: %w", err)
		}
		defer f.Close()
		if o.Document, err = io.ReadAll(io.LimitReader(f, disposal.MaxDocument+1)); err != nil {
			return usage("--file: %w", err)
		}
		if len(o.Document) == 0 || len(o.Document) > disposal.MaxDocument {
			return usage("--file %s: 1 byte to 1 MiB", file)
		}
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, err := v.MemberTrain(ctx, c.args[0], o)
	if err != nil {
		return err
	}
	return c.changed(c.args[0], fmt.Sprintf("%s is trained as %s", c.args[0], o.Role), change, nil)
}

// trainingJSON is a record of training.
type trainingJSON struct {
	Role    string     `json:"role"`
	Course  string     `json:"course"`
	By      string     `json:"by"`
	Time    time.Time  `json:"time"`
	Expires *time.Time `json:"expires,omitempty"`
	Current bool       `json:"current"` // it counts now
}

func trainingObjects(all []state.Training, now entry.Time) []trainingJSON {
	out := []trainingJSON{}
	for _, t := range all {
		o := trainingJSON{Role: t.Role, Course: t.Course, By: t.By, Time: t.Time.UTC(), Current: t.Expires.IsZero() || now.Before(t.Expires.Time)}
		if !t.Expires.IsZero() {
			until := t.Expires.UTC()
			o.Expires = &until
		}
		out = append(out, o)
	}
	return out
}
