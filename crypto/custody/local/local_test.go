package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/custody/local"
)

func now() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

func initKeeper(t *testing.T) (*local.Keeper, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a", "keys")
	k, err := local.Init(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return k, dir
}

func TestConformance(t *testing.T) {
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		k, dir := initKeeper(t)
		return k, func() (custody.Keeper, error) { return local.Open(dir, now) }
	})
}

func TestConformanceOfSeveralProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	var keepers []custody.Keeper
	for range 3 {
		k, err := local.Init(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		keepers = append(keepers, k)
	}
	for _, c := range custodytest.Checks() {
		if !slices.Contains([]string{"create-racing", "concurrent", "destroy", "destroy-again", "profile", "list"}, c.Name) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), custodytest.NewAlternating(keepers...)); err != nil {
				t.Error(err)
			}
		})
	}
}

// alive returns a keeper with one key and a wrapping of "seed".
func alive(t *testing.T) (k *local.Keeper, dir string, ref custody.KeyRef, wrapped []byte) {
	t.Helper()
	k, dir = initKeeper(t)
	ref, err := k.Create(t.Context(), "e-1")
	if err != nil {
		t.Fatal(err)
	}
	if wrapped, err = k.Wrap(t.Context(), ref, [32]byte{1}, []byte("seed")); err != nil {
		t.Fatal(err)
	}
	return k, dir, ref, wrapped
}

func TestModes(t *testing.T) {
	k, dir, ref, _ := alive(t)
	if _, err := k.Destroy(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Create(t.Context(), "e-2"); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		info, ierr := e.Info()
		if err = errors.Join(err, ierr); err != nil {
			return err
		}
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[e.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names := dirNames(t, dir)
	if want := []string{"e-1.destroyed", "e-1.key", "e-2.key", "keeper"}; !slices.Equal(names, want) {
		t.Errorf("directory holds %q, want %q", names, want)
	}
}

func dirNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestOpenToOthersIsUnfit(t *testing.T) {
	k, dir, ref, wrapped := alive(t)
	for _, mode := range []fs.FileMode{0o750, 0o705, 0o701, 0o720} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := local.Open(dir, now); !errors.Is(err, custody.ErrUnfit) {
			t.Errorf("open with mode %v: %v, want ErrUnfit", mode, err)
		}
		if _, err := local.Init(dir, now); !errors.Is(err, custody.ErrUnfit) {
			t.Errorf("init with mode %v: %v, want ErrUnfit", mode, err)
		}
		if _, err := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrUnfit) {
			t.Errorf("unwrap with mode %v: %v, want ErrUnfit", mode, err)
		}
	}
}

// TestDestroyOverwrites: a file that somebody else has open, or another name
// for, loses its bytes too.
func TestDestroyOverwrites(t *testing.T) {
	k, dir, ref, _ := alive(t)
	f, err := os.Open(filepath.Join(dir, "e-1.key"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := k.Destroy(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := f.ReadAt(b, 0)
	if n == 0 || bytes.Contains(b[:n], []byte("age")) || bytes.Contains(b[:n], []byte("AGE")) {
		t.Errorf("the destroyed file has %d bytes (%v): %q", n, err, b[:n])
	}
}

func TestDestructionIsDatedByTheClock(t *testing.T) {
	k, _, ref, _ := alive(t)
	d, err := k.Destroy(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.Status(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if !d.At.Equal(now()) || !s.Since.Equal(now()) {
		t.Errorf("acknowledged at %v, status since %v, want %v", d.At, s.Since, now())
	}
	p, err := k.Profile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("aivault keeper acknowledgement 1\ninstance: %s\nref: %s\nat: 2026-11-01T12:00:00Z\nnote: the key file was overwritten once and removed\n", p.Instance, ref)
	if string(d.Evidence) != want {
		t.Errorf("evidence %q, want %q", d.Evidence, want)
	}
}
