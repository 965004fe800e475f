package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/entry"
)

func decommissionRequestCommand() *command {
	return &command{
		name: "request", args: "[REF…]", usage: "ask for the end of versions, or of whole artefacts",
		about:   "REF names versions: ARTEFACT@vN and the like. With --whole an ARTEFACT alone means all of it, and its name is never used again. Nothing is destroyed by a request: the plan is shown, and others must approve exactly it. Where an interlock asks for a decision, --decide RULE:SUBJECT=DECISION takes it, on record.",
		example: "aivault decommission request fraud-detector@v3 --reason 'contract ended'\naivault decommission request old-model --whole --after 2027-06-30 --authority 'retention schedule 7' --reason 'end of life' --decide channel:old-model:main=leave\naivault decommission request fraud-detector@v3 --reason test --dry-run\naivault decommission request --system chat-system@v2 --reason 'replaced'",
		flags: flagList(
			textFlag("system", "REF", "a system and every version that it pins, as one disposal"),
			boolFlag("whole", "an ARTEFACT alone means the whole artefact"),
			textFlag("after", "TIME", "not before this date or time, or this duration from now (P30D)"),
			textFlag("authority", "TEXT", "by whose authority"),
			textFlag("reason", "TEXT", "why, for the record"),
			listFlag("decide", "RULE:SUBJECT=DECISION", "a decision that an interlock asks for; may be repeated"),
			boolFlag("dry-run", "show the plan and request nothing"),
		),
		json: requestJSON{},
		run:  runDecommissionRequest,
	}
}

type requestJSON struct {
	Schema  string         `json:"schema"`
	Changed bool           `json:"changed"`
	ID      string         `json:"id"`
	Digest  string         `json:"plan_digest"` // to approve it
	Plan    *disposal.Plan `json:"plan"`
	Head    string         `json:"head"`
}

func runDecommissionRequest(ctx context.Context, c *call) error {
	reason, err := c.reason()
	if err != nil {
		return err
	}
	addressed := ""
	var refs []vault.Ref
	for i, a := range c.args {
		name, ref, err := naming.ParseRef(a)
		if err != nil {
			return err
		}
		if i > 0 && name != addressed {
			return usage("one request is about one vault: %q names another", a)
		}
		addressed, refs = name, append(refs, ref)
	}
	draft := disposal.Draft{Authority: c.flags.String("authority"), Reason: reason, Decisions: map[string]string{}}
	for _, text := range c.flags.StringSlice("decide") {
		key, decision, ok := strings.Cut(text, "=")
		if !ok {
			return usage("--decide %q: it has the form RULE:SUBJECT=DECISION", text)
		}
		draft.Decisions[key] = decision
	}
	after, err := c.when("after")
	if err != nil {
		return err
	}
	if !after.IsZero() {
		draft.After = entry.At(after)
	}
	system := c.flags.String("system")
	if system == "" && len(refs) == 0 {
		return usage("aivault decommission request needs REF…, or --system REF")
	}
	var pinning vault.Ref
	if system != "" {
		name, ref, err := naming.ParseRef(system)
		if err != nil {
			return err
		}
		if len(refs) > 0 && name != addressed {
			return usage("one request is about one vault: %q names another", system)
		}
		addressed, pinning = name, ref
	}
	v, d, err := c.desk(ctx, addressed, false)
	if err != nil {
		return err
	}
	if system != "" {
		parts, err := v.SystemRefs(ctx, pinning)
		if err != nil {
			return err
		}
		for _, r := range parts {
			if !slices.Contains(refs, r) {
				refs = append(refs, r)
			}
		}
	}
	if draft.Scope, err = v.Scope(ctx, refs, c.flags.Bool("whole")); err != nil {
		return err
	}
	p, err := d.Plan(ctx, draft)
	var undecided *disposal.UndecidedError
	if errors.As(err, &undecided) {
		return hint(err, "decide with "+decideFlags(undecided))
	}
	if err != nil {
		return err
	}
	object := requestJSON{Schema: c.out.schema(), Plan: p}
	if !c.flags.Bool("dry-run") {
		r, err := d.Request(ctx, p)
		if err != nil {
			return err
		}
		object.Changed, object.ID, object.Digest, object.Head = true, r.ID.String(), r.Plan.SHA256.String(), v.Head().String()
	}
	return c.out.result(object, object.ID, func(w io.Writer) {
		writePlan(w, p)
		if object.Changed {
			fmt.Fprintf(w, "Requested as %s\nCustodians other than you approve it: aivault decommission approve %s --plan %s\n", object.ID, object.ID, object.Digest)
		} else {
			fmt.Fprintln(w, "Nothing was requested")
		}
	})
}

// decideFlags is what to add to the command line.
func decideFlags(e *disposal.UndecidedError) string {
	var out []string
	for _, o := range e.Open {
		flag := fmt.Sprintf("--decide '%s:%s=%s'", o.Rule, o.Subject.Name, strings.Join(o.Decisions, "|"))
		if !slices.Contains(out, flag) { // of what descends from several
			out = append(out, flag)
		}
	}
	return strings.Join(out, " ")
}

