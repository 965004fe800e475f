package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

func policyCommand() *command {
	return &command{
		name: "policy", usage: "what the members agreed on",
		example: "aivault policy set approvals=2",
		sub: []*command{
			{name: "show", usage: "print the policy in force", about: "What it prints, aivault policy set takes.", example: "aivault policy show > policy.json", json: policyJSON{}, run: policyShow},
			{
				name: "set", args: "FILE|-|NAME=VALUE…", usage: "set policy",
				about:   "A file in JSON is the whole policy; NAME=VALUE changes one setting, and NAME= takes it away. Loosening takes as many admins as the policy in force asks for.",
				example: "aivault policy set approvals=2 admin_quorum=2\naivault policy set policy.json",
				json:    policyJSON{}, run: policySet,
			},
			{name: "diff", args: "FILE|-", usage: "say what a policy would change", example: "aivault policy diff policy.json", json: policyJSON{}, run: policyDiff},
			policyTestCommand(),
			{name: "example", usage: "print the policy of a new vault", example: "aivault policy example", json: policyJSON{}, run: policyExample},
			{name: "schema", usage: "print a JSON Schema of policies", example: "aivault policy schema > policy.schema.json", json: policySchemaJSON{}, run: policySchema},
		},
	}
}

type policyJSON struct {
	Schema    string             `json:"schema"`
	Changed   *bool              `json:"changed,omitempty"`
	Freshness string             `json:"freshness,omitempty"`
	Policy    state.Policy       `json:"policy"`
	Changes   []policyChangeJSON `json:"changes,omitempty"`
	Head      string             `json:"head,omitempty"`
	Proposal  *proposalJSON      `json:"proposal,omitempty"`
}

type policyChangeJSON struct {
	Name   string `json:"name"`
	From   string `json:"from"`
	To     string `json:"to"`
	Looser bool   `json:"looser"`
}

type policySchemaJSON struct {
	Schema     string         `json:"schema"`
	JSONSchema map[string]any `json:"json_schema"`
}

// printPolicy prints a policy as a file for policy set.
func (c *call) printPolicy(object policyJSON) error {
	text, err := json.MarshalIndent(object.Policy, "", "  ")
	if err != nil {
		return err
	}
	return c.out.result(object, string(text), func(w io.Writer) { fmt.Fprintf(w, "%s\n", text) })
}

func (c *call) readPolicy(path string) (state.Policy, error) {
	var b []byte
	var err error
	if path == "-" {
		if err := c.takeStdin("FILE -"); err != nil {
			return state.Policy{}, err
		}
		b, err = readSecret(c.sys.stdin, maxPolicyFile)
	} else {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			defer f.Close()
			b, err = readSecret(f, maxPolicyFile)
		}
	}
	if err != nil {
		return state.Policy{}, usage("the policy: %w", err)
	}
	return vault.ParsePolicy(b)
}

// maxPolicyFile bounds what is read of a policy's file, in bytes.
const maxPolicyFile = 64 << 10

func policyShow(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	return c.printPolicy(policyJSON{Schema: c.out.schema(), Freshness: v.Freshness(), Policy: v.State().Policy, Head: v.Head().String()})
}

func policyExample(_ context.Context, c *call) error {
	return c.printPolicy(policyJSON{Schema: c.out.schema(), Policy: vault.DefaultPolicy()})
}

func policySchema(_ context.Context, c *call) error {
	text, err := json.MarshalIndent(vault.PolicySchema(), "", "  ")
	if err != nil {
		return err
	}
	return c.out.result(policySchemaJSON{c.out.schema(), vault.PolicySchema()}, string(text), func(w io.Writer) { fmt.Fprintf(w, "%s\n", text) })
}

func changesOf(from, to state.Policy) ([]policyChangeJSON, error) {
	all, err := vault.DiffPolicy(from, to)
	var out []policyChangeJSON
	for _, d := range all {
		out = append(out, policyChangeJSON{d.Name, d.From, d.To, d.Looser})
	}
	return out, err
}

func writeChanges(w io.Writer, changes []policyChangeJSON) {
	for _, d := range changes {
		note := ""
		if d.Looser {
			note = " (looser)"
		}
		fmt.Fprintf(w, "%s: %s → %s%s\n", printable(d.Name), printable(orDash(d.From)), printable(orDash(d.To)), note)
	}
}

func policyDiff(ctx context.Context, c *call) error {
	want, err := c.readPolicy(c.args[0])
	if err != nil {
		return err
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	changes, err := changesOf(v.State().Policy, want)
	if err != nil {
		return err
	}
	object := policyJSON{Schema: c.out.schema(), Freshness: v.Freshness(), Policy: want, Changes: changes, Head: v.Head().String()}
	return c.out.result(object, "", func(w io.Writer) { writeChanges(w, changes) })
}

func policySet(ctx context.Context, c *call) error {
	var change func(state.Policy) (state.Policy, error)
	if len(c.args) == 1 && !strings.Contains(c.args[0], "=") {
		want, err := c.readPolicy(c.args[0])
		if err != nil {
			return err
		}
		change = func(state.Policy) (state.Policy, error) { return want, nil }
	} else {
		for _, a := range c.args {
			if name, _, ok := strings.Cut(a, "="); !ok || name == "" {
				return usage("%q: settings have the form NAME=VALUE", a)
			}
		}
		change = func(p state.Policy) (state.Policy, error) {
			for _, a := range c.args {
				name, value, _ := strings.Cut(a, "=")
				var err error
				if p, err = vault.SetField(p, name, value); err != nil {
					return p, err
				}
			}
			return p, nil
		}
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	before := v.State().Policy
	done, err := v.SetPolicy(ctx, change)
	if err != nil {
		return err
	}
	after, err := change(before)
	if err != nil {
		return err
	}
	changes, err := changesOf(before, after)
	if err != nil {
		return err
	}
	object := policyJSON{Schema: c.out.schema(), Changed: &done.Changed, Freshness: done.Freshness, Policy: after, Changes: changes, Head: done.Head.String(), Proposal: proposalOf(done.Proposal)}
	err = c.out.result(object, object.Head, func(w io.Writer) {
		if done.Proposal != nil {
			fmt.Fprintln(w, "proposed:")
		}
		writeChanges(w, changes)
	})
	switch {
	case err != nil:
		return err
	case done.Proposal != nil:
		return hint(fmt.Errorf("%w: %s must still sign", errPartial, plural(done.Proposal.Lacks, "admin")), "another admin runs aivault member approve "+done.Proposal.ID[:16])
	case !done.Changed:
		return c.unchanged()
	}
	return nil
}
