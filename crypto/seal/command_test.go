package seal_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aivault/aivault/crypto/seal"
)

// The stock age command, at the version go.mod pins, opens what Seal writes,
// and Open what the command writes.
func TestStockCommand(t *testing.T) {
	dir := t.TempDir()
	command := filepath.Join(dir, "age")
	run(t, "go", "build", "-o", command, "filippo.io/age/cmd/age")

	id, other := newIdentity(t), newIdentity(t)
	identityFile := filepath.Join(dir, "identity")
	write(t, identityFile, []byte("# a comment\n"+id.Reveal()+"\n"))
	for _, n := range []int{0, 1, segment, segment + 1, 5<<20 + 3} {
		plaintext := random(n)
		for _, to := range [][]*seal.Recipient{{id.Recipient()}, {other.Recipient(), id.Recipient()}} {
			sealed, err := seal.Seal(plaintext, to...)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "sealed")
			write(t, file, sealed)
			if got := run(t, command, "--decrypt", "--identity", identityFile, file); !bytes.Equal(got, plaintext) {
				t.Errorf("%d bytes to %d recipients: age opens %d other bytes", n, len(to), len(got))
			}
		}
		file := filepath.Join(dir, "plaintext")
		write(t, file, plaintext)
		sealed := run(t, command, "--encrypt", "--recipient", id.Recipient().String(), file)
		if got, err := seal.Open(sealed, id); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes sealed by age: another plaintext, or none: %v", n, err)
		}
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command and returns what it writes to standard output.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", filepath.Base(name), err, stderr.Bytes())
	}
	return out
}