func decommissionPlanCommand() *command {
	return &command{
		name: "plan", args: "ID", usage: "show what a disposal destroys, what survives and why",
		example: "aivault decommission plan 5f0c…",
		json:    planShownJSON{},
		run:     runDecommissionPlan,
	}
}

type planShownJSON struct {
	Schema    string         `json:"schema"`
	Freshness string         `json:"freshness"`
	State     stateJSON      `json:"disposal"`
	Digest    string         `json:"plan_digest"`
	Plan      *disposal.Plan `json:"plan"`
}

func runDecommissionPlan(ctx context.Context, c *call) error {
	id, err := disposalID(c.args[0])
	if err != nil {
		return err
	}
	v, d, err := c.desk(ctx, "", false)
	if err != nil {
		return err
	}
	s, err := d.Status(ctx, id)
	if err != nil {
		return err
	}
	p, err := d.PlanOf(ctx, id)
	if err != nil {
		return err
	}
	object := planShownJSON{c.out.schema(), v.Freshness(), stateOf(s), s.Plan.SHA256.String(), p}
	return c.out.result(object, object.Digest, func(w io.Writer) {
		fmt.Fprintf(w, "Disposal %s, requested by %s on %s: %s\nState %s, due %s\n", s.ID, printable(s.By), s.Time, printable(s.Reason), s.Phase, s.Due)
		writePlan(w, p)
		fmt.Fprintf(w, "Plan digest %s\n", object.Digest)
	})
}

func decommissionApproveCommand() *command {
	return &command{
		name: "approve", args: "ID", usage: "approve exactly the plan that --plan names",
		about:   "For custodians other than who requested it. What is approved is the plan with this digest, as plan and request print it, and nothing that is added later.",
		example: "aivault decommission approve 5f0c… --plan 9c1e…",
		flags:   flagList(textFlag("plan", "DIGEST", "of the plan, as it was read")),
		json:    disposalChangedJSON{},
		run: func(ctx context.Context, c *call) error {
			plan, err := canonical.ParseDigest(c.flags.String("plan"))
			if err != nil {
				return usage("--plan names the digest of the plan that you have read: aivault decommission plan %s prints it", c.args[0])
			}
			return c.changeDisposal(ctx, "approved", func(d *disposal.Desk, id canonical.ID) error { return d.Approve(ctx, id, plan) })
		},
	}
}

type disposalChangedJSON struct {
	Schema  string    `json:"schema"`
	Changed bool      `json:"changed"`
	State   stateJSON `json:"disposal"`
	Late    []string  `json:"too_late,omitempty"` // versions whose keys are gone, or going, all the same
	Head    string    `json:"head"`
}

// changeDisposal does something to a disposal and tells where it stands then.
func (c *call) changeDisposal(ctx context.Context, done string, change func(*disposal.Desk, canonical.ID) error) error {
	id, err := disposalID(c.args[0])
	if err != nil {
		return err
	}
	v, d, err := c.desk(ctx, "", false)
	if err != nil {
		return err
	}
	if err := change(d, id); err != nil {
		return err
	}
	s, err := d.Status(ctx, id)
	if err != nil {
		return err
	}
	object := disposalChangedJSON{Schema: c.out.schema(), Changed: true, State: stateOf(s), Head: v.Head().String()}
	return c.out.result(object, object.State.State, func(w io.Writer) {
		fmt.Fprintf(w, "Disposal %s: %s; it is %s", id, done, s.Phase)
		if s.Phase == disposal.Requested {
			fmt.Fprintf(w, ", with %s", s.Missing)
		}
		fmt.Fprintln(w)
	})
}

func decommissionCancelCommand() *command {
	return &command{
		name: "cancel", args: "ID", usage: "take a disposal back, as long as keys are not gone",
		example: "aivault decommission cancel 5f0c… --reason 'needed as evidence'",
		flags:   flagList(textFlag("reason", "TEXT", "why, for the record")),
		json:    disposalChangedJSON{},
		run:     runDecommissionCancel,
	}
}

func runDecommissionCancel(ctx context.Context, c *call) error {
	reason, err := c.reason()
	if err != nil {
		return err
	}
	var late []string
	err = c.changeDisposal(ctx, "cancelled", func(d *disposal.Desk, id canonical.ID) (err error) {
		late, err = d.Cancel(ctx, id, reason)
		return err
	})
	if err == nil && len(late) > 0 {
		return hint(fmt.Errorf("too late for %s: their keys are gone, or going: %w", strings.Join(late, ", "), errPartial), "everything else was cancelled")
	}
	return err
}

func decommissionAcceptCommand() *command {
	return &command{
		name: "accept", args: "ID", usage: "validate the result of a disposal, for the custodians",
		about:   "That the keys were destroyed was verified by whoever ran it. That the organisation accepts the result is another act, and this is it.",
		example: "aivault decommission accept 5f0c…",
		flags:   flagList(textFlag("reason", "TEXT", "a remark, for the record")),
		json:    disposalChangedJSON{},
		run: func(ctx context.Context, c *call) error {
			return c.changeDisposal(ctx, "accepted", func(d *disposal.Desk, id canonical.ID) error {
				return d.Accept(ctx, id, c.flags.String("reason"))
			})
		},
	}
}
