//go:build linux || darwin

package transfer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault/transfer"
)

// versions is a vault with two versions of an artefact, and where they are pulled to.
type versions struct {
	*vault
	v1, v2       transfer.Source
	tree1, tree2 string
	dest         string // in a directory of its own, absent
}

func twoVersions(t *testing.T) *versions {
	v := &versions{vault: newVault(t), dest: filepath.Join(t.TempDir(), "dest")}
	v.tree1 = tree(t, map[string]string{"kept": cheap(1, 300_000), "*run": "1", "changed": "one", "gone": "1", "none/": "", "dir/x": "x", "below": "file", "large": cheap(2, 5*mib)})
	v.tree2 = tree(t, map[string]string{"kept": cheap(1, 300_000), "*run": "1", "changed": "two", "dir/x": "x", "below/y": "y", "new": "1", "moved": cheap(2, 5*mib)})
	v.v1, _ = v.push(v.tree1, nil)
	v.v2, _ = v.push(v.tree2, nil)
	return v
}

// beside lists what stands beside the destination, the record aside.
func (v *versions) beside() (names []string) {
	v.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(v.dest))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(v.dest) && !strings.HasPrefix(e.Name(), ".aivault-record-") {
			names = append(names, e.Name())
		}
	}
	return names
}

func (v *versions) clean() {
	v.t.Helper()
	if names := v.beside(); len(names) > 0 {
		v.t.Errorf("%q were left", names)
	}
}

func inode(t *testing.T, name string) os.FileInfo {
	t.Helper()
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return fi
}

func TestSwap(t *testing.T) {
	v := twoVersions(t)
	first := mustPull(t, v.v1, v.dest, transfer.PullOptions{})
	if first.Swapped || !first.Changed {
		t.Errorf("%+v", first)
	}
	if err := os.Chmod(v.dest, 0o750); err != nil {
		t.Fatal(err)
	}
	before := inode(t, v.dest)
	done := mustPull(t, v.v2, v.dest, transfer.PullOptions{})
	if !done.Swapped || !done.Changed || done.KeptFiles != 3 || done.Reused != 5*mib+1 || done.Fetched > 400_000 {
		t.Errorf("%+v", done)
	}
	sameContents(t, v.dest, v.tree2)
	v.clean()
	if after := inode(t, v.dest); os.SameFile(before, after) || after.Mode() != before.Mode() {
		t.Errorf("the directory was changed in place, or is %v", after.Mode())
	}
	again := mustPull(t, v.v2, v.dest, transfer.PullOptions{})
	if again.Swapped || again.Changed || again.KeptFiles != again.Files {
		t.Errorf("again: %+v", again)
	}
	if back := mustPull(t, v.v1, v.dest, transfer.PullOptions{}); !back.Swapped {
		t.Errorf("back: %+v", back)
	}
	sameContents(t, v.dest, v.tree1)
}

// What a pull may replace in a directory, and what it must not.
func TestSwapSparesWhatNoPullHasPut(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dest string)
		named  string // in the refusal; "": there is none
	}{
		"nothing":              {func(*testing.T, string) {}, ""},
		"a file was removed":   {func(t *testing.T, d string) { remove(t, d+"/gone") }, ""},
		"touched":              {func(t *testing.T, d string) { write(t, d+"/gone", []byte("1")) }, ""},
		"an empty directory":   {func(t *testing.T, d string) { mkdir(t, d+"/theirs") }, ""},
		"a foreign file":       {func(t *testing.T, d string) { write(t, d+"/dir/theirs", []byte("1")) }, `"dir/theirs"`},
		"a changed file":       {func(t *testing.T, d string) { write(t, d+"/changed", []byte("own")) }, `"changed"`},
		"a changed kept file":  {func(t *testing.T, d string) { write(t, d+"/kept", []byte("own")) }, `"kept"`},
		"a foreign link":       {func(t *testing.T, d string) { symlink(t, "/", d+"/link") }, `"link"`},
		"a file became a link": {func(t *testing.T, d string) { remove(t, d+"/gone"); symlink(t, "kept", d+"/gone") }, `"gone"`},
		"the new version's":    {func(t *testing.T, d string) { write(t, d+"/new", []byte("1")) }, ""},
		"in the way":           {func(t *testing.T, d string) { write(t, d+"/new/theirs", []byte("1")) }, `"new/theirs"`},
	} {
		for _, link := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				v := twoVersions(t)
				o := transfer.PullOptions{Link: link}
				mustPull(t, v.v1, v.dest, o)
				c.change(t, v.dest)
				before := contents(t, v.dest+"/.")
				_, err := pull(t.Context(), v.v2, v.dest, o)
				if c.named != "" {
					if !errors.Is(err, transfer.ErrWouldOverwrite) || !strings.Contains(err.Error(), c.named) {
						t.Fatalf("%v", err)
					}
					if after := contents(t, v.dest+"/."); !slices.Equal(before, after) {
						t.Errorf("%q became %q", before, after)
					}
					o.Force = true
					_, err = pull(t.Context(), v.v2, v.dest, o)
				}
				if err != nil {
					t.Fatal(err)
				}
				sameContents(t, v.dest+"/.", v.tree2)
				if !link {
					v.clean()
				}
			})
		}
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(name, 0o777); err != nil {
		t.Fatal(err)
	}
}

