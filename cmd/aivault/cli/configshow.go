package cli

import (
	"context"
)

func configCommand() *command {
	return &command{
		name: "config", usage: "settings",
		example: "aivault config show",
		sub: []*command{{
			name: "show", usage: "print each setting, and where its value came from",
			about:   "A flag wins over a variable, a variable over the configuration file, and that over the default. The file is config.toml in aivault's directory below the user's configuration directory: lines of the form NAME = VALUE, with the names of the flags of every command.",
			example: "aivault config show\nAIVAULT_STALL=10s aivault config show --json",
			json:    settingJSON{},
			run:     configShow,
		}},
	}
}

type settingJSON struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
	Source string `json:"source,omitempty"`
}

func configShow(_ context.Context, c *call) error {
	all := append([]origin{{Name: "config-file", Value: c.sys.config, Origin: "default"}}, c.set.from...)
	for _, name := range []string{keyVariable, passphraseVariable} {
		if v, _ := c.sys.env(name); v != "" {
			if name == keyVariable {
				v = "(set)"
			}
			all = append(all, origin{Name: name, Value: v, Origin: "environment", Source: name})
		}
	}
	return table(c.out, all,
		func(o origin) any { return settingJSON{c.out.schema(), o.Name, o.Value, o.Origin, o.Source} },
		[]string{"SETTING", "VALUE", "FROM"},
		func(o origin) []string {
			from := o.Origin
			if o.Source != "" {
				from += " " + o.Source
			}
			return []string{o.Name, orDash(o.Value), from}
		})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
