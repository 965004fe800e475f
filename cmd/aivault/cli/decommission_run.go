package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/disposal"
)

func decommissionRunCommand() *command {
	return &command{
		name: "run", args: "[ID]", usage: "execute an approved disposal that is due, or all of them",
		about:   "For cron: with --due it takes every disposal that is approved and due as far as it goes, prints a line for each, and exits 0 when there is nothing to do (4 under --exit-code). It needs neither the right to read nor that to approve, may be run at any time, by several machines at once, and goes on where another run was broken off. Exits with 3 while a keeper delays the end of a key.",
		example: "aivault decommission run 5f0c…\naivault decommission run --due --json --metrics-file /var/lib/node_exporter/aivault.prom",
		flags: flagList(
			boolFlag("due", "every disposal that is due"),
			boolFlag("dry-run", "tell what is due and run nothing"),
			boolFlag("yes", "do not ask for the artefact's name to be typed"),
			textFlag("metrics-file", "FILE", "write figures for Prometheus to this file"),
		),
		json: ranJSON{},
		run:  runDecommissionRun,
	}
}

type ranJSON struct {
	Schema      string     `json:"schema"`
	Changed     bool       `json:"changed"`
	ID          string     `json:"id"`
	State       string     `json:"state"`
	What        string     `json:"what"`
	Until       *time.Time `json:"pending_until,omitempty"`
	Pending     int        `json:"pending_keys"`
	WaitsFor    []string   `json:"waits_for"` // keepers that have not done their part
	Retained    int        `json:"retained_objects"`
	Certificate bool       `json:"certificate"`
	Error       string     `json:"error,omitempty"`
	Kind        string     `json:"error_kind,omitempty"`
}

func runDecommissionRun(ctx context.Context, c *call) error {
	due := c.flags.Bool("due")
	if due == (len(c.args) == 1) {
		return usage("name one disposal, or use --due for all that are due")
	}
	_, d, err := c.desk(ctx, "", true)
	if err != nil {
		return err
	}
	var todo []*disposal.Status
	if due {
		todo, err = c.due(ctx, d)
	} else {
		var id canonical.ID
		if id, err = disposalID(c.args[0]); err == nil {
			var s *disposal.Status
			s, err = d.Status(ctx, id)
			todo = append(todo, s)
		}
	}
	if err != nil {
		return err
	}
	if !due && !c.flags.Bool("yes") && !c.flags.Bool("dry-run") {
		if err := c.confirmDisposal(ctx, d, todo[0]); err != nil {
			return err
		}
	}
	var rows []ranJSON
	var failed []error
	began := c.sys.now()
	for _, s := range todo {
		row, err := c.runOne(ctx, d, s)
		rows = append(rows, row)
		if err != nil {
			failed = append(failed, err)
		}
	}
	if file := c.flags.String("metrics-file"); file != "" {
		requests, err := d.Requests(ctx)
		if err == nil {
			err = machine.WriteMetrics(file, runMetrics(rows, len(requests), began, c.sys.now()))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("writing --metrics-file: %w", err))
		}
	}
	if err := c.printRan(rows); err != nil {
		return err
	}
	return c.ranVerdict(rows, failed)
}

// due lists the disposals that can be run now.
func (c *call) due(ctx context.Context, d *disposal.Desk) ([]*disposal.Status, error) {
	requests, err := d.Requests(ctx)
	if err != nil {
		return nil, err
	}
	var out []*disposal.Status
	for _, r := range requests {
		s, err := d.Status(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		if isDue(s, c.sys.now()) {
			out = append(out, s)
		}
	}
	return out, nil
}

// confirmDisposal shows the plan and asks for the first artefact's name.
func (c *call) confirmDisposal(ctx context.Context, d *disposal.Desk, s *disposal.Status) error {
	switch s.Phase {
	case disposal.Verified, disposal.Accepted, disposal.Cancelled:
		return nil
	}
	p, err := d.PlanOf(ctx, s.ID)
	if err != nil {
		return err
	}
	writePlan(c.sys.stderr, p)
	return c.confirm(s.Artefacts[0].Name)
}

func (c *call) runOne(ctx context.Context, d *disposal.Desk, s *disposal.Status) (ranJSON, error) {
	row := ranJSON{Schema: c.out.schema(), ID: s.ID.String(), State: string(s.Phase), What: about(s), WaitsFor: []string{}}
	if c.flags.Bool("dry-run") {
		return row, nil
	}
	out, err := d.Run(ctx, s.ID)
	if out != nil {
		row.Changed, row.State, row.Pending, row.Retained, row.Certificate = out.Changed, string(out.Phase), len(out.Pending), len(out.Retained), out.Certificate != nil
		if until := out.Until(); !until.IsZero() {
			row.Until = &until
		}
		for _, k := range out.Pending {
			if !slices.Contains(row.WaitsFor, k.Key.Instance) {
				row.WaitsFor = append(row.WaitsFor, k.Key.Instance)
			}
			if k.Key.Ref == "" {
				c.log.Warn(k.Why)
			}
		}
	}
	if err != nil {
		row.Error, row.Kind = oneLine(err), judge(err).kind
		return row, fmt.Errorf("disposal %s (%s): %w", s.ID, row.What, err)
	}
	return row, nil
}

func (c *call) printRan(rows []ranJSON) error {
	return table(c.out, rows, func(r ranJSON) any { return r }, []string{"ID", "STATE", "WHAT", ""}, func(r ranJSON) []string {
		more := ""
		switch {
		case r.Error != "":
			more = "failed: " + r.Error
		case r.Until != nil:
			more = "keys are gone on " + timeText(*r.Until)
		case r.Pending > 0:
			more = "waits for " + plural(len(r.WaitsFor), "keeper") + ": " + strings.Join(r.WaitsFor, ", ")
		case r.Retained > 0:
			more = plural(r.Retained, "unreadable object") + " kept by a lock"
		}
		return []string{r.ID, r.State, r.What, more}
	})
}

// ranVerdict turns what came of all runs into one exit code.
func (c *call) ranVerdict(rows []ranJSON, failed []error) error {
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	changed, pending := false, 0
	for _, r := range rows {
		changed = changed || r.Changed
		pending += r.Pending
	}
	switch {
	case pending > 0:
		return hint(fmt.Errorf("%s pending at the keeper: %w", plural(pending, "key"), errPartial), "run the same again after that date, or once the keeper that is named answers")
	case len(rows) == 0:
		c.note("Nothing is due.")
		return c.unchanged()
	case !changed:
		return c.unchanged()
	}
	return nil
}

// runMetrics is the text of a Prometheus textfile.
func runMetrics(rows []ranJSON, known int, began, ended time.Time) func(io.Writer) {
	failed, pending, done := 0, 0, 0
	for _, r := range rows {
		switch {
		case r.Error != "":
			failed++
		case r.Pending > 0:
			pending++
		default:
			done++
		}
	}
	return func(w io.Writer) {
		gauge := func(name, help string, value any) {
			fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n%s %v\n", name, help, name, name, value)
		}
		gauge("aivault_disposals", "Disposals ever requested.", known)
		gauge("aivault_disposals_completed", "Disposals that the last run took to a certificate, or found there.", done)
		gauge("aivault_disposals_pending", "Disposals whose keys wait for a keeper.", pending)
		gauge("aivault_disposals_failed", "Disposals that the last run could not take further.", failed)
		gauge("aivault_run_timestamp_seconds", "When the last run ended.", ended.Unix())
		gauge("aivault_run_duration_seconds", "How long the last run took.", ended.Sub(began).Seconds())
	}
}
