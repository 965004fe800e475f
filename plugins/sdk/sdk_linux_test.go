package sdk_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/vault/scan/scantest"
)

// build builds an example, and returns how to run it on a new directory.
func build(t *testing.T, example string) host.Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), example)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./example/"+example).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	digest, err := host.DigestOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return host.Options{
		Name: example, Path: path, Digests: []canonical.Digest{digest}, Config: filepath.Join(t.TempDir(), "new"), Create: true, Now: time.Now,
	}
}

// The store's own suite is that of backends/dir, which spends its time on syncs:
// one check of each method is enough to see that the example serves it.
func TestExampleStore(t *testing.T) {
	o := build(t, "store")
	s, err := host.OpenStore(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ran := 0
	for _, c := range backendtest.Checks() {
		if slices.Contains([]string{"put-once", "put-largest", "get-range", "list-order", "erase-gone", "probe-fit"}, c.Name) {
			ran++
			if err := c.Run(t.Context(), s); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
	if ran != 6 {
		t.Errorf("%d checks ran", ran)
	}
}

func TestExampleKeeper(t *testing.T) {
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		o := build(t, "keeper")
		open := func(create bool) (custody.Keeper, error) {
			o.Create = create
			k, err := host.OpenKeeper(t.Context(), o)
			if err == nil {
				t.Cleanup(func() { k.Close() })
			}
			return k, err
		}
		k, err := open(true)
		if err != nil {
			t.Fatal(err)
		}
		return k, func() (custody.Keeper, error) { return open(false) }
	})
}

func TestExampleScanner(t *testing.T) {
	o := build(t, "scanner")
	o.Config, o.Memory = "", 512<<20
	s, err := host.OpenScanner(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	scantest.Run(t, s)
}

// Who runs a plugin by hand learns what it is.
func TestRunByHand(t *testing.T) {
	o := build(t, "store")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, o.Path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is a plugin") {
		t.Errorf("%q, %v", out, err)
	}
}
