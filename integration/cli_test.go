package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/integration/weights"
)

// built is a directory for programs that tests of this package build once.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "aivault-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// build makes the program once for all tests of this package.
var build = sync.OnceValues(func() (string, error) {
	program := filepath.Join(built, "aivault")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/aivault").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building aivault: %w: %s", err, out)
	}
	return program, nil
})

// home is one person's home directory on one machine.
type home struct {
	program string
	dir     string
	env     []string
}

// newHome makes an empty home. env is all that its processes see besides.
func newHome(t testing.TB, env ...string) *home {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &home{program: program, dir: dir, env: append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "AIVAULT_NO_INPUT=1"}, env...)}
}

// identity is where the program keeps a member's keys.
func (h *home) identity() string { return filepath.Join(h.dir, ".config", "aivault", "identity") }

// give copies this home's identity to another: the same person on another machine.
func (h *home) give(t testing.TB, to *home) {
	t.Helper()
	b, err := os.ReadFile(h.identity())
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to.identity()), 0o700)
	}
	if err == nil {
		err = os.WriteFile(to.identity(), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run runs the program and demands an exit code. It returns what was printed.
func (h *home) run(t testing.TB, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), h.program, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = h.env, h.dir, &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("aivault %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &out, &errOut)
	}
	return out.String(), errOut.String()
}

// try runs the program and returns its exit code and what it said on stderr.
func (h *home) try(args ...string) (code int, stderr string) {
	var errOut bytes.Buffer
	cmd := exec.Command(h.program, args...)
	cmd.Env, cmd.Dir, cmd.Stderr = h.env, h.dir, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return -1, err.Error()
	}
	return cmd.ProcessState.ExitCode(), errOut.String()
}

// json runs the program with --json and decodes what it prints.
func (h *home) json(t testing.TB, code int, args ...string) map[string]any {
	t.Helper()
	out, _ := h.run(t, code, append(args, "--json")...)
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("aivault %s printed %q: %v", strings.Join(args, " "), out, err)
	}
	return v
}

// modelDirectory is a real model directory: 41 weight files, configuration, tokenizer.
func modelDirectory(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "human-models")
	if err := os.CopyFS(dir, os.DirFS(weights.HumanModels(t))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"config.json": `{"architectures":["BlazeFace"]}`, "tokenizer/tokenizer.json": `{"version":"1.0"}`, "run.sh": "#!/bin/sh\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	bins, err := filepath.Glob(filepath.Join(dir, "*.bin"))
	if err != nil || len(bins) != 41 {
		t.Fatalf("%d weight files, want 41 (%v)", len(bins), err)
	}
	return dir
}

// sameTree compares names, bytes and executable bits of two trees.
func sameTree(t testing.TB, want, got string) {
	t.Helper()
	seen := 0
	walk := func(dir string, f func(rel string, d fs.DirEntry)) {
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			f(rel, d)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	walk(want, func(rel string, d fs.DirEntry) {
		seen++
		a, err := os.ReadFile(filepath.Join(want, rel))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(got, rel))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs (%v)", rel, err)
			return
		}
		x, _ := os.Stat(filepath.Join(want, rel))
		y, _ := os.Stat(filepath.Join(got, rel))
		if x.Mode().Perm()&0o100 != y.Mode().Perm()&0o100 {
			t.Errorf("%s: mode %v, want %v", rel, y.Mode(), x.Mode())
		}
	})
	walk(got, func(rel string, d fs.DirEntry) { seen-- })
	if seen != 0 {
		t.Errorf("%d files more or fewer than pushed", seen)
	}
}

// TestRealModel is the main job, as people and pipelines do it: each step from
// another home, the keeper behind another credential in another place.
func TestRealModel(t *testing.T) {
	model := modelDirectory(t)
	t.Run("directory", func(t *testing.T) {
		dir := t.TempDir()
		realModel(t, model, filepath.Join(dir, "vault"), "object:file://"+filepath.Join(dir, "keys"))
	})
	for _, o := range []servers.Options{{}, {TLS: true, Versioning: true}} {
		t.Run(fmt.Sprintf("versitygw, TLS %v", o.TLS), func(t *testing.T) {
			storage := servers.VersityGW(t, o)
			storage.MakeBucket(t, "models", o.Versioning, false)
			keys := servers.VersityGW(t, servers.Options{AccessKey: "keeperaccess", SecretKey: "keepersecret456"})
			keys.MakeBucket(t, "keys", false, false)
			env := append(storage.Environ(""), keys.Environ("AIVAULT_CUSTODY_")...)
			if storage.CAFile != "" {
				env = append(env, "AIVAULT_CA_FILE="+storage.CAFile)
			}
			realModel(t, model, storage.URL("models", "team"), "object:"+keys.URL("keys", ""), env...)
		})
	}
}

func realModel(t *testing.T, model, location, custody string, env ...string) {
	env = append(env, "AIVAULT_VAULT="+location, "AIVAULT_CUSTODY="+custody)
	founder := newHome(t, env...)
	made := founder.json(t, 0, "init", location, "--custody", custody)
	genesis := made["genesis"].(string)
	other := func() *home {
		h := newHome(t, append(env, "AIVAULT_GENESIS="+genesis)...)
		founder.give(t, h)
		return h
	}
	founder.run(t, 11, "init", location, "--custody", custody)

	first := other().json(t, 0, "push", "team/human", model, "--op", "00000000000000000000000000000001")
	if first["changed"] != true || first["ref"] != "team/human@v1" {
		t.Fatalf("push: %v", first)
	}
	dest := filepath.Join(t.TempDir(), "out")
	pulled := other().json(t, 0, "pull", "team/human", dest)
	sameTree(t, model, dest)
	if pulled["digest"] != first["digest"] || pulled["freshness"] != "none" {
		t.Errorf("pull: %v", pulled)
	}
	again := other().json(t, 4, "push", "team/human", model, "--exit-code")
	if again["changed"] != false || again["uploaded_bytes"] != 0.0 || again["version"] != 1.0 {
		t.Errorf("pushing the same again: %v", again)
	}
	retried := other().json(t, 0, "push", "team/human", model, "--op", "00000000000000000000000000000001")
	if retried["version"] != 1.0 || retried["digest"] != first["digest"] {
		t.Errorf("the same operation from a second machine: %v", retried)
	}
	verified := other().json(t, 0, "verify", "--full")
	if verified["ok"] != true {
		t.Errorf("verify: %v", verified)
	}
	pin := first["head"].(string)
	if v := other().json(t, 0, "show", "team/human", "--pin", pin); v["freshness"] != "pinned" {
		t.Errorf("show with a pin: %v", v["freshness"])
	}
}
