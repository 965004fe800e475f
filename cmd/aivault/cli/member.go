package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

func memberCommand() *command {
	reason := textFlag("reason", "TEXT", "why, for the record")
	return &command{
		name: "member", usage: "who may do what",
		example: "aivault member list",
		sub: []*command{
			{
				name: "add", args: "NAME", usage: "add a member",
				about:   "The line is what aivault identity show prints for them; compare its fingerprint by voice. Without a role a member reads what it is granted. A role holds for the whole vault, or with --artefact for names that match. A name is given once, for ever.",
				example: "aivault member add bob --key \"$(cat bob.pub)\" --role developer --artefact 'team/**'\naivault member add carol --key \"$(cat carol.pub)\" --role custodian --person 'Carol Shaw, records, ACME'",
				flags: flagList(
					textFlag("key", "LINE", "the member's line"),
					textFlag("role", "ROLE,…", strings.Join(state.Roles(), ", ")),
					textFlag("artefact", "GLOB", "where the roles hold; without it, in the whole vault"),
					textFlag("env", "LABEL", "an environment, such as prod"),
					textFlag("person", "TEXT", "name, function, organisation, for certificates"),
					textFlag("expires", "DATE", "when the membership ends: 2027-01-31, or a time in RFC 3339"),
				),
				json: changeJSON{}, run: memberAdd,
			},
			{name: "list", usage: "list members", example: "aivault member list --json", json: memberJSON{}, run: memberList},
			{
				name: "remove", args: "NAME", usage: "end a membership",
				about:   "One entry, acknowledged in every journal; new keys for groups and artefacts that the member read, versions sealed to those who stay, and the end of old keys, as far as you may. What is left is listed with who can do it, and the exit code is 3: the same command goes on, whoever runs it. It never forgets what the member has read before.",
				example: "aivault member remove mallory --reason 'left the company'",
				flags:   flagList(reason), json: changeJSON{}, run: memberRemove,
			},
			{
				name: "rekey", args: "NAME", usage: "replace a lost or stolen key",
				about:   "The old key ends as if its member were removed; the new one takes its place.",
				example: "aivault member rekey bob --key \"$(cat bob-new.pub)\"",
				flags:   flagList(textFlag("key", "LINE", "the member's new line")), json: changeJSON{}, run: memberRekey,
			},
			{
				name: "suspend", args: "NAME", usage: "stop a member at once: the brake",
				about:   "For operators and admins. What the member signs does not count until an admin runs aivault member resume.",
				example: "aivault member suspend bob --reason 'laptop stolen'",
				flags:   flagList(reason), json: changeJSON{}, run: memberSuspend,
			},
			{
				name: "resume", args: "NAME", usage: "let a suspended member act again",
				example: "aivault member resume bob --reason 'laptop found'",
				flags:   flagList(reason), json: changeJSON{}, run: memberResume,
			},
			{
				name: "approve", args: "[ID]", usage: "sign what another admin proposed, or list what waits",
				about:   "Where policy asks for several admins, an act of one is a proposal. Without ID this lists them. A proposal is for one place in the journal: once that goes on it has come to nothing, and is proposed again.",
				example: "aivault member approve\naivault member approve 5f0c2d9a81b34e67",
				json:    changeJSON{}, run: memberApprove,
			},
			{
				name: "taint", args: "NAME", usage: "say that what a member's key signed is not to be trusted",
				about:   "What the key signed in the window stays in the record and is never known good again.",
				example: "aivault member taint bob --between 2026-11-01T00:00:00Z 2026-11-03T00:00:00Z",
				flags: flagList(
					listFlag("between", "TIME", "the window: its first and its last moment"),
					textFlag("key", "ID", "the key; without it, the member's present one"),
				),
				json: changeJSON{}, run: memberTaint,
			},
			memberTrainCommand(),
		},
	}
}

func memberAdd(ctx context.Context, c *call) error {
	spec := state.MemberSpec{Name: c.args[0], Key: strings.TrimSpace(c.flags.String("key")), Roles: []state.Grant{}, Env: c.flags.String("env"), Person: c.flags.String("person")}
	if spec.Key == "" {
		return usage("--key is needed: the line that aivault identity show prints for the member")
	}
	glob := c.flags.String("artefact")
	if glob == "" {
		glob = "*"
	}
	for _, role := range strings.FieldsFunc(c.flags.String("role"), func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.Contains(state.Roles(), role) {
			return usage("--role %q: there are %s", role, strings.Join(state.Roles(), ", "))
		}
		spec.Roles = append(spec.Roles, state.Grant{Role: role, Glob: glob})
	}
	if c.flags.IsSet("artefact") && len(spec.Roles) == 0 {
		return usage("--artefact says where roles hold, and there is no --role; to let a member read: aivault grant")
	}
	if text := c.flags.String("expires"); text != "" {
		t, err := parseTime(text)
		if err != nil {
			return usage("--expires: %w", err)
		}
		spec.Expires = entry.At(t)
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, err := v.MemberAdd(ctx, spec)
	if err != nil {
		return err
	}
	return c.changed(spec.Name, spec.Name+" is a member", change, nil)
}

// parseTime reads a time, or a date: its first moment in UTC.
func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is neither a date such as 2027-01-31 nor a time such as 2027-01-31T12:00:00Z", text)
	}
	return t, nil
}

