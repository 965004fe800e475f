package dir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
)

// background is for workers, which have no test.
var background = context.Background()

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Create(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := s.Put(t.Context(), key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, s *Store, key string) string {
	t.Helper()
	r, _, err := s.Get(t.Context(), backends.Ref{Key: key}, 0, -1)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

func keys(t *testing.T, s *Store, prefix string) (out []string) {
	t.Helper()
	for in, err := range s.List(t.Context(), prefix, backends.ListOptions{}) {
		if err != nil {
			t.Error(err)
			break
		}
		out = append(out, in.Key)
	}
	return out
}

// tree returns everything below path, directories with a '/'.
func tree(t *testing.T, path string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(path, p)
		if rel = filepath.ToSlash(rel); d != nil && d.IsDir() {
			rel += "/"
		}
		out = append(out, rel)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return out
}

func TestConformance(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	backendtest.Run(t, func(*testing.T) backends.Store { return s })
	if got, want := tree(t, path), []string{"./", tempDir + "/"}; !slices.Equal(got, want) {
		t.Errorf("the suite left %q, want %q", got, want)
	}
}

func TestOpenAndCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	if _, err := Open(path, time.Now); !errors.Is(err, backends.NotExist) {
		t.Errorf("open of a directory that is not there: %v", err)
	}
	s := open(t, path)
	put(t, s, "k")
	if got := read(t, open(t, path), "k"); got != "k" {
		t.Errorf("read through a second store: %q", got)
	}
	if _, err := Create(filepath.Join(path, "k"), time.Now); err == nil {
		t.Error("created a store in a file")
	}
	if _, err := Create(filepath.Join(path, "k", "below"), time.Now); err == nil {
		t.Error("created a store below a file")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), "l", nil); !errors.Is(err, backends.Unavailable) {
		t.Errorf("put into a closed store: %v", err)
	}
}

// Opening only to read writes nothing.
func TestOpenWritesNothing(t *testing.T) {
	path := t.TempDir()
	s, err := Open(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := keys(t, s, ""); got != nil {
		t.Errorf("keys %q", got)
	}
	if got := tree(t, path); len(got) != 1 {
		t.Errorf("opening made %q", got)
	}
}

func TestKeyIsPrefixOfAnother(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a/b", "c/d/e")
	for _, key := range []string{"a/b/c", "a/b/c/d", "a", "c/d", "c"} {
		if _, err := s.Put(t.Context(), key, nil); backends.KindOf(err) != backends.Invalid {
			t.Errorf("put %s: %v, want Invalid", key, err)
		}
	}
	if got, want := keys(t, s, ""), []string{"a/b", "c/d/e"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	if temps, err := s.temps(); err != nil || len(temps) > 0 {
		t.Errorf("temporary files left: %d, %v", len(temps), err)
	}
}

func TestErasePrunesDirectories(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	put(t, s, "a/b/c", "a/b/d", "a/e/f/g/h")
	for _, step := range []struct {
		erase string
		left  []string
	}{
		{"a/b", []string{"a/", "a/b/", "a/b/c", "a/b/d", "a/e/", "a/e/f/", "a/e/f/g/", "a/e/f/g/h"}},
		{"a/e/f/g/h", []string{"a/", "a/b/", "a/b/c", "a/b/d"}},
		{"a/b/c", []string{"a/", "a/b/", "a/b/d"}},
		{"a/b/d", nil},
	} {
		if _, err := s.Erase(t.Context(), step.erase); err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(tree(t, path), func(p string) bool { return p == "./" || p == tempDir+"/" })
		if !slices.Equal(got, step.left) {
			t.Errorf("after erase of %s: %q, want %q", step.erase, got, step.left)
		}
	}
	put(t, s, "a") // no longer a directory
}

func TestGetOfAnObjectCutOff(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	if _, err := s.Put(t.Context(), "k", make([]byte, 10_000)); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(filepath.Join(path, "k"), 10); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if len(body) != 10 || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, backends.Corrupt) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

func TestForeignFiles(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	put(t, s, "a/b", "a/c", "z")
	for _, dir := range []string{"Old", "a/b c", "empty", "lost+found/x"} {
		if err := os.MkdirAll(filepath.Join(path, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	long := "a/" + strings.Repeat("x", backends.MaxKey-1)
	for _, file := range []string{"README", "a/B", "a/b c/d", "Old/key", "a/c~", "note_1.txt", long} {
		if err := os.WriteFile(filepath.Join(path, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("z", filepath.Join(path, "a", "link")); err != nil {
		t.Fatal(err)
	}
	if got, want := keys(t, s, ""), []string{"a/b", "a/c", "z"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	var got []string
	for name, err := range s.Foreign(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	want := []string{"Old/", "README", "a/B", "a/b c/", "a/c~", "a/link", long, "lost+found/", "note_1.txt"}
	if !slices.Equal(got, want) {
		t.Errorf("foreign %q, want %q", got, want)
	}
	for range s.Foreign(t.Context()) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.Foreign(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("foreign with a context that had ended: %v", err)
		}
	}
	// A directory without keys is no common prefix.
	for in, err := range s.List(t.Context(), "", backends.ListOptions{OneLevel: true}) {
		if err != nil || in.Key != "a/" && in.Key != "z" {
			t.Errorf("one level: %s, %v", in.Key, err)
		}
	}
}

func TestPlantedSymlinks(t *testing.T) {
	outside, path := t.TempDir(), t.TempDir()
	s := open(t, path)
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"file": filepath.Join(outside, "secret"), "dir": outside, "up": "../" + filepath.Base(outside),
	} {
		if err := os.Symlink(target, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "real/k")
	if err := os.Symlink("real", filepath.Join(path, "alias")); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]backends.Kind{
		"file": backends.Corrupt, "dir/secret": backends.NotExist, "up/secret": backends.NotExist, "alias/k": backends.NotExist,
	} {
		if _, _, err := s.Get(t.Context(), backends.Ref{Key: key}, 0, -1); backends.KindOf(err) != want {
			t.Errorf("get %s: %v, want %v", key, err, want)
		}
	}
	for _, key := range []string{"dir/new", "up/new", "dir/a/b", "alias/new"} {
		if _, err := s.Put(t.Context(), key, nil); backends.KindOf(err) != backends.Invalid {
			t.Errorf("put %s: %v", key, err)
		}
	}
	if _, err := s.Put(t.Context(), "file", nil); !errors.Is(err, backends.Exists) {
		t.Errorf("put over a symbolic link: %v", err)
	}
	if got := append(keys(t, s, "dir/"), keys(t, s, "alias/")...); got != nil {
		t.Errorf("listing went through a link: %q", got)
	}
	if _, err := s.Erase(t.Context(), "dir/secret", "up/secret", "alias/k", "file"); err != nil {
		t.Error(err)
	}
	if got, want := keys(t, s, ""), []string{"real/k"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	if got := tree(t, outside); !slices.Equal(got, []string{"./", "secret"}) {
		t.Errorf("outside there is now %q", got)
	}
	// The private directory may be planted too.
	if err := os.RemoveAll(filepath.Join(path, tempDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(path, tempDir)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "k", nil); err == nil {
		t.Error("put went through a planted temporary directory")
	}
	if got := tree(t, outside); !slices.Equal(got, []string{"./", "secret"}) {
		t.Errorf("outside there is now %q", got)
	}
}
