package identity

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aivault/aivault/crypto/seal"
)

// The stock age command, at the version go.mod pins, takes an identity file as
// it is, opens what is sealed to it, and removes a passphrase.
func TestStockCommand(t *testing.T) {
	dir := t.TempDir()
	run(t, nil, "go", "build", "-o", dir+string(filepath.Separator), "filippo.io/age/cmd/age", "filippo.io/age/cmd/age-plugin-batchpass")
	age := filepath.Join(dir, "age")
	id := newIdentity(t)
	plain, protected, sealed := filepath.Join(dir, "plain"), filepath.Join(dir, "protected"), filepath.Join(dir, "sealed")
	if err := WriteFile(plain, id.Reveal()); err != nil {
		t.Fatal(err)
	}
	text, err := id.protect("correct horse", 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(protected, text); err != nil {
		t.Fatal(err)
	}
	object, err := seal.Seal([]byte("weights"), id.Public().Recipient)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(sealed, object); err != nil {
		t.Fatal(err)
	}
	if got := run(t, nil, age, "--decrypt", "--identity", plain, sealed); string(got) != "weights" {
		t.Errorf("age opens %q", got)
	}
	env := append(os.Environ(), "PATH="+dir, "AGE_PASSPHRASE=correct horse")
	if got := run(t, env, age, "--decrypt", "-j", "batchpass", protected); !bytes.Equal(got, id.Reveal()) {
		t.Errorf("age takes off the passphrase and leaves %d other bytes", len(got))
	}
	env = append(env, "AGE_PASSPHRASE_WORK_FACTOR=2")
	theirs := run(t, env, age, "--encrypt", "--armor", "-j", "batchpass", plain)
	if got, err := Parse(theirs, answer("correct horse")); err != nil || !got.Public().Equal(id.Public()) {
		t.Errorf("protected by age: another identity, or none: %v", err)
	}
}

// run runs a command and returns what it writes to standard output.
func run(t *testing.T, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", filepath.Base(name), err, stderr.Bytes())
	}
	return out
}
