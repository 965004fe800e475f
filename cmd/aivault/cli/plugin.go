package cli

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

func pluginCommand() *command {
	return &command{
		name: "plugin", usage: "stores and keepers that others wrote, pinned by their digests",
		about:   "A plugin is a binary that serves a store or a keeper; plugins/PROTOCOL.md says how. Which ones may run stands in the vault's journal. A machine looks for aivault-plugin-NAME in --plugin-dir, never on PATH, and runs it only if its digest is pinned. Use one as --custody plugin:NAME:CONFIG, or as a vault's location plugin:NAME:CONFIG. CONFIG is remembered and shown: secrets belong in variables, or in a file that it names.",
		example: "aivault plugin add hsm ./aivault-plugin-hsm --env HSM_PIN",
		sub: []*command{
			{
				name: "add", args: "NAME PATH…", usage: "let binaries run as a plugin, on every machine",
				about:   "Only their digests are recorded; bring the binary itself to each machine. Binaries that are pinned already stay so, which makes room for an upgrade: add the new one, bring it everywhere, remove the old one.",
				example: "aivault plugin add hsm ./aivault-plugin-hsm --env HSM_PIN\naivault plugin add hsm ./dist/hsm-arm64 --platform linux/arm64 --env HSM_PIN",
				flags: flagList(
					textFlag("platform", "OS/ARCH", "what the binaries are for (default: this machine's)"),
					listFlag("env", "NAME", "a variable that the plugin is given, where it is set; it sees no other; may be repeated"),
				),
				json: changeJSON{}, run: pluginAdd,
			},
			{name: "list", usage: "list the binaries that may run", example: "aivault plugin list", json: pluginJSON{}, run: pluginList},
			{
				name: "remove", args: "NAME", usage: "let a binary run no more",
				example: "aivault plugin remove hsm --sha256 5f0c…",
				flags:   flagList(textFlag("sha256", "DIGEST", "which one, where several are pinned")),
				json:    changeJSON{}, run: pluginRemove,
			},
			pluginTestCommand(),
		},
	}
}

type pluginJSON struct {
	Schema    string   `json:"schema"`
	Freshness string   `json:"freshness"`
	Name      string   `json:"name"`
	Platform  string   `json:"platform"`
	SHA256    string   `json:"sha256"`
	Env       []string `json:"env"`
	Here      bool     `json:"here"` // it is what lies in --plugin-dir
}

func pluginAdd(ctx context.Context, c *call) error {
	p := state.Plugin{Name: c.args[0], Platform: c.flags.String("platform"), Env: c.flags.StringSlice("env")}
	if p.Platform == "" {
		p.Platform = platform()
	}
	if os, arch, ok := strings.Cut(p.Platform, "/"); !ok || os == "" || arch == "" || strings.Contains(arch, "/") {
		return usage("--platform %q: a platform is OS/ARCH, as %s/%s", p.Platform, runtime.GOOS, runtime.GOARCH)
	}
	if err := state.CheckPluginName(p.Name); err != nil {
		return err
	}
	if err := checkVariables(p.Env); err != nil {
		return err
	}
	var digests []canonical.Digest
	for _, path := range c.args[1:] {
		d, err := host.DigestOf(path)
		if err != nil {
			return usage("%w", err)
		}
		digests = append(digests, d)
	}
	c.pinsPlugins = true
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	var change *vault.Change
	for _, d := range digests {
		p.SHA256 = d
		one, err := v.PluginAdd(ctx, p)
		if err != nil {
			return err
		}
		if change != nil {
			one.Changed = one.Changed || change.Changed
		}
		if change = one; one.Proposal != nil {
			break // it must be signed before there can be another
		}
	}
	return c.changed(p.Name, fmt.Sprintf("plugin %s may run for %s as %s", p.Name, p.Platform, joinDigests(digests)), change, nil)
}

func joinDigests(digests []canonical.Digest) string {
	var out []string
	for _, d := range digests {
		out = append(out, d.String())
	}
	return strings.Join(out, " or ")
}

func pluginRemove(ctx context.Context, c *call) error {
	var digest canonical.Digest
	if text := c.flags.String("sha256"); text != "" {
		var err error
		if digest, err = canonical.ParseDigest(text); err != nil {
			return usage("--sha256: %w", err)
		}
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	change, err := v.PluginRemove(ctx, c.args[0], digest)
	if err != nil {
		return err
	}
	return c.changed(c.args[0], "that binary of "+c.args[0]+" runs no more", change, nil)
}

func pluginList(ctx context.Context, c *call) error {
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	all, freshness, err := v.Plugins(ctx)
	if err != nil {
		return err
	}
	return table(c.out, all,
		func(p state.Plugin) any {
			return pluginJSON{c.out.schema(), freshness, p.Name, p.Platform, p.SHA256.String(), nonNil(p.Env), c.here(p)}
		},
		[]string{"PLUGIN", "PLATFORM", "SHA-256", "HERE", "VARIABLES"},
		func(p state.Plugin) []string {
			return []string{p.Name, p.Platform, p.SHA256.String(), map[bool]string{true: "yes", false: "no"}[c.here(p)], orDash(strings.Join(p.Env, " "))}
		})
}

// here says whether a pinned binary is what lies on this machine.
func (c *call) here(p state.Plugin) bool {
	d, err := c.pluginDigest(p.Name)
	return err == nil && p.Platform == platform() && d == p.SHA256
}
