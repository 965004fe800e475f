package local_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/local"
)

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

// TestForgedAcknowledgements: what is not this key's acknowledgement by this
// keeper is damage.
func TestForgedAcknowledgements(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"garbage":           func(s string) string { return "destroyed\n" },
		"of another label":  func(s string) string { return strings.Replace(s, "\nref: e-1.", "\nref: e-2.", 1) },
		"of another keeper": func(s string) string { return strings.Replace(s, "instance: local-", "instance: local-0", 1) },
		"undated":           func(s string) string { return strings.Replace(s, "at: 2026-11-01T12:00:00Z\n", "", 1) },
	} {
		k, dir, ref, wrapped := alive(t)
		if _, err := k.Destroy(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "e-1.destroyed")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(change(string(b))), 0o600); err != nil {
			t.Fatal(err)
		}
		_, destroy := k.Destroy(t.Context(), ref)
		_, status := k.Status(t.Context(), ref)
		_, unwrap := k.Unwrap(t.Context(), ref, [32]byte{1}, wrapped)
		for what, err := range map[string]error{"destroy": destroy, "status": status, "unwrap": unwrap} {
			if !errors.Is(err, custody.ErrCorrupt) {
				t.Errorf("%s, %s: %v, want ErrCorrupt", name, what, err)
			}
		}
	}
}
