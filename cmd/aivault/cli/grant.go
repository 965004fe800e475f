package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func grantCommand() *command {
	return &command{
		name: "grant", args: "ARTEFACT|GLOB NAME|@GROUP…", usage: "let members and groups read",
		about:   "An artefact that is not registered is, for these readers and those whom rules name. A GLOB (in which * stands for anything within one part of a name, and /** at the end for everything below) is a rule for artefacts to come as well, for operators and admins. Only who reads can let others read: where you do not, it is said who can, and the exit code is 3.",
		example: "aivault grant team/fraud-detector bob @serving\naivault grant 'team/**' @ml",
		json:    changeJSON{},
		run:     runGrant,
		sub: []*command{{
			name: "list", args: "[GLOB]", usage: "list who reads what, and the rules",
			about:   "After a revocation `pending` says how many versions are not sealed to the readers of now yet; `known` that a reader still has the key that it is sealed to.",
			example: "aivault grant list 'team/**'",
			json:    readerJSON{},
			run:     grantList,
		}},
	}
}

func revokeCommand() *command {
	return &command{
		name: "revoke", args: "ARTEFACT|GLOB NAME|@GROUP…", usage: "take reading away",
		about:   "For operators and admins, who need not read themselves. What is pushed from now on is sealed to those who stay; versions that stand as soon as one of them rotates, which happens now if you may. Until then the exit code is 3. A GLOB is a rule as well, which wins over those before.",
		example: "aivault revoke team/fraud-detector mallory",
		json:    changeJSON{},
		run:     runRevoke,
	}
}

// grantTarget reads ARTEFACT or GLOB, which may name a vault too.
func grantTarget(text string) (addressed, target string, err error) {
	if strings.ContainsAny(text, "*?[") {
		return "", text, nil
	}
	return naming.ParseArtefact(text)
}

func runGrant(ctx context.Context, c *call) error {
	return c.grantOrRevoke(ctx, "may read", (*vault.Vault).Grant)
}

func runRevoke(ctx context.Context, c *call) error {
	return c.grantOrRevoke(ctx, "may not read any more", (*vault.Vault).Revoke)
}

func (c *call) grantOrRevoke(ctx context.Context, what string, act func(*vault.Vault, context.Context, string, []string) (*vault.GrantResult, error)) error {
	addressed, target, err := grantTarget(c.args[0])
	if err != nil {
		return err
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	res, err := act(v, ctx, target, c.args[1:])
	if err != nil {
		return err
	}
	change := &vault.Change{Changed: res.Changed, Head: res.Head, Freshness: res.Freshness}
	return c.changed(target, fmt.Sprintf("%s: %s %s", target, strings.Join(c.args[1:], " "), what), change, res.Settlement)
}

type readerJSON struct {
	Schema    string `json:"schema"`
	Freshness string `json:"freshness"`
	Target    string `json:"target"`
	Rule      bool   `json:"rule"`
	Revoke    bool   `json:"revoke,omitempty"`
	Reader    string `json:"reader"`
	Known     bool   `json:"known"`
	Pending   int    `json:"pending"`
}

func grantList(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	all, freshness, err := v.Readers(ctx, c.arg(0))
	if err != nil {
		return err
	}
	return table(c.out, all,
		func(r vault.ReaderInfo) any {
			return readerJSON{c.out.schema(), freshness, r.Target, r.Rule, r.Revoke, r.Reader, r.Known, r.Pending}
		},
		[]string{"TARGET", "READER", ""},
		func(r vault.ReaderInfo) []string {
			var notes []string
			switch {
			case r.Rule && r.Revoke:
				notes = append(notes, "rule: taken away")
			case r.Rule:
				notes = append(notes, "rule")
			}
			if !r.Known {
				notes = append(notes, "not a member or group any more, or with another key")
			}
			if r.Pending > 0 {
				notes = append(notes, plural(r.Pending, "version")+" pending")
			}
			return []string{r.Target, r.Reader, strings.Join(notes, ", ")}
		})
}