// A directory that is not what pulls of one artefact made is written in place.
func TestNoSwap(t *testing.T) {
	v := twoVersions(t)
	write(t, v.dest+"/theirs", []byte("1"))
	mustPull(t, v.v1, v.dest, transfer.PullOptions{})
	if _, err := pull(t.Context(), v.v2, v.dest, transfer.PullOptions{}); !errors.Is(err, transfer.ErrWouldOverwrite) {
		t.Errorf("a directory with other content: %v", err)
	}
	remove(t, v.dest+"/below")
	if done := mustPull(t, v.v2, v.dest, transfer.PullOptions{Force: true}); done.Swapped {
		t.Errorf("%+v", done)
	}
	for _, name := range []string{"theirs", "gone", "new"} {
		inode(t, filepath.Join(v.dest, name))
	}
	other := newVault(t)
	other.aid[0]++
	s, _ := other.push(tree(t, map[string]string{"tokens": "1"}), nil)
	v = twoVersions(t)
	mustPull(t, v.v1, v.dest, transfer.PullOptions{})
	if done := mustPull(t, s, v.dest, transfer.PullOptions{}); done.Swapped {
		t.Errorf("another artefact: %+v", done)
	}
	inode(t, v.dest+"/gone")
	if _, err := pull(t.Context(), v.v2, v.dest, transfer.PullOptions{}); !errors.Is(err, transfer.ErrWouldOverwrite) {
		t.Errorf("two artefacts: %v", err)
	}
	v = twoVersions(t)
	mustPull(t, v.v1, v.dest, transfer.PullOptions{})
	if done := mustPull(t, v.v2, v.dest, transfer.PullOptions{Include: []string{"new"}}); done.Swapped {
		t.Errorf("a part: %+v", done)
	}
	inode(t, v.dest+"/gone")
	if done := mustPull(t, v.v2, v.dest, transfer.PullOptions{}); !done.Swapped {
		t.Errorf("after a part: %+v", done)
	}
	sameContents(t, v.dest, v.tree2)
}

