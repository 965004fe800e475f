package integration_test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stockAge builds the age command, and returns the directory it stands in.
func stockAge(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "age"), "filippo.io/age/cmd/age").CombinedOutput(); err != nil {
		t.Fatalf("building age: %v: %s", err, out)
	}
	return bin
}

// TestTransfer hands a version over: the new owner has nothing but the stock age
// and tar commands and their own identity, and stores what they got in a vault of
// their own.
func TestTransfer(t *testing.T) {
	bin := stockAge(t)
	h, owner := newHome(t), newHome(t)
	vault, keys := filepath.Join(h.dir, "vault"), filepath.Join(h.dir, "keys")
	h.env = append(h.env, "AIVAULT_VAULT="+vault, "AIVAULT_CUSTODY=local:"+keys)
	model := filepath.Join(h.dir, "model")
	for name, b := range map[string]string{"config.json": `{"a":1}`, "sub/weights.bin": dense(24 << 20), "ütf ☃": "odd", "empty": "", "raw\xff": "bytes", "transfer.json": "mine"} {
		path := filepath.Join(model, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.run(t, 0, "init", vault, "--custody", "local:"+keys)
	pushed := h.json(t, 0, "push", "fraud-detector", model, "--label", "product=scoring")

	theirs, theirKeys := filepath.Join(owner.dir, "vault"), filepath.Join(owner.dir, "keys")
	owner.env = append(owner.env, "AIVAULT_VAULT="+theirs, "AIVAULT_CUSTODY=local:"+theirKeys)
	owner.run(t, 0, "init", theirs, "--custody", "local:"+theirKeys)
	line, ok := owner.json(t, 0, "identity", "show")["public"].(string)
	if !ok {
		t.Fatal("no public line")
	}
	sealed := filepath.Join(owner.dir, "handed.age")
	done := h.json(t, 0, "transfer", "fraud-detector@v1", "--to", line, "--owner", "Nova Models Ltd", "--out", sealed)
	if done["digest"] != pushed["digest"] || done["receipt"] != "left" || done["sealed_sha256"] == "" {
		t.Errorf("%v", done)
	}

	cmd := exec.Command("bash", "-euo", "pipefail", "-c", `age -d -i "$me" handed.age | tar -x; python3 -c 'import json; d = json.load(open("transfer.json")); print(d["artefact"], d["version"], d["digest"], len(d["files"]))'`)
	cmd.Env, cmd.Dir = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "me="+owner.identity()), owner.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := "fraud-detector 1 " + strings.TrimPrefix(pushed["digest"].(string), "sha256:") + " 6\n"; string(out) != want {
		t.Errorf("transfer.json says %q, want %q", out, want)
	}
	sameTree(t, model, filepath.Join(owner.dir, "files"))
	if got := owner.json(t, 0, "push", "fraud-detector", filepath.Join(owner.dir, "files")); got["files"] != pushed["files"] || got["bytes"] != pushed["bytes"] {
		t.Errorf("the new owner stored %v, of %v", got, pushed)
	}

	// A byte of the storage is changed: nothing appears, and what is on record says
	// that it was to be handed over.
	damageLargest(t, vault)
	late := filepath.Join(owner.dir, "late.age")
	if _, said := h.run(t, 13, "transfer", "fraud-detector@v1", "--to", line, "--out", late); !strings.Contains(said, "on record") {
		t.Errorf("%s", said)
	}
	if left, err := filepath.Glob(filepath.Join(owner.dir, "*late*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(owner.dir, ".late*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if said, _ := h.run(t, 0, "history", "fraud-detector"); strings.Count(said, "handed over") != 2 {
		t.Errorf("%s", said)
	}
}

// dense returns n bytes that nothing compresses.
func dense(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return string(b)
}

// damageLargest changes a byte of the largest object below a directory.
func damageLargest(t *testing.T, dir string) {
	t.Helper()
	var name string
	var size int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err == nil && fi.Size() > size {
			name, size = path, fi.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, b, 0o644)); err != nil {
		t.Fatal(err)
	}
}
