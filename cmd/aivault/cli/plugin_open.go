package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// pluginPrefix stands before the name of a plugin in that of its file.
const pluginPrefix = "aivault-plugin-"

// platform is what this machine runs, as plugins are pinned for it.
func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// pluginPath is where the binary of a plugin lies on this machine.
func (r *run) pluginPath(name string) (string, error) {
	if r.set.pluginDir == "" {
		return "", hint(usage("this user has no place for plugins"), "name one with --plugin-dir")
	}
	return filepath.Join(r.set.pluginDir, pluginPrefix+name), nil
}

// pluginDigest is the SHA-256 of the binary of a plugin on this machine.
func (r *run) pluginDigest(name string) (canonical.Digest, error) {
	path, err := r.pluginPath(name)
	if err != nil {
		return canonical.Digest{}, err
	}
	d, err := host.DigestOf(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, hint(fmt.Errorf("the plugin %s is not on this machine: %w: %w", name, host.ErrStart, err), "put its binary there, or name another directory with --plugin-dir")
	}
	return d, err
}

// pluginOptions says how to run a binary of a plugin that may be run.
func (r *run) pluginOptions(p naming.Plugin, path string, digest canonical.Digest, env []string, create bool) host.Options {
	o := host.Options{
		Name: p.Name, Path: path, Digests: []canonical.Digest{digest}, Config: p.Config, Create: create,
		Stall: r.set.stall, Log: r.log, Now: r.sys.now,
	}
	if o.Stall == 0 {
		o.Stall = math.MaxInt64
	}
	for _, name := range env {
		if v, ok := r.sys.env(name); ok {
			o.Env = append(o.Env, name+"="+v)
		}
	}
	return o
}

// pinnedOptions says how to run a plugin of this machine if it is one that is
// pinned.
func (r *run) pinnedOptions(p naming.Plugin, pins []state.Plugin, create bool) (host.Options, error) {
	path, err := r.pluginPath(p.Name)
	if err != nil {
		return host.Options{}, err
	}
	digest, err := r.pluginDigest(p.Name)
	if err != nil {
		return host.Options{}, err
	}
	pin, err := findPin(pins, p.Name, digest)
	if err != nil {
		return host.Options{}, fmt.Errorf("%s: %w", path, err)
	}
	return r.pluginOptions(p, path, digest, pin.Env, create), nil
}

// findPin returns the entry that pins a binary for this machine's platform.
func findPin(pins []state.Plugin, name string, digest canonical.Digest) (state.Plugin, error) {
	var others []string
	for _, pin := range pins {
		if pin.Name != name || pin.Platform != platform() {
			continue
		}
		if pin.SHA256 == digest {
			return pin, nil
		}
		others = append(others, pin.SHA256.String())
	}
	if len(others) == 0 {
		return state.Plugin{}, hint(fmt.Errorf("no plugin %s is pinned for %s: %w", name, platform(), vault.ErrRefused), "an admin pins it: aivault plugin add "+name+" PATH")
	}
	return state.Plugin{}, fmt.Errorf("it has the SHA-256 %s, pinned is %s: %w", digest, strings.Join(others, " or "), host.ErrDigest)
}

func (r *run) openPluginKeeper(ctx context.Context, p naming.Plugin, pins []state.Plugin, create bool) (custody.Keeper, error) {
	o, err := r.pinnedOptions(p, pins, create)
	if err != nil {
		return nil, err
	}
	k, err := host.OpenKeeper(ctx, o)
	if err != nil {
		return nil, err
	}
	r.closes(k)
	return k, nil
}

// openPluginStore opens a vault's store. The journal lies behind it: what may
// run is what this command or this machine trusts.
func (r *run) openPluginStore(ctx context.Context, l naming.Location, create bool) (backends.Store, error) {
	pin, err := r.storePin(l)
	if err != nil {
		return nil, err
	}
	if pin.IsZero() {
		return nil, hint(usage("this machine has not joined the vault at %s, and trusts no plugin to reach it", l), "join it: aivault join "+l.String()+" --genesis DIGEST")
	}
	o, err := r.pinnedOptions(l.Plugin, []state.Plugin{{Name: l.Plugin.Name, Platform: platform(), SHA256: pin.SHA256, Env: pin.Env}}, create)
	if errors.Is(err, host.ErrDigest) {
		return nil, hint(err, "if the members have pinned this binary, trust it here too: aivault join "+l.String())
	}
	if err != nil {
		return nil, err
	}
	s, err := host.OpenStore(ctx, o)
	if err != nil {
		return nil, err
	}
	r.closes(s)
	return s, nil
}

