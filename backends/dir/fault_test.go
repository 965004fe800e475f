package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
)

func linkError(err error) error { return &os.LinkError{Op: "linkat", Old: "t", New: "k", Err: err} }

// What the link answers, and whether it did it, decides what Put says.
func TestPutWhenLinkFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		linked bool // although it said that it failed
		kind   backends.Kind
	}{
		{"lost answer on NFS, repeated", linkError(fs.ErrExist), true, 0},
		{"lost answer", linkError(syscall.EIO), true, 0},
		{"no answer", linkError(syscall.EIO), false, backends.Indeterminate},
		{"unheard of", errors.New("what?"), false, backends.Indeterminate},
		{"not permitted", linkError(fs.ErrPermission), false, backends.Denied},
	} {
		s := open(t, t.TempDir())
		link := s.link
		s.link = func(oldname, newname string) error {
			if c.linked {
				if err := link(oldname, newname); err != nil {
					t.Error(err)
				}
			}
			return c.err
		}
		_, err := s.Put(t.Context(), "a/k", []byte("x"))
		if backends.KindOf(err) != c.kind || (err == nil) != (c.kind == 0) {
			t.Errorf("%s: %v, want kind %v", c.name, err, c.kind)
		}
		if got := keys(t, s, ""); (len(got) == 1) != c.linked {
			t.Errorf("%s: keys %q", c.name, got)
		}
		if temps, err := s.temps(); err != nil || len(temps) > 0 {
			t.Errorf("%s: %d temporary files left, %v", c.name, len(temps), err)
		}
	}
}

// An erase of the last key of a directory may remove it under a writer.
func TestPutWhenDirectoryIsRemoved(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	link, times := s.link, 0
	s.link = func(oldname, newname string) error {
		if times++; times < 4 {
			if err := os.RemoveAll(filepath.Join(path, "a")); err != nil {
				t.Error(err)
			}
		}
		return link(oldname, newname)
	}
	put(t, s, "a/b/k")
	if got := read(t, s, "a/b/k"); got != "a/b/k" || times != 4 {
		t.Errorf("read %q after %d links", got, times)
	}
	s.link = func(oldname, newname string) error {
		if err := os.RemoveAll(filepath.Join(path, "a")); err != nil {
			t.Error(err)
		}
		return link(oldname, newname)
	}
	if _, err := s.Put(t.Context(), "a/b/l", nil); !errors.Is(err, backends.Unavailable) {
		t.Errorf("put into a directory that never stays: %v", err)
	}
}

// A writer that was taken for dead finds that out and has stored nothing.
func TestPutWhenSwept(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	link := s.link
	s.link = func(oldname, newname string) error {
		old := time.Now().Add(-2 * staleAfter)
		if err := os.Chtimes(filepath.Join(path, oldname), old, old); err != nil {
			t.Error(err)
		}
		open(t, path)
		return link(oldname, newname)
	}
	if _, err := s.Put(t.Context(), "a/k", nil); !errors.Is(err, backends.Unavailable) {
		t.Errorf("put whose temporary file was swept: %v", err)
	}
	if got := keys(t, s, ""); got != nil {
		t.Errorf("keys %q", got)
	}
}

func TestSweep(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	put(t, s, "k")
	temp := func(name string, age time.Duration) {
		p := filepath.Join(path, tempDir, name)
		if err := os.WriteFile(p, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(p, at, at); err != nil {
			t.Fatal(err)
		}
	}
	temp("young", staleAfter-time.Hour)
	temp("old", staleAfter+time.Hour)
	temp("future", -time.Hour)
	linked := filepath.Join(path, tempDir, "linked")
	if err := os.Link(filepath.Join(path, "k"), linked); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * staleAfter)
	if err := os.Chtimes(linked, old, old); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	want := []string{"./", tempDir + "/", tempDir + "/future", tempDir + "/young", "k"}
	if got := tree(t, path); !slices.Equal(got, want) {
		t.Errorf("after a sweep %q, want %q", got, want)
	}
	if got := read(t, s, "k"); got != "k" {
		t.Errorf("the object behind a second name became %q", got)
	}
}

func TestPutWhenSyncFails(t *testing.T) {
	s := open(t, t.TempDir())
	failing := ""
	s.fsync = func(f *os.File) error {
		if fi, err := f.Stat(); err != nil || fi.IsDir() == (failing == "directory") {
			return &fs.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO}
		}
		return nil
	}
	failing = "file"
	if _, err := s.Put(t.Context(), "k", []byte("x")); !errors.Is(err, backends.Unavailable) {
		t.Errorf("put whose file could not be synced: %v", err)
	}
	if got := keys(t, s, ""); got != nil {
		t.Errorf("keys %q", got)
	}
	if !syncsDirectories {
		return
	}
	failing = "directory"
	if _, err := s.Put(t.Context(), "k", []byte("x")); !errors.Is(err, backends.Indeterminate) {
		t.Errorf("put whose directory could not be synced: %v", err)
	}
	if _, err := s.Put(t.Context(), "k", []byte("x")); !errors.Is(err, backends.Unavailable) {
		t.Errorf("put over what may not last: %v", err)
	}
	if _, err := s.Erase(t.Context(), "k"); !errors.Is(err, backends.Indeterminate) {
		t.Errorf("erase whose directory could not be synced: %v", err)
	}
}

