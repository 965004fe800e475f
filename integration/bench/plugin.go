package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/integration/servers"
)

// pluginTarget is the least share of the speed of a directory that the same
// directory has behind a plugin.
const pluginTarget = 0.7

// pluginOptions is the command line of "bench plugin".
type pluginOptions struct {
	size   int64
	rounds int
}

func parsePluginOptions(args []string, w io.Writer) (pluginOptions, error) {
	o := pluginOptions{size: 2 << 30}
	f := flag.NewFlagSet("bench plugin", flag.ContinueOnError)
	f.SetOutput(w)
	f.Func("size", "of the file: bytes, or a number and MiB or GiB (default 2GiB)", func(s string) (err error) { o.size, err = parseSize(s); return err })
	f.IntVar(&o.rounds, "rounds", 5, "how often each way has its turn")
	err := f.Parse(args)
	if err == nil && (o.rounds < 1 || f.NArg() > 0) {
		err = errors.New("at least one round, and no arguments")
		fmt.Fprintln(w, err)
	}
	return o, err
}

// benchPlugin pushes and pulls one file, of bytes that no encoding makes smaller,
// to a directory that aivault writes itself and to the same behind a plugin, whole
// processes in turns, and prints a table. Where there is room everything is in
// memory: the less storage takes, the more a plugin shows.
func benchPlugin(ctx context.Context, o pluginOptions) error {
	dir, inMemory := workDir(o.size)
	return servers.Run(ctx, dir, os.Stderr, func(t servers.T) error {
		l := &lab{t: t, ctx: t.Context(), dir: t.TempDir()}
		l.aivault = l.path("aivault")
		for program, source := range map[string]string{l.aivault: "cmd/aivault", l.path("aivault-plugin-files"): "plugins/sdk/example/store"} {
			out, err := exec.CommandContext(l.ctx, "go", "build", "-trimpath", "-o", program, "github.com/aivault/aivault/"+source).CombinedOutput()
			if err != nil {
				return fmt.Errorf("building %s: %w\n%s", source, err, out)
			}
		}
		set, err := generate("random", l.path("data"), o.size)
		if err != nil {
			return err
		}
		took := map[string][]time.Duration{}
		for n := range o.rounds {
			for _, way := range pluginWays {
				if err := l.onceByPlugin(set, way, n, took); err != nil {
					return fmt.Errorf("%s, round %d: %w", way.name, n+1, err)
				}
			}
		}
		printPluginTable(os.Stdout, o, inMemory, took)
		return nil
	})
}

// pluginWays are those to reach a directory.
var pluginWays = []struct{ name, prefix string }{{"in-process", ""}, {"plugin", "plugin:files:"}}

// onceByPlugin is one push and one pull of a new vault.
func (l *lab) onceByPlugin(set *dataset, way struct{ name, prefix string }, n int, took map[string][]time.Duration) error {
	root := l.path(fmt.Sprintf("%s-%d", way.name, n))
	defer os.RemoveAll(root)
	if err := os.Mkdir(root, 0o700); err != nil {
		return err
	}
	location := way.prefix + filepath.Join(root, "vault")
	env := append(l.env(root), "AIVAULT_PLUGIN_DIR="+l.dir, "AIVAULT_VAULT="+location, "AIVAULT_CUSTODY=local:"+filepath.Join(root, "keys"), "AIVAULT_NO_INPUT=1", "AIVAULT_PROGRESS=none")
	// A vault in a plugin's storage is joined: its journal lies behind the plugin.
	if err := l.quietly(alone(root, env, l.aivault, "init", location, "--custody", "local:"+filepath.Join(root, "keys"))); err != nil {
		return err
	}
	for _, step := range []struct {
		op   string
		args []string
	}{{pushing, []string{"push", "model", set.dir}}, {pulling, []string{"pull", "model", filepath.Join(root, "out")}}} {
		u, err := measure(l.ctx, alone(root, env, append([]string{l.aivault}, step.args...)...))
		if err != nil {
			return err
		}
		took[step.op+" "+way.name] = append(took[step.op+" "+way.name], u.Wall)
		l.t.Logf("%-10s %s %6.0f MB/s", way.name, step.op, float64(set.bytes)/u.Wall.Seconds()/1e6)
	}
	return same(set.dir, filepath.Join(root, "out"))
}

// printPluginTable prints medians, and whether the plugin is fast enough.
func printPluginTable(w io.Writer, o pluginOptions, inMemory bool, took map[string][]time.Duration) {
	speed := func(times []time.Duration) float64 {
		sorted := slices.Sorted(slices.Values(times))
		return float64(o.size) / sorted[len(sorted)/2].Seconds() / 1e6
	}
	where := "on disk"
	if inMemory {
		where = "in memory"
	}
	fmt.Fprintf(w, "%d MiB of random bytes, %s, medians of %d rounds in turns:\n\n| | in-process | by plugin | share | target |\n|---|---|---|---|---|\n", o.size>>20, where, o.rounds)
	for _, op := range []string{pushing, pulling} {
		direct, plugin := speed(took[op+" in-process"]), speed(took[op+" plugin"])
		met := "met"
		if plugin < pluginTarget*direct {
			met = "missed"
		}
		fmt.Fprintf(w, "| %s | %.0f MB/s | %.0f MB/s | %.2f | %.1f %s |\n", strings.ToLower(op), direct, plugin, plugin/direct, pluginTarget, met)
	}
}
