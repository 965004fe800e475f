package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRecovery opens a vault as docs/recovery.md says: with the stock age
// command, jq and the script that stands there.
func TestRecovery(t *testing.T) {
	text, err := os.ReadFile("../docs/recovery.md")
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(text)
	if script == nil {
		t.Fatal("docs/recovery.md holds no script")
	}
	if n := strings.Count(string(script[1]), "\n"); n > 200 {
		t.Errorf("the script has %d lines, more than 200", n)
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "age"), "filippo.io/age/cmd/age").CombinedOutput(); err != nil {
		t.Fatalf("building age: %v: %s", err, out)
	}
	h := newHome(t)
	vault, keys := filepath.Join(h.dir, "vault"), filepath.Join(h.dir, "keys")
	h.env = append(h.env, "AIVAULT_VAULT="+vault, "AIVAULT_CUSTODY=local:"+keys)
	model := filepath.Join(h.dir, "model")
	for name, b := range map[string]string{"config.json": `{"a":1}`, "sub/weights.bin": strings.Repeat("weights ", 3<<20), "ütf ☃": "odd", "empty": ""} {
		path := filepath.Join(model, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.run(t, 0, "init", vault, "--custody", "local:"+keys)
	h.run(t, 0, "push", "fraud-detector", model)
	if err := os.WriteFile(filepath.Join(model, "config.json"), []byte(`{"a":2}`), 0o644); err != nil {
		t.Fatal(err)
	}
	h.run(t, 0, "push", "fraud-detector", model)

	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "vault="+vault, "me="+h.identity())
	by := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env, cmd.Dir = env, h.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		return string(out)
	}
	for _, step := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(text, -1) {
		out := by("bash", "-euc", string(step[1]))
		if strings.Contains(string(step[1]), "payload") && !strings.Contains(out, `"kind": "version"`) {
			t.Errorf("the journal by hand: %s", out)
		}
	}
	files, err := filepath.Glob(filepath.Join(keys, "*.key"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d keys (%v)", len(files), err)
	}
	recover := filepath.Join(h.dir, "recover.py")
	if err := os.WriteFile(recover, script[1], 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(h.dir, "recovered")
	by("python3", recover, vault, h.identity(), files[0], "fraud-detector", out)
	sameTree(t, model, out)
}
