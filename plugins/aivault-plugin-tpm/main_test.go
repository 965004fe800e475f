//go:build linux

package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/plugins/internal/wiretest"
)

// TestThroughTheWire holds the keeper to its contract through the wire, within
// one process.
func TestThroughTheWire(t *testing.T) {
	m := servers.SWTPM(t)
	t.Setenv("TPM_AUTH", "a password of the index")
	config := "dir=" + filepath.Join(t.TempDir(), "keys") + "&device=" + m.Socket + "&auth-source=env:TPM_AUTH"
	through := func(create bool) (custody.Keeper, error) { return wiretest.Keeper(t, config, create, open) }
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		k, err := through(true)
		if err != nil {
			t.Fatal(err)
		}
		return k, func() (custody.Keeper, error) { return through(false) }
	})
}

// TestProcess holds the plugin to the contract as a process of its own, and two
// of them at once to what each does.
func TestProcess(t *testing.T) {
	m := servers.SWTPM(t)
	config := "dir=" + filepath.Join(t.TempDir(), "keys") + "&device=" + m.Socket + "&auth-source=env:TPM_AUTH"
	path := filepath.Join(t.TempDir(), "aivault-plugin-tpm")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	digest, err := host.DigestOf(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func() (custody.Keeper, error) {
		k, err := host.OpenKeeper(t.Context(), host.Options{Name: "tpm", Path: path, Digests: []canonical.Digest{digest}, Env: []string{"TPM_AUTH=a password of the index"}, Config: config, Create: true, Now: time.Now})
		if err == nil {
			t.Cleanup(func() { k.Close() })
		}
		return k, err
	}
	k, err := open()
	if err != nil {
		t.Fatal(err)
	}
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) { return k, open })
	other, err := open()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	ref, err := k.Create(ctx, "shared")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := other.Wrap(ctx, ref, [32]byte{}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Unwrap(ctx, ref, [32]byte{}, sealed); err != nil || string(plain) != "secret" {
		t.Errorf("what one process wrapped the other opens as %q, %v", plain, err)
	}
	if _, err := other.Destroy(ctx, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(ctx, ref, [32]byte{}, sealed); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("what one process destroyed the other opens: %v", err)
	}
}
