package custody_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/local"
	"github.com/aivault/aivault/crypto/custody/object"
)

// example is what FORMAT.md shows.
type example struct {
	key, instance, pointer, tombstone, ack string // §2, §3
	context                                [32]byte
	armored                                string
	wrapped                                []byte
	ref                                    custody.KeyRef
}

const exampleSecret = "an example secret"

func readExample(t *testing.T) example {
	t.Helper()
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(beginning string) string {
		_, rest, ok := strings.Cut(string(doc), "\n```\n"+beginning)
		body, _, closed := strings.Cut(rest, "\n```\n")
		if !ok || !closed {
			t.Fatalf("FORMAT.md has no example that begins with %q", beginning)
		}
		return beginning + body + "\n"
	}
	e := example{
		key: block("# aivault keeper key"), instance: block("aivault keeper 1"), pointer: block("aivault keeper pointer"),
		tombstone: block("aivault keeper tombstone"), ack: block("aivault keeper acknowledgement"),
		armored: block("-----BEGIN AGE"),
	}
	if n, err := hex.Decode(e.context[:], []byte(strings.TrimSpace(block("000102")))); n != 32 || err != nil {
		t.Fatalf("context: %d bytes, %v", n, err)
	}
	lines := strings.Split(strings.TrimSpace(e.armored), "\n")
	if e.wrapped, err = base64.StdEncoding.DecodeString(strings.Join(lines[1:len(lines)-1], "")); err != nil {
		t.Fatal(err)
	}
	e.ref = custody.KeyRef(strings.TrimPrefix(strings.Split(e.key, "\n")[1], "# ref: "))
	return e
}

// holds checks that a keeper opens the example and then destroys it to the same
// tombstone.
func (e example) holds(t *testing.T, k custody.Keeper) {
	t.Helper()
	ctx := t.Context()
	secret, err := k.Unwrap(ctx, e.ref, e.context, e.wrapped)
	if err != nil || string(secret) != exampleSecret {
		t.Errorf("unwrap: %q, %v, want %q", secret, err, exampleSecret)
	}
	if ref, err := k.Create(ctx, "e-example"); err != nil || ref != e.ref {
		t.Errorf("create: %q, %v, want %q", ref, err, e.ref)
	}
	if _, err := k.Destroy(ctx, e.ref); err != nil {
		t.Error(err)
	}
	if _, err := k.Unwrap(ctx, e.ref, e.context, e.wrapped); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap after destroy: %v, want ErrDestroyed", err)
	}
}

func TestExampleOfLocal(t *testing.T) {
	e := readExample(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"keeper": e.instance, "e-example.key": e.key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC)
	k, err := local.Open(dir, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	e.holds(t, k)
	for name, want := range map[string]string{"e-example.key": e.tombstone, "e-example.destroyed": e.ack, "keeper": e.instance} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestExampleOfObject(t *testing.T) {
	e, store := readExample(t), mem.New(mem.Options{})
	for key, text := range map[string]string{
		"keeper": strings.Replace(e.instance, "local-", "object-", 1), "k/e-example": e.pointer, "s/" + string(e.ref): e.key,
	} {
		if _, err := store.Put(t.Context(), key, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	k, err := object.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	e.holds(t, k)
	r, _, err := store.Get(t.Context(), backends.Ref{Key: "t/e-example"}, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil || b.String() != e.tombstone {
		t.Errorf("tombstone %q, %v, want %q", b.String(), err, e.tombstone)
	}
}

// TestExampleWithAge opens the example with the stock command.
func TestExampleWithAge(t *testing.T) {
	e := readExample(t)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(e.key), 0o600); err != nil {
		t.Fatal(err)
	}
	for form, in := range map[string]string{"binary": string(e.wrapped), "armored": e.armored} {
		cmd := exec.CommandContext(t.Context(), "go", "tool", "age", "-d", "-i", file)
		cmd.Stdin = strings.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if want := string(e.context[:]) + exampleSecret; err != nil || string(out) != want {
			t.Errorf("%s: age gives %q, %v %s, want %q", form, out, err, stderr.String(), want)
		}
	}
}