type memberJSON struct {
	Schema      string     `json:"schema"`
	Freshness   string     `json:"freshness"`
	Name        string     `json:"name"`
	Roles       []roleJSON `json:"roles"`
	Env         string     `json:"env,omitempty"`
	Person      string     `json:"person,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	State       string     `json:"state"`
	Public      string     `json:"public"`
	Fingerprint string     `json:"fingerprint"`
	Key         string     `json:"key"`

	Trainings []trainingJSON `json:"trainings"`
}

type roleJSON struct {
	Role string `json:"role"`
	Glob string `json:"glob"`
}

func memberList(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	all, freshness, err := v.Members(ctx)
	if err != nil {
		return err
	}
	now := entry.At(c.sys.now())
	condition := func(m *state.Member) string {
		switch {
		case m.Suspended:
			return "suspended"
		case !m.Active(now):
			return "expired"
		}
		return "active"
	}
	return table(c.out, all,
		func(m *state.Member) any {
			object := memberJSON{c.out.schema(), freshness, m.Name, []roleJSON{}, m.Env, m.Person, nil, condition(m), m.Public.String(), m.Public.Fingerprint(), m.Public.Key.KeyID(), trainingObjects(v.State().Trainings(m.Name), now)}
			for _, g := range m.Roles {
				object.Roles = append(object.Roles, roleJSON{g.Role, g.Glob})
			}
			if !m.Expires.IsZero() {
				object.Expires = &m.Expires.Time
			}
			return object
		},
		[]string{"NAME", "STATE", "ROLES", "EXPIRES", "PERSON"},
		func(m *state.Member) []string {
			var roles []string
			for _, g := range m.Roles {
				role := g.Role
				if g.Glob != "*" {
					role += "=" + g.Glob
				}
				roles = append(roles, role)
			}
			return []string{m.Name, condition(m), orDash(strings.Join(roles, ",")), timeText(m.Expires.Time), orDash(m.Person)}
		})
}

func memberRemove(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, s, err := v.MemberRemove(ctx, c.args[0], c.flags.String("reason"))
	if err != nil {
		return err
	}
	return c.changed(c.args[0], c.args[0]+" is no member any more", change, s)
}

func memberRekey(ctx context.Context, c *call) error {
	key := strings.TrimSpace(c.flags.String("key"))
	if key == "" {
		return usage("--key is needed: the member's new line")
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, s, err := v.MemberRekey(ctx, c.args[0], key)
	if err != nil {
		return err
	}
	return c.changed(c.args[0], c.args[0]+" has a new key", change, s)
}

func memberSuspend(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, s, err := v.MemberSuspend(ctx, c.args[0], c.flags.String("reason"))
	if err != nil {
		return err
	}
	return c.changed(c.args[0], c.args[0]+" is suspended", change, s)
}

func memberResume(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, err := v.MemberResume(ctx, c.args[0], c.flags.String("reason"))
	if err != nil {
		return err
	}
	return c.changed(c.args[0], c.args[0]+" may act again", change, nil)
}

func memberApprove(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	if len(c.args) == 1 {
		if len(c.args[0]) < 8 {
			return usage("%q: name at least 8 digits of a proposal's id", c.args[0])
		}
		change, s, err := v.Approve(ctx, c.args[0])
		if err != nil {
			return err
		}
		return c.changed(c.args[0], "approved, and done", change, s)
	}
	all, freshness, err := v.Proposals(ctx)
	if err != nil {
		return err
	}
	object := c.changeOf("", &vault.Change{Freshness: freshness, Head: v.Head()}, nil)
	for _, p := range all {
		object.Proposals = append(object.Proposals, *proposalOf(p))
	}
	return c.out.result(object, strings.Join(ids(all), "\n"), func(w io.Writer) {
		for _, p := range all {
			fmt.Fprintf(w, "%s  %s, proposed by %s on %s; signed by %s; %s must still sign\n", p.ID[:16], printable(p.What), printable(p.By), timeText(p.Time), printable(strings.Join(p.Signed, ", ")), plural(p.Lacks, "admin"))
		}
	})
}

func ids(all []*vault.Proposal) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.ID)
	}
	return out
}

func memberTaint(ctx context.Context, c *call) error {
	between := c.flags.StringSlice("between")
	if len(between) != 2 {
		return usage("--between is needed twice: the first and the last moment")
	}
	var window [2]time.Time
	for i, text := range between {
		t, err := parseTime(text)
		if err != nil {
			return usage("--between: %w", err)
		}
		window[i] = t
	}
	var key canonical.Digest
	if text := c.flags.String("key"); text != "" {
		var err error
		if key, err = canonical.ParseDigest(text); err != nil {
			return usage("--key: %w", err)
		}
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, err := v.MemberTaint(ctx, c.args[0], key, window[0], window[1])
	if err != nil {
		return err
	}
	return c.changed(c.args[0], "what "+c.args[0]+" signed in that time is not trusted", change, nil)
}

// identityRotate replaces the keys of whoever runs the program.
func identityRotate(ctx context.Context, c *call) error {
	overlap, err := parseDuration(c.flags.String("overlap"))
	if err != nil {
		return usage("--overlap: %w", err)
	}
	next, err := c.identityFrom(ctx, c.args[0])
	if err != nil {
		return err
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, err := v.IdentityRotate(ctx, next, overlap)
	if err != nil {
		return err
	}
	err = c.changed(v.Self().Name, "this member's keys are those of "+sourceName(c.args[0]), change, nil)
	c.note("Put the new identity where the old one is, on every machine, within %s.", overlap)
	return err
}
