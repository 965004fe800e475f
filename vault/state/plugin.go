package state

import (
	"fmt"
	"slices"

	"github.com/aivault/aivault/vault/entry"
)

// Plugins returns the binaries that are pinned, in the order of their entries.
// Several may be so for one name and platform: any of them may run.
func (v *Vault) Plugins() []Plugin { return slices.Clone(v.plugins) }

// builtIn are the names of the stores and keepers that need no plugin, and the
// other words that may stand before a colon in a location or where a keeper is.
func builtIn() []string {
	return []string{"all-of", "any-of", "aivault", "dir", "file", "local", "mem", "object", "plugin", "s3"}
}

// CheckPluginName checks the name of a plugin: that of a member, but of nothing
// that is built in.
func CheckPluginName(name string) error {
	if err := CheckShortName(name); err != nil {
		return err
	}
	if slices.Contains(builtIn(), name) {
		return fmt.Errorf("plugin %q: %w: it is built in", name, ErrBadName)
	}
	return nil
}

func (v *Vault) applyPlugin(e *entry.Entry) error {
	b, err := decode[Plugin](e)
	if err != nil {
		return err
	}
	if err := CheckPluginName(b.Name); err != nil {
		return refuse(RuleBody, "%v", err)
	}
	if b.SHA256.IsZero() {
		return refuse(RuleBody, "plugin %s without a digest", b.Name)
	}
	if err := first(checkWord("platform", b.Platform), checkEnv(b.Env)); err != nil {
		return err
	}
	v.plugins = slices.DeleteFunc(slices.Clone(v.plugins), func(p Plugin) bool {
		return p.Name == b.Name && p.Platform == b.Platform && p.SHA256 == b.SHA256
	})
	if !b.Remove {
		v.plugins = append(v.plugins, *b)
	}
	return nil
}

func checkEnv(names []string) error {
	if len(names) > maxPluginEnv {
		return refuse(RuleBody, "%d variables: at most %d", len(names), maxPluginEnv)
	}
	for _, n := range names {
		if err := checkWord("variable", n); err != nil {
			return err
		}
	}
	return nil
}