// storePin is the binary that may reach a vault's store.
func (r *run) storePin(l naming.Location) (machine.Plugin, error) {
	if !r.storePlugin.IsZero() || r.memory == nil {
		return r.storePlugin, nil
	}
	known, _, err := r.memory.Vault(l.Place())
	return known.Plugin, err
}

// checkStorePlugin refuses a store plugin that the journal behind it does not
// pin, or no longer.
func (r *run) checkStorePlugin(p place, v *vault.Vault) error {
	if p.at.Plugin.Name == "" || r.pinsPlugins {
		return nil
	}
	pin, err := r.storePin(p.at)
	if err != nil {
		return err
	}
	_, err = findPin(v.State().Plugins(), p.at.Plugin.Name, pin.SHA256)
	return err
}

// trustStorePlugin makes a command trust the binary that lies on this machine to
// reach a vault's store; the journal behind it is to confirm that.
func (c *call) trustStorePlugin(p place) error {
	if p.at.Plugin.Name == "" {
		return nil
	}
	digest, err := c.pluginDigest(p.at.Plugin.Name)
	if err != nil {
		return err
	}
	env := c.flags.StringSlice("plugin-env")
	if len(env) == 0 {
		env = p.known.Plugin.Env
	}
	c.storePlugin = machine.Plugin{SHA256: digest, Env: slices.Clone(env)}
	return nil
}

// pinnedStorePlugin is what this machine remembers of a vault's store plugin
// once the journal has confirmed it.
func (c *call) pinnedStorePlugin(p place, v *vault.Vault) (machine.Plugin, error) {
	if p.at.Plugin.Name == "" {
		return machine.Plugin{}, nil
	}
	pin, err := findPin(v.State().Plugins(), p.at.Plugin.Name, c.storePlugin.SHA256)
	return machine.Plugin{SHA256: pin.SHA256, Env: pin.Env}, err
}

// newPlugins returns the pins of the plugins that a new vault needs: the binaries
// that lie on this machine. It makes the command trust that of the store.
func (c *call) newPlugins(store naming.Plugin, keepers naming.Custody) ([]state.Plugin, error) {
	env := c.flags.StringSlice("plugin-env")
	needed := []naming.Plugin{store}
	for _, k := range keepers.Keepers {
		needed = append(needed, k.Plugin)
	}
	var pins []state.Plugin
	for _, p := range needed {
		if p.Name == "" || slices.ContainsFunc(pins, func(pin state.Plugin) bool { return pin.Name == p.Name }) {
			continue
		}
		if err := checkVariables(env); err != nil {
			return nil, err
		}
		digest, err := c.pluginDigest(p.Name)
		if err != nil {
			return nil, err
		}
		pins = append(pins, state.Plugin{Name: p.Name, Platform: platform(), SHA256: digest, Env: env})
		if p == store {
			c.storePlugin = machine.Plugin{SHA256: digest, Env: env}
		}
	}
	if len(env) > 0 && len(pins) == 0 {
		return nil, usage("--plugin-env is for a vault whose storage or keeper a plugin reaches")
	}
	return pins, nil
}

// pinNewPlugins writes the pins into the journal of a new vault, and returns its
// head.
func (c *call) pinNewPlugins(ctx context.Context, config vault.Config, res *vault.InitResult, pins []state.Plugin) (ledger.Pin, error) {
	if len(pins) == 0 {
		return res.Head, nil
	}
	config.Genesis = res.Genesis
	v, err := vault.Open(ctx, config)
	if err != nil {
		return res.Head, err
	}
	for _, p := range pins {
		if _, err := v.PluginAdd(ctx, p); err != nil {
			return res.Head, err
		}
	}
	return v.Head(), nil
}

// checkVariables refuses names of variables that no plugin is given.
func checkVariables(names []string) error {
	for _, n := range names {
		if err := host.CheckVariable(n); err != nil {
			return usage("%w", err)
		}
	}
	return nil
}
