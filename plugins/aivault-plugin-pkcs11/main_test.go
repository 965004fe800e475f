//go:build linux && cgo

package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
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
	h := servers.SoftHSM(t, "wire")
	for _, kv := range h.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	through := func() (custody.Keeper, error) {
		return wiretest.Keeper(t, h.URI(), true, func(ctx context.Context, config string, _ bool) (custody.Keeper, error) { return open(ctx, config) })
	}
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		k, err := through()
		if err != nil {
			t.Fatal(err)
		}
		return k, through
	})
}

// TestProcess holds the plugin to the contract as a process of its own, and two
// of them at once to what each does.
func TestProcess(t *testing.T) {
	h := servers.SoftHSM(t, "process")
	path := filepath.Join(t.TempDir(), "aivault-plugin-pkcs11")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	digest, err := host.DigestOf(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func() (custody.Keeper, error) {
		k, err := host.OpenKeeper(t.Context(), host.Options{Name: "pkcs11", Path: path, Digests: []canonical.Digest{digest}, Env: h.Environ(), Config: h.URI(), Now: time.Now})
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
