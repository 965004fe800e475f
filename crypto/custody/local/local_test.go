package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
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

// alternating spreads calls over several openings of one keeper, as several
// processes would.
type alternating struct {
	keepers []custody.Keeper
	calls   atomic.Uint32
}

func (a *alternating) next() custody.Keeper {
	return a.keepers[int(a.calls.Add(1))%len(a.keepers)]
}

func (a *alternating) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	return a.next().Create(ctx, label)
}
func (a *alternating) Wrap(ctx context.Context, ref custody.KeyRef, c [32]byte, secret []byte) ([]byte, error) {
	return a.next().Wrap(ctx, ref, c, secret)
}
func (a *alternating) Unwrap(ctx context.Context, ref custody.KeyRef, c [32]byte, wrapped []byte) ([]byte, error) {
	return a.next().Unwrap(ctx, ref, c, wrapped)
}
func (a *alternating) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	return a.next().Destroy(ctx, ref)
}
func (a *alternating) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	return a.next().Status(ctx, ref)
}
func (a *alternating) List(ctx context.Context, prefix string) iter.Seq2[custody.KeyRef, error] {
	return a.next().List(ctx, prefix)
}
func (a *alternating) Profile(ctx context.Context) (custody.Profile, error) {
	return a.next().Profile(ctx)
}

func TestConformanceOfSeveralProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	var a alternating
	for range 3 {
		k, err := local.Init(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		a.keepers = append(a.keepers, k)
	}
	for _, c := range custodytest.Checks() {
		if !slices.Contains([]string{"create-racing", "concurrent", "destroy", "destroy-again", "profile", "list"}, c.Name) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), &a); err != nil {
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

// TestLostDisk holds every method to this: a directory that is gone, empty or
// another keeper's says nothing about a key.
func TestLostDisk(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, dir string){
		"gone":  func(t *testing.T, dir string) {},
		"empty": func(t *testing.T, dir string) { mkdir(t, dir) },
		"another keeper": func(t *testing.T, dir string) {
			if _, err := local.Init(dir, now); err != nil {
				t.Fatal(err)
			}
		},
		"a file": func(t *testing.T, dir string) {
			if err := os.WriteFile(dir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, dir, ref, wrapped := alive(t)
			if err := os.Rename(dir, dir+".away"); err != nil {
				t.Fatal(err)
			}
			lose(t, dir)
			ctx := t.Context()
			_, unwrap := k.Unwrap(ctx, ref, [32]byte{1}, wrapped)
			_, wrap := k.Wrap(ctx, ref, [32]byte{1}, []byte("x"))
			_, create := k.Create(ctx, "e-1")
			_, destroy := k.Destroy(ctx, ref)
			_, status := k.Status(ctx, ref)
			_, profile := k.Profile(ctx)
			var list error
			for _, list = range k.List(ctx, "") {
			}
			for what, err := range map[string]error{
				"unwrap": unwrap, "wrap": wrap, "create": create, "destroy": destroy, "status": status, "profile": profile, "list": list,
			} {
				if !errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrNotFound) || errors.Is(err, custody.ErrDestroyed) {
					t.Errorf("%s: %v, want ErrUnavailable alone", what, err)
				}
			}
			if name != "another keeper" {
				if _, err := local.Open(dir, now); !errors.Is(err, custody.ErrUnavailable) {
					t.Errorf("open: %v, want ErrUnavailable", err)
				}
			}
			if err := errors.Join(os.RemoveAll(dir), os.Rename(dir+".away", dir)); err != nil {
				t.Fatal(err)
			}
			if got, err := k.Unwrap(ctx, ref, [32]byte{1}, wrapped); err != nil || string(got) != "seed" {
				t.Errorf("mounted again: %q, %v", got, err)
			}
		})
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestInitRefusesALostInstance(t *testing.T) {
	_, dir, _, _ := alive(t)
	if err := os.Remove(filepath.Join(dir, "keeper")); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Init(dir, now); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("init over keys without a keeper file: %v, want ErrCorrupt", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keeper"), []byte("aivault keeper 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Init(dir, now); !errors.Is(err, custody.ErrCorrupt) {
		t.Errorf("init over a damaged keeper file: %v, want ErrCorrupt", err)
	}
}

// TestTampered puts other things in place of the two files of a label. What is
// not one of the texts of FORMAT.md is an error of its own.
func TestTampered(t *testing.T) {
	k, dir, ref, wrapped := alive(t)
	ctx := t.Context()
	file := filepath.Join(dir, "e-1.key")
	key, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	otherRef, err := k.Create(ctx, "e-2")
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(dir, "e-2.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": {}, "zeros": make([]byte, len(key)), "half": key[:len(key)/2], "a line more": append(bytes.Clone(key), "x\n"...),
		"no end of line": key[:len(key)-1], "another label's": other, "huge": make([]byte, 1<<20),
		"tombstone of another label":  []byte("aivault keeper tombstone 1\nref: " + string(otherRef) + "\n"),
		"tombstone of a later format": []byte("aivault keeper tombstone 2\nref: " + string(ref) + "\n"),
		"almost a tombstone":          []byte("aivault keeper tombstone 1\nref: " + string(ref)),
		"a word":                      []byte("destroyed\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			expectCorrupt(t, k, ref, wrapped)
		})
	}
	t.Run("another key under the label", func(t *testing.T) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		second, err := k.Create(ctx, "e-1")
		if err != nil || second == ref {
			t.Fatalf("create: %q, %v", second, err)
		}
		if _, err := k.Unwrap(ctx, ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrNotFound) {
			t.Errorf("unwrap under the lost key: %v, want ErrNotFound", err)
		}
		if _, err := k.Destroy(ctx, ref); !errors.Is(err, custody.ErrNotFound) {
			t.Errorf("destroy the lost key: %v, want ErrNotFound", err)
		}
		if s, err := k.Status(ctx, second); err != nil || s.State != custody.Alive {
			t.Errorf("the other key: %+v, %v", s, err)
		}
	})
	t.Run("link", func(t *testing.T) {
		away := filepath.Join(t.TempDir(), "key")
		if err := errors.Join(os.WriteFile(away, key, 0o600), os.Remove(file), os.Symlink(away, file)); err != nil {
			t.Fatal(err)
		}
		expectCorrupt(t, k, ref, wrapped)
		if err := errors.Join(os.Remove(file), os.Symlink("e-2.key", file)); err != nil {
			t.Fatal(err)
		}
		expectCorrupt(t, k, ref, wrapped)
	})
	t.Run("directory", func(t *testing.T) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		mkdir(t, file)
		expectCorrupt(t, k, ref, wrapped)
	})
	t.Run("key is back", func(t *testing.T) {
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, key, 0o600)); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Unwrap(ctx, ref, [32]byte{1}, wrapped); err != nil || string(got) != "seed" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func expectCorrupt(t *testing.T, k *local.Keeper, ref custody.KeyRef, wrapped []byte) {
	t.Helper()
	ctx := t.Context()
	_, unwrap := k.Unwrap(ctx, ref, [32]byte{1}, wrapped)
	_, wrap := k.Wrap(ctx, ref, [32]byte{1}, []byte("x"))
	_, create := k.Create(ctx, "e-1")
	_, status := k.Status(ctx, ref)
	var list error
	listed := 0
	for _, err := range k.List(ctx, "") {
		if list = err; err == nil {
			listed++
		}
	}
	for what, err := range map[string]error{"unwrap": unwrap, "wrap": wrap, "create": create, "status": status, "list": list} {
		if !errors.Is(err, custody.ErrCorrupt) || errors.Is(err, custody.ErrDestroyed) || errors.Is(err, custody.ErrNotFound) {
			t.Errorf("%s: %v, want ErrCorrupt alone", what, err)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error quotes the file: %v", what, err)
		}
	}
	if listed != 1 {
		t.Errorf("list yields %d keys beside the damaged one, want 1", listed)
	}
}