func TestLink(t *testing.T) {
	v := twoVersions(t)
	o := transfer.PullOptions{Link: true}
	if done := mustPull(t, v.v1, v.dest, o); !done.Swapped {
		t.Errorf("%+v", done)
	}
	first, err := os.Readlink(v.dest)
	if err != nil {
		t.Fatal(err)
	}
	sameContents(t, v.dest+"/.", v.tree1)
	if done := mustPull(t, v.v1, v.dest, o); done.Changed {
		t.Errorf("again: %+v", done)
	}
	// A destination that is such a link stays one.
	if done := mustPull(t, v.v2, v.dest, transfer.PullOptions{}); !done.Swapped || done.KeptFiles != 3 {
		t.Errorf("%+v", done)
	}
	second, err := os.Readlink(v.dest)
	if err != nil || first == second {
		t.Errorf("%q, %q, %v", first, second, err)
	}
	sameContents(t, v.dest+"/.", v.tree2)
	if got := v.beside(); !slices.Equal(got, []string{second}) {
		t.Errorf("beside it: %q", got)
	}
	for name, make := range map[string]func(string){
		"a directory":    func(d string) { write(t, d+"/f", nil) },
		"another's link": func(d string) { symlink(t, v.tree1, d) },
		"a file":         func(d string) { write(t, d, nil) },
	} {
		d := filepath.Join(t.TempDir(), "dest")
		make(d)
		if _, err := pull(t.Context(), v.v1, d, o); !errors.Is(err, transfer.ErrNotLink) && !errors.Is(err, transfer.ErrWouldOverwrite) {
			t.Errorf("%s: %v", name, err)
		}
		if names, err := os.ReadDir(filepath.Dir(d)); err != nil || len(names) != 1 {
			t.Errorf("%s: %v, %v", name, names, err)
		}
	}
	around := contents(t, v.tree1)
	d := filepath.Join(t.TempDir(), "dest")
	symlink(t, v.tree1, d)
	mustPull(t, v.v2, d, transfer.PullOptions{Link: true, Force: true})
	sameContents(t, d+"/.", v.tree2)
	if after := contents(t, v.tree1); !slices.Equal(around, after) {
		t.Errorf("what the link led to became %q", after)
	}
}

func TestHooks(t *testing.T) {
	refused := errors.New("not now")
	for _, link := range []bool{false, true} {
		v := twoVersions(t)
		var calls []string
		o := transfer.PullOptions{Link: link,
			Before: func(_ context.Context, s transfer.Swap) error {
				calls = append(calls, "before")
				if s.Dest != v.dest {
					t.Errorf("%+v", s)
				}
				if s.Old != "" {
					sameContents(t, s.Old+"/.", v.tree1)
					sameContents(t, s.New, v.tree2)
					sameContents(t, s.Dest+"/.", v.tree1)
				}
				return nil
			},
			After: func(_ context.Context, s transfer.Swap) error {
				calls = append(calls, "after")
				if s.Old != "" {
					sameContents(t, s.Old, v.tree1)
					sameContents(t, s.Dest+"/.", v.tree2)
				}
				return nil
			}}
		mustPull(t, v.v1, v.dest, o)
		mustPull(t, v.v1, v.dest, o)
		mustPull(t, v.v2, v.dest, o)
		if got := strings.Join(calls, " "); got != "before after before after" {
			t.Errorf("link %v: %s", link, got)
		}
		o.Before, o.After = func(context.Context, transfer.Swap) error { return refused }, nil
		if _, err := pull(t.Context(), v.v1, v.dest, o); !errors.Is(err, refused) {
			t.Errorf("before: %v", err)
		}
		sameContents(t, v.dest+"/.", v.tree2)
		o.Before, o.After = nil, o.Before
		if _, err := pull(t.Context(), v.v1, v.dest, o); !errors.Is(err, refused) {
			t.Errorf("after: %v", err)
		}
		sameContents(t, v.dest+"/.", v.tree1)
		if link {
			if got := v.beside(); len(got) != 1 {
				t.Errorf("beside it: %q", got)
			}
		} else {
			v.clean()
		}
	}
}

// A destination that is reached through a link of its owner's is exchanged where it is.
func TestSwapBehindALink(t *testing.T) {
	v := twoVersions(t)
	link := filepath.Join(t.TempDir(), "link")
	mkdir(t, v.dest)
	symlink(t, v.dest, link)
	mustPull(t, v.v1, link, transfer.PullOptions{})
	if done := mustPull(t, v.v2, link, transfer.PullOptions{}); !done.Swapped {
		t.Errorf("%+v", done)
	}
	sameContents(t, v.dest, v.tree2)
	v.clean()
}

// The working directory is not taken from under somebody.
func TestNoSwapOfTheWorkingDirectory(t *testing.T) {
	v := twoVersions(t)
	mustPull(t, v.v1, v.dest, transfer.PullOptions{})
	t.Chdir(v.dest)
	if _, err := pull(t.Context(), v.v2, ".", transfer.PullOptions{}); !errors.Is(err, transfer.ErrNoExchange) {
		t.Errorf("%v", err)
	}
	sameContents(t, v.dest, v.tree1)
}
