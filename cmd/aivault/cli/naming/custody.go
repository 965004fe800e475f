package naming

import (
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/state"
)

// Custody says where this machine reaches keepers of keys. What they are to a
// vault, and which of them it asks for what, stands in the vault's journal: Mode
// counts where that is written.
type Custody struct {
	Mode    string // state.AnyOf or state.AllOf; any-of for one keeper
	Keepers []Keeper
}

// Keeper says where this machine reaches a keeper of keys.
type Keeper struct {
	Local  string    // a keeper in this directory, absolute; "" for all else
	Store  *Location // a keeper in this store; nil for all else
	Plugin Plugin    // a keeper that this plugin reaches; zero for all else
}

const custodyForms = "local:DIR, object:STORE-URL, plugin:NAME:CONFIG, any-of(A,B) or all-of(A,B)"

// ParseCustody reads one keeper, or 2 to state.MaxKeepers of them in any-of(A,B)
// or all-of(A,B), where a comma separates if what follows it is a keeper.
func ParseCustody(spec string) (Custody, error) {
	mode, rest, several := strings.Cut(spec, "(")
	if !several || mode != state.AnyOf && mode != state.AllOf {
		k, err := parseKeeper(spec)
		return Custody{state.AnyOf, []Keeper{k}}, err
	}
	rest, closed := strings.CutSuffix(rest, ")")
	if !closed {
		return Custody{}, invalid("%s(…: the closing parenthesis is missing", mode)
	}
	c := Custody{Mode: mode}
	known := map[string]bool{}
	for _, part := range splitKeepers(rest) {
		k, err := parseKeeper(part)
		if err != nil {
			return Custody{}, err
		}
		if known[k.String()] {
			return Custody{}, invalid("%s names the keeper %s twice", mode, k.Label())
		}
		known[k.String()] = true
		c.Keepers = append(c.Keepers, k)
	}
	if n := len(c.Keepers); n < 2 || n > state.MaxKeepers {
		return Custody{}, invalid("%s has %d keepers; it takes 2 to %d", mode, n, state.MaxKeepers)
	}
	return c, nil
}

// splitKeepers cuts a list at the commas that a keeper follows.
func splitKeepers(list string) []string {
	var out []string
	for i, part := range strings.Split(list, ",") {
		begins := slices.ContainsFunc([]string{"local:", "object:", "plugin:", state.AnyOf + "(", state.AllOf + "("}, func(kind string) bool {
			return strings.HasPrefix(strings.TrimSpace(part), kind)
		})
		if i > 0 && !begins {
			out[len(out)-1] += "," + part
			continue
		}
		out = append(out, strings.TrimSpace(part))
	}
	return out
}

// parseKeeper reads local:DIR, object:STORE-URL or plugin:NAME:CONFIG.
func parseKeeper(spec string) (Keeper, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	switch {
	case kind == "local" && rest != "":
		l, err := ParseLocation(rest, nil)
		if err != nil {
			return Keeper{}, err
		}
		if l.Dir == "" {
			return Keeper{}, invalid("local:DIR keeps keys in a directory; for a bucket write object:s3://…")
		}
		return Keeper{Local: l.Dir}, nil
	case kind == "object" && rest != "":
		l, err := ParseLocation(rest, nil)
		if err != nil {
			return Keeper{}, err
		}
		if l.Plugin.Name != "" {
			return Keeper{}, invalid("object: keeps keys in a directory or a bucket; a plugin that keeps keys is plugin:NAME:CONFIG")
		}
		return Keeper{Store: &l}, nil
	case kind == "plugin":
		p, err := parsePlugin(spec)
		return Keeper{Plugin: p}, err
	}
	return Keeper{}, invalid("a keeper is %s", custodyForms)
}

// String is the canonical spelling, which ParseCustody takes.
func (c Custody) String() string {
	if len(c.Keepers) == 1 {
		return c.Keepers[0].String()
	}
	var parts []string
	for _, k := range c.Keepers {
		parts = append(parts, k.String())
	}
	return c.Mode + "(" + strings.Join(parts, ",") + ")"
}

// String is the canonical spelling, which ParseCustody takes.
func (k Keeper) String() string {
	switch {
	case k.Plugin.Name != "":
		return k.Plugin.String()
	case k.Store != nil:
		return "object:" + k.Store.String()
	}
	return "local:" + k.Local
}

// Label is String for messages: without a plugin's configuration.
func (k Keeper) Label() string {
	if k.Plugin.Name != "" {
		return pluginScheme + k.Plugin.Name
	}
	return k.String()
}
