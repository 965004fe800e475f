package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func joinCommand() *command {
	return &command{
		name: "join", args: "VAULT", usage: "remember a vault on this machine, and which one it is",
		about:   "From then on this machine refuses another vault in the same place. With --as it has a name here, for --vault and for addresses of the form aivault://NAME/ARTEFACT. With --custody this machine also remembers where it reaches the vault's keeper. Where a plugin reaches the storage, this machine trusts from then on the binary that lies in --plugin-dir now, if the journal behind it pins the same; join again after an upgrade.",
		example: "aivault join s3://models/vault --as lab --genesis 5f0c… --custody object:s3://keys/vault?profile=keys",
		flags: flagList(
			textFlag("as", "NAME", "the vault's name on this machine"),
			listFlag("plugin-env", "NAME", "a variable that the plugin of the vault's storage is given until its journal can be read, which names them; may be repeated"),
		),
		json: joinJSON{},
		run:  runJoin,
	}
}

type joinJSON struct {
	Schema  string   `json:"schema"`
	Changed bool     `json:"changed"`
	Vault   string   `json:"vault"`
	Names   []string `json:"names"`
	Genesis string   `json:"genesis"`
	Member  string   `json:"member"`
	Custody string   `json:"custody,omitempty"`
}

func runJoin(ctx context.Context, c *call) error {
	p, err := c.placeAt(c.args[0])
	if err != nil {
		return err
	}
	if c.memory == nil {
		return hint(usage("this user has no place to remember a vault in"), "name one with --state-dir")
	}
	names, err := c.checkAs(c.flags.String("as"), p)
	if err != nil {
		return err
	}
	record := machine.Vault{Place: p.at.Place(), URL: p.at.String(), Custody: p.known.Custody, Names: names}
	if c.set.custody != "" {
		spec, err := naming.ParseCustody(c.set.custody)
		if err != nil {
			return err
		}
		record.Custody = spec.String()
	}
	if err := c.trustStorePlugin(p); err != nil {
		return err
	}
	config, err := c.config(ctx, p)
	if err != nil {
		return err
	}
	v, err := vault.Open(ctx, config)
	if err != nil {
		return err
	}
	if record.Plugin, err = c.pinnedStorePlugin(p, v); err != nil {
		return err
	}
	record.Genesis = v.Genesis()
	changed := !p.seen || record.URL != p.known.URL || record.Custody != p.known.Custody || !slices.Equal(record.Plugin.Env, p.known.Plugin.Env) || record.Plugin.SHA256 != p.known.Plugin.SHA256 || !slices.Equal(record.Names, p.known.Names)
	if changed {
		if err := c.memory.Remember(record); err != nil {
			return err
		}
	}
	member := ""
	if self := v.Self(); self != nil {
		member = self.Name
	}
	object := joinJSON{c.out.schema(), changed, record.URL, nonNil(record.Names), record.Genesis.String(), member, record.Custody}
	err = c.out.result(object, object.Genesis, func(w io.Writer) {
		fmt.Fprintf(w, "Vault     %s\nGenesis   %s\nMember    %s\n", printable(object.Vault), object.Genesis, printable(orDash(member)))
		for _, n := range record.Names {
			fmt.Fprintf(w, "Name      %s\n", printable(n))
		}
	})
	if config.Genesis.IsZero() {
		c.note("Nobody vouched for this genesis: compare it with somebody who knows the vault.")
	}
	if err == nil && !changed {
		err = c.unchanged()
	}
	return err
}

// checkAs returns the names that a vault has on this machine with a new one,
// which no other vault may have.
func (c *call) checkAs(name string, p place) ([]string, error) {
	names := slices.Clone(p.known.Names)
	if name == "" {
		return names, nil
	}
	if !naming.IsName(name) {
		return nil, usage("--as %q: a name consists of lower-case letters, digits, '-', '_' and '.'", name)
	}
	if c.memory == nil {
		return nil, hint(usage("this user has no place to remember a name in"), "name one with --state-dir")
	}
	other, taken, err := c.memory.Named(name)
	switch {
	case err != nil:
		return nil, err
	case taken && other.Place != p.at.Place():
		return nil, hint(conflict("%s is the name of the vault at %s", name, other.Place), "choose another name")
	case taken:
		return names, nil
	}
	return append(names, name), nil
}
