package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/aivault/aivault/integration/weights"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"aivault": main, "aivault-plugin-files": servesFiles, "aivault-plugin-keys": servesKeys, "aivault-plugin-liar": servesLies,
		"aivault-plugin-words": servesWords,
	})
}

// TestScripts runs what people type against the real program, each script in a
// directory and with a home of its own.
func TestScripts(t *testing.T) {
	p := scripts()
	p.Dir = filepath.Join("testdata", "script")
	testscript.Run(t, p)
}

// shared are scripts that run wherever a vault can be.
var shared = []string{filepath.Join("testdata", "shared", "incident.txtar")}

// TestShared runs the shared scripts against a vault in a directory.
func TestShared(t *testing.T) {
	p := scripts([2]string{"WEIGHTS", weights.HumanModels(t)})
	p.Files = shared
	testscript.Run(t, p)
}

func scripts(env ...[2]string) testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "capture": capture},
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			for _, kv := range append([][2]string{
				{"HOME", home}, {"USERPROFILE", home},
				{"XDG_CONFIG_HOME", filepath.Join(home, "config")}, {"XDG_STATE_HOME", filepath.Join(home, "state")},
				{"AppData", filepath.Join(home, "config")}, {"LocalAppData", filepath.Join(home, "state")},
				{"VAULT_URL", "vault"}, {"CUSTODY", "local:keys"},
			}, env...) {
				e.Setenv(kv[0], kv[1])
			}
			program, err := exec.LookPath("aivault")
			if err != nil {
				return err
			}
			e.Setenv("PROGRAMS", filepath.Dir(program))
			return os.MkdirAll(home, 0o700)
		},
	}
}

// capture sets a variable to what the first group of a pattern matches in what
// was printed last:
//
//	capture VARIABLE PATTERN
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture VARIABLE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	match := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(match) < 2 {
		ts.Fatalf("%q matches nothing in\n%s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], match[1])
}

// exits runs a program, as exec does, and checks its exit code:
//
//	exits CODE PROGRAM ARGUMENT…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}
