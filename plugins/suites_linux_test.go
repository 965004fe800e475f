package plugins_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/plugins/internal/wire"
)

// suites is the plugins of suiteNames. TestSuites holds each to its contract in
// three ways: in this process, through the wire within this process, and as the
// program itself.
var suites = map[string]func(t *testing.T) fixture{
	"aivault-plugin-azblob":  azblobFixture,
	"aivault-plugin-sftp":    sftpFixture,
	"aivault-plugin-transit": transitFixture,
	"aivault-plugin-awskms":  awskmsFixture,
}

// fixture is what a plugin is tested with: a server, and how to open what is
// there. One of store and keeper is set.
type fixture struct {
	store  func(ctx context.Context, config string, create bool) (backends.Store, error)
	keeper func(ctx context.Context, config string, create bool) (custody.Keeper, error)
	config string
	env    []string // of the program
}

// ways are those in which the suite of a contract runs.
var ways = []struct {
	name string
	open func(t *testing.T, plugin string, f fixture, create bool) opened
}{
	{"in-process", inProcess},
	{"wire", throughWire},
	{"subprocess", asProgram},
}

// opened is a fixture that was opened in one of the ways.
type opened struct {
	store  backends.Store
	keeper custody.Keeper
}

// TestSuites runs every suite in every way, and counts what ran.
func TestSuites(t *testing.T) {
	if got := slices.Sorted(maps.Keys(suites)); !slices.Equal(got, suiteNames) {
		t.Fatalf("suites of %q, want %q", got, suiteNames)
	}
	ran := map[string]int{} // by plugin and way
	t.Cleanup(func() {
		if t.Failed() || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
			return // or somebody asked for some of them alone
		}
		for plugin := range suites {
			want := ran[plugin+" "+ways[0].name]
			for _, way := range ways {
				if n := ran[plugin+" "+way.name]; n != want || n < min(len(backendtest.Checks()), len(custodytest.Checks())) {
					t.Errorf("%s, %s: %d checks ran", plugin, way.name, n)
				}
			}
		}
	})
	for plugin, open := range suites {
		t.Run(plugin, func(t *testing.T) {
			f := open(t)
			for _, way := range ways {
				t.Run(way.name, func(t *testing.T) {
					ran[plugin+" "+way.name] = run(t, f, func(t *testing.T, create bool) opened {
						return way.open(t, plugin, f, create)
					})
				})
			}
		})
	}
}

// run runs the suite of a fixture's contract, and returns how many checks ran.
func run(t *testing.T, f fixture, open func(t *testing.T, create bool) opened) (ran int) {
	if f.store != nil {
		s := open(t, true).store
		for _, c := range backendtest.Checks() {
			t.Run(c.Name, func(t *testing.T) {
				if err := c.Run(t.Context(), s); err != nil {
					t.Errorf("%v\nrule: %s", err, c.Rule)
				}
			})
			ran++
		}
		return ran
	}
	k := open(t, true).keeper
	for _, c := range custodytest.Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), k); err != nil {
				t.Errorf("%v\nrule: %s", err, c.Rule)
			}
		})
		ran++
	}
	t.Run("reopen", func(t *testing.T) {
		if err := custodytest.CheckReopened(t.Context(), k, func() (custody.Keeper, error) { return open(t, false).keeper, nil }); err != nil {
			t.Errorf("%v\nrule: %s", err, custodytest.ReopenRule)
		}
	})
	return ran + 1
}

func inProcess(t *testing.T, _ string, f fixture, create bool) opened {
	t.Helper()
	var o opened
	var err error
	if f.store != nil {
		o.store, err = f.store(t.Context(), f.config, create)
	} else {
		o.keeper, err = f.keeper(t.Context(), f.config, create)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func throughWire(t *testing.T, _ string, f fixture, create bool) opened {
	t.Helper()
	connect := serve(t, wire.Implementation{Version: "1.0.0", Store: f.store, Keeper: f.keeper}, f.config, create)
	o := wire.Options{Stall: time.Minute, Now: time.Now}
	if f.store != nil {
		return opened{store: wire.NewStore(connect, o)}
	}
	return opened{keeper: wire.NewKeeper(connect, o)}
}

func asProgram(t *testing.T, plugin string, f fixture, create bool) opened {
	t.Helper()
	path := build(t, plugin)
	digest, err := host.DigestOf(path)
	if err != nil {
		t.Fatal(err)
	}
	o := host.Options{
		Name: plugin, Path: path, Digests: []canonical.Digest{digest}, Env: f.env, Config: f.config, Create: create, Now: time.Now,
	}
	if f.store != nil {
		s, err := host.OpenStore(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return opened{store: s}
	}
	k, err := host.OpenKeeper(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return opened{keeper: k}
}

// build builds a program once for all who ask, in the way in which this test was
// built: so what it consists of need not be compiled again.
func build(t *testing.T, plugin string) string {
	t.Helper()
	path := filepath.Join(programs, plugin)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	args := []string{"build", "-o", path}
	if race {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, "./"+plugin)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// programs is where build puts what it builds.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if programs, err = os.MkdirTemp("", "aivault-plugins-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(programs)
		return m.Run()
	}())
}

// environ writes variables as a program is given them.
func environ(pairs ...string) []string {
	var out []string
	for pair := range slices.Chunk(pairs, 2) {
		out = append(out, strings.Join(pair, "="))
	}
	return out
}