// TestDamagedKeyCanBeDestroyed: what serves for nothing must not stand in the
// way of a disposal.
func TestDamagedKeyCanBeDestroyed(t *testing.T) {
	k, dir, ref, wrapped := alive(t)
	file := filepath.Join(dir, "e-1.key")
	key, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(key, ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := k.Destroy(t.Context(), ref); err != nil || d.State != custody.Destroyed {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap: %v, want ErrDestroyed", err)
	}
	expectNoSecret(t, dir, "")
}

// TestRestoredKeyStaysDead: bytes that come back from a backup are refused, are
// reported, and can be destroyed again.
func TestRestoredKeyStaysDead(t *testing.T) {
	k, dir, ref, wrapped := alive(t)
	ctx := t.Context()
	file := filepath.Join(dir, "e-1.key")
	key, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, err := k.Destroy(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(ctx, ref, [32]byte{1}, wrapped); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap: %v, want ErrDestroyed", err)
	}
	if _, err := k.Create(ctx, "e-1"); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("create: %v, want ErrDestroyed", err)
	}
	if s, err := k.Status(ctx, ref); err != nil || s.State != custody.Pending {
		t.Errorf("status: %+v, %v, want Pending", s, err)
	}
	again, err := k.Destroy(ctx, ref)
	if err != nil || again.State != custody.Destroyed || !bytes.Equal(again.Evidence, first.Evidence) {
		t.Errorf("destroy again: %+v, %v", again, err)
	}
	expectNoSecret(t, dir, "")
	if s, err := k.Status(ctx, ref); err != nil || s.State != custody.Destroyed {
		t.Errorf("status: %+v, %v, want Destroyed", s, err)
	}
}

// expectNoSecret looks for key material in every file but one.
func expectNoSecret(t *testing.T, dir, but string) {
	t.Helper()
	for _, name := range dirNames(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if name != but && bytes.Contains(b, []byte("AGE-SECRET-KEY")) {
			t.Errorf("%s holds a key", name)
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

// TestSweepSparesTheTombstone: a racing destroyer's second name for the key file
// may have caught the tombstone instead.
func TestSweepSparesTheTombstone(t *testing.T) {
	k, dir, ref, _ := alive(t)
	if _, err := k.Destroy(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	caught := filepath.Join(dir, ".e-1."+strings.Repeat("0", 32)+".old")
	err := errors.Join(os.Remove(filepath.Join(dir, "e-1.destroyed")), os.Link(filepath.Join(dir, "e-1.key"), caught))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := k.Status(t.Context(), ref); err != nil || s.State != custody.Pending {
		t.Errorf("status without an acknowledgement: %+v, %v, want Pending", s, err)
	}
	if d, err := k.Destroy(t.Context(), ref); err != nil || d.State != custody.Destroyed {
		t.Fatalf("destroy: %+v, %v", d, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "e-1.key")); err != nil || string(b) != "aivault keeper tombstone 1\nref: "+string(ref)+"\n" {
		t.Errorf("the tombstone is %q, %v", b, err)
	}
	if _, err := os.Lstat(caught); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its other name is left: %v", err)
	}
}
