//go:build unix

package transfer_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault/transfer"
)

func symlink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// What a pull finds in its destination, and what it must do about it.
func TestDestinationIsNotOverwritten(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"f": "new", "sub/g": "1", "dir/": "", "*x": "2"})
	s, _ := v.push(src, nil)
	outside := tree(t, map[string]string{"kept": "precious"})
	for name, c := range map[string]struct {
		make   func(t *testing.T, dest string)
		forced bool // it is replaced by force
	}{
		"another file":          {func(t *testing.T, d string) { write(t, d+"/f", []byte("old")) }, true},
		"a longer file":         {func(t *testing.T, d string) { write(t, d+"/f", []byte("newer")) }, true},
		"a link to a file":      {func(t *testing.T, d string) { symlink(t, outside+"/kept", d+"/f") }, true},
		"a dangling link":       {func(t *testing.T, d string) { symlink(t, outside+"/absent", d+"/f") }, true},
		"a link to the same":    {func(t *testing.T, d string) { write(t, d+"/same", []byte("new")); symlink(t, "same", d+"/f") }, true},
		"a directory":           {func(t *testing.T, d string) { write(t, d+"/f/kept", nil) }, false},
		"a file above":          {func(t *testing.T, d string) { write(t, d+"/sub", []byte("old")) }, false},
		"a link above":          {func(t *testing.T, d string) { symlink(t, outside, d+"/sub") }, false},
		"a link within above":   {func(t *testing.T, d string) { write(t, d+"/other/kept", nil); symlink(t, "other", d+"/sub") }, false},
		"a dangling link above": {func(t *testing.T, d string) { symlink(t, outside+"/absent", d+"/sub") }, false},
		"no directory":          {func(t *testing.T, d string) { write(t, d+"/dir", []byte("old")) }, false},
		"a link as directory":   {func(t *testing.T, d string) { symlink(t, outside, d+"/dir") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dest := t.TempDir()
			c.make(t, dest)
			before, around := contents(t, dest), contents(t, outside)
			if _, err := pull(t.Context(), s, dest, transfer.PullOptions{}); !errors.Is(err, transfer.ErrWouldOverwrite) {
				t.Errorf("without force: %v", err)
			}
			if after := contents(t, dest); !slices.Equal(after, before) {
				t.Errorf("without force: %q became %q", before, after)
			}
			_, err := pull(t.Context(), s, dest, transfer.PullOptions{Force: true})
			if c.forced {
				if err != nil {
					t.Errorf("with force: %v", err)
				}
				for _, line := range contents(t, src) {
					if !slices.Contains(contents(t, dest), line) {
						t.Errorf("with force: there is no %s", line)
					}
				}
			} else {
				if !errors.Is(err, transfer.ErrWouldOverwrite) {
					t.Errorf("with force: %v", err)
				}
				if after := contents(t, dest); !slices.Equal(after, before) {
					t.Errorf("with force: %q became %q", before, after)
				}
			}
			if after := contents(t, outside); !slices.Equal(after, around) {
				t.Errorf("outside: %q became %q", around, after)
			}
		})
	}
}

func TestIdenticalFilesAreKept(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"f": "new", "*x": "2", "g": "3"})
	s, _ := v.push(src, nil)
	dest := tree(t, map[string]string{"*f": "new", "x": "2", "unrelated": "4"})
	before, err := os.Stat(filepath.Join(dest, "f"))
	if err != nil {
		t.Fatal(err)
	}
	done := mustPull(t, s, dest, transfer.PullOptions{})
	if done.KeptFiles != 2 || done.Files != 3 || done.KeptBytes != 4 {
		t.Errorf("%+v", done)
	}
	after, err := os.Stat(filepath.Join(dest, "f"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Error("a file that was there already was replaced")
	}
	if err := os.Remove(filepath.Join(dest, "unrelated")); err != nil {
		t.Fatal(err)
	}
	sameContents(t, dest, src) // modes too
}

// Somebody works in the destination while a pull does.
func TestDestinationChangesMeanwhile(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"sub/f": "1", "g": cheap(1, 5*mib)})
	s, _ := v.push(src, nil)
	outside := tree(t, map[string]string{"kept": "precious"})
	around := contents(t, outside)
	for name, c := range map[string]struct {
		do   func(t *testing.T, dest string)
		want func(error) bool
	}{
		"a link above":      {func(t *testing.T, d string) { symlink(t, outside, d+"/sub") }, func(err error) bool { return err != nil }},
		"the name is taken": {func(t *testing.T, d string) { write(t, d+"/sub/f", []byte("theirs")) }, func(err error) bool { return errors.Is(err, transfer.ErrWouldOverwrite) }},
		"a link by name": {func(t *testing.T, d string) {
			if err := os.Mkdir(d+"/sub", 0o777); err != nil {
				t.Fatal(err)
			}
			symlink(t, outside+"/kept", d+"/sub/f")
		}, func(err error) bool { return errors.Is(err, transfer.ErrWouldOverwrite) }},
	} {
		for _, force := range []bool{false, true} {
			dest := t.TempDir()
			opened, err := transfer.Open(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			// The plan is made once the parts were read: act on the first chunk after them.
			opened.Store = partsThen{v.mem, new(atomic.Int64), int64(len(opened.Root.Parts)), func() { c.do(t, dest) }}
			_, err = opened.Pull(t.Context(), dest, transfer.PullOptions{Force: force})
			if !c.want(err) {
				t.Errorf("%s, force=%v: %v", name, force, err)
			}
			if after := contents(t, outside); !slices.Equal(after, around) {
				t.Errorf("%s: outside: %q became %q", name, around, after)
			}
			if b, err := os.ReadFile(dest + "/sub/f"); name == "the name is taken" && (err != nil || string(b) != "theirs") {
				t.Errorf("%s: %q, %v", name, b, err)
			}
			for _, line := range contents(t, dest) {
				if strings.Contains(line, "partial") {
					t.Errorf("%s: left %s", name, line)
				}
			}
		}
	}
}

// partsThen acts before the first get of a chunk after so many parts.
type partsThen struct {
	backends.Store
	seen  *atomic.Int64
	parts int64
	do    func()
}

func (h partsThen) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if strings.Contains(ref.Key, "/c/") {
		if h.seen.Add(1) == h.parts+1 {
			h.do()
		}
	}
	return h.Store.Get(ctx, ref, off, n)
}

func TestDestinationThatIsNoDirectory(t *testing.T) {
	v := newVault(t)
	s, _ := v.push(tree(t, map[string]string{"f": "1"}), nil)
	dest := filepath.Join(tree(t, map[string]string{"file": "2"}), "file")
	if _, err := pull(t.Context(), s, dest, transfer.PullOptions{}); err == nil {
		t.Error("pulled into a file")
	}
}