func TestCancelWhileWriting(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	s.fsync = func(*os.File) error { cancel(); return nil }
	if _, err := s.Put(ctx, "k", []byte("x")); !errors.Is(err, backends.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("put cancelled before its link: %v", err)
	}
	// Ends at the first slice, before any sync.
	s.fsync = func(*os.File) error { t.Error("synced"); return nil }
	ctx = &endsAfter{Context: t.Context(), looks: 1}
	if _, err := s.Put(ctx, "k", make([]byte, 3*writeSlice)); !errors.Is(err, backends.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("put cancelled while writing: %v", err)
	}
	if got := keys(t, s, ""); got != nil {
		t.Errorf("keys %q", got)
	}
}

// endsAfter is a context that is cancelled after a number of looks at it.
type endsAfter struct {
	context.Context
	looks int
}

func (e *endsAfter) Err() error {
	if e.looks--; e.looks < 0 {
		return context.Canceled
	}
	return nil
}

// Every directory that may not have reached the disk is synced, from the object
// upwards, and one that has is not synced again.
func TestSyncsDirectories(t *testing.T) {
	if !syncsDirectories {
		return
	}
	path := t.TempDir()
	s, other := open(t, path), open(t, path)
	var mu sync.Mutex
	var synced []string
	s.fsync = func(f *os.File) error {
		mu.Lock()
		defer mu.Unlock()
		rel, err := filepath.Rel(path, f.Name())
		if err != nil {
			return err
		}
		if fi, err := f.Stat(); err != nil || fi.IsDir() {
			synced = append(synced, filepath.ToSlash(rel))
		} else {
			synced = append(synced, "file")
		}
		return f.Sync()
	}
	for _, step := range []struct {
		what string
		do   func() error
		want []string
	}{
		{"first put", func() error { _, err := s.Put(t.Context(), "a/b/k", nil); return err }, []string{"file", "a/b", "a", "."}},
		{"second put", func() error { _, err := s.Put(t.Context(), "a/b/l", nil); return err }, []string{"file", "a/b"}},
		{"put beside", func() error { _, err := s.Put(t.Context(), "a/m", nil); return err }, []string{"file", "a"}},
		{"new branch", func() error { _, err := s.Put(t.Context(), "a/c/k", nil); return err }, []string{"file", "a/c", "a"}},
		{"at the top", func() error { _, err := s.Put(t.Context(), "k", nil); return err }, []string{"file", "."}},
		{"refused put", func() error { s.Put(t.Context(), "a/b/k", nil); return nil }, []string{"a/b"}},
		{"erase", func() error { _, err := s.Erase(t.Context(), "a/b/k", "a/b/l", "a/c/k"); return err }, []string{"a"}},
		{"erased by another process", func() error { _, err := other.Erase(t.Context(), "a/m"); return err }, nil},
		{"made again by another", func() error { _, err := other.Put(t.Context(), "a/n", nil); return err }, nil},
		{"put into what is new", func() error { _, err := s.Put(t.Context(), "a/o", nil); return err }, []string{"file", "a", "."}},
		{"erase at the top", func() error { _, err := s.Erase(t.Context(), "a/n", "a/o", "k", "absent/k"); return err }, []string{"."}},
	} {
		synced = nil
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if !slices.Equal(synced, step.want) {
			t.Errorf("%s: synced %q, want %q", step.what, synced, step.want)
		}
	}
}

func TestHoldsFewDirectoriesOpen(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 3 * maxHeld {
		put(t, s, fmt.Sprintf("d%d/k", i))
		if n := len(s.known.dirs); n > maxHeld {
			t.Fatalf("%d directories held open, want at most %d", n, maxHeld)
		}
	}
}

// Writers, readers and erasers at once: the directories they share come and go.
func TestPutsAndErasesAtOnce(t *testing.T) {
	path := t.TempDir()
	var wg sync.WaitGroup
	for w := range 6 {
		s := open(t, path)
		wg.Go(func() {
			key := fmt.Sprintf("a/b/k%d", w)
			body := bytes.Repeat([]byte{byte(w)}, 1000)
			for range 60 {
				if _, err := s.Put(t.Context(), key, body); err != nil {
					t.Error(err)
				}
				if got := read(t, s, key); got != string(body) {
					t.Errorf("read %d bytes", len(got))
				}
				for in, err := range s.List(t.Context(), "", backends.ListOptions{}) {
					if err != nil || in.Size != int64(len(body)) {
						t.Errorf("list: %+v, %v", in, err)
					}
				}
				if _, err := s.Erase(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := tree(t, path), []string{"./", tempDir + "/"}; !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
}

func TestKindOf(t *testing.T) {
	for err, want := range map[error]backends.Kind{
		fs.ErrNotExist: backends.NotExist, fs.ErrPermission: backends.Denied, syscall.EACCES: backends.Denied, errors.New("x"): backends.Unavailable,
		fmt.Errorf("x: %w", backends.Invalid): backends.Invalid, context.Canceled: backends.Unavailable, syscall.EMFILE: backends.Unavailable,
	} {
		if got := kindOf(&fs.PathError{Op: "open", Path: "k", Err: err}); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

func TestProbe(t *testing.T) {
	path := t.TempDir()
	s, err := Open(path, func() time.Time { return time.Now().Add(-time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Probe(t.Context())
	if err != nil || len(c.Refusals()) > 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	if c.ClockSkew.Round(time.Minute) != time.Hour {
		t.Errorf("clock skew %v, want an hour", c.ClockSkew)
	}
	if c.Versioned || c.Locked || c.SoftDelete || len(c.Notes) == 0 {
		t.Errorf("%+v", c)
	}

	s.link = func(string, string) error { return linkError(fs.ErrPermission) }
	if _, err := s.Probe(t.Context()); backends.KindOf(err) != backends.Invalid || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("probe of a file system without links: %v", err)
	}
	if temps, err := s.temps(); err != nil || len(temps) > 0 {
		t.Errorf("temporary files left: %d, %v", len(temps), err)
	}
}
