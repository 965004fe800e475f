package naming

import (
	"strings"

	"github.com/aivault/aivault/vault/state"
)

// Plugin is a store or keeper that a plugin reaches.
type Plugin struct {
	Name   string
	Config string // what the plugin is opened with; may be empty
}

const pluginScheme = "plugin:"

// parsePlugin reads plugin:NAME:CONFIG. What is wrong is said without CONFIG,
// which may hold a secret.
// ParsePlugin reads NAME[:CONFIG], of a plugin that is neither a store nor a keeper.
func ParsePlugin(text string) (Plugin, error) { return parsePlugin(pluginScheme + text) }

func parsePlugin(text string) (Plugin, error) {
	name, config, _ := strings.Cut(strings.TrimPrefix(text, pluginScheme), ":")
	if err := state.CheckPluginName(name); err != nil {
		return Plugin{}, invalid("%w", err)
	}
	return Plugin{name, config}, nil
}

// String is the canonical spelling.
func (p Plugin) String() string { return pluginScheme + p.Name + ":" + p.Config }
