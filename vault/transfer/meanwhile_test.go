//go:build linux || darwin

package transfer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aivault/aivault/vault/transfer"
)

// Somebody changes the old tree while the new one is built.
func TestSwapMeanwhile(t *testing.T) {
	outside := tree(t, map[string]string{"kept": "precious"})
	around := contents(t, outside)
	for name, c := range map[string]struct {
		before, after func(t *testing.T, d string)
	}{
		"a new file":         {before: func(t *testing.T, d string) { write(t, d+"/theirs", []byte("1")) }},
		"a changed file":     {before: func(t *testing.T, d string) { write(t, d+"/gone", []byte("own")) }},
		"a new link":         {before: func(t *testing.T, d string) { symlink(t, outside, d+"/link") }},
		"replaced":           {before: func(t *testing.T, d string) { rename(t, d, d+"-theirs"); mkdir(t, d) }},
		"replaced by a link": {before: func(t *testing.T, d string) { rename(t, d, d+"-theirs"); symlink(t, outside, d) }},
		"in the old tree":    {after: func(t *testing.T, d string) { write(t, d+"/theirs", []byte("1")) }},
	} {
		t.Run(name, func(t *testing.T) {
			v := twoVersions(t)
			mustPull(t, v.v1, v.dest, transfer.PullOptions{})
			var o transfer.PullOptions
			if c.before != nil {
				o.Before = func(_ context.Context, s transfer.Swap) error { c.before(t, s.Dest); return nil }
			} else {
				o.After = func(_ context.Context, s transfer.Swap) error { c.after(t, s.Old); return nil }
			}
			_, err := pull(t.Context(), v.v2, v.dest, o)
			if !errors.Is(err, transfer.ErrChanged) {
				t.Fatalf("%v", err)
			}
			if c.after != nil {
				sameContents(t, v.dest, v.tree2)
				if names := v.beside(); len(names) != 1 || !strings.HasPrefix(names[0], "dest.replaced-") {
					t.Errorf("%q were left", names)
				}
			} else if _, err := os.Stat(v.dest + "/new"); err == nil {
				t.Error("it was exchanged all the same")
			}
			if after := contents(t, outside); !slices.Equal(after, around) {
				t.Errorf("outside: %q became %q", around, after)
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// Pulls of both versions into one place at once: each is refused or done, and what
// stands there is one of them.
func TestSwapsAtOnce(t *testing.T) {
	for _, link := range []bool{false, true} {
		v := twoVersions(t)
		o := transfer.PullOptions{Link: link}
		mustPull(t, v.v1, v.dest, o)
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				s := []transfer.Source{v.v1, v.v2}[i%2]
				if _, err := pull(t.Context(), s, v.dest, o); err != nil {
					t.Logf("link %v: %v", link, err)
				}
			})
		}
		all.Wait()
		want := v.tree1
		if _, err := os.Stat(v.dest + "/new"); err == nil {
			want = v.tree2
		}
		sameContents(t, v.dest+"/.", want)
		mustPull(t, v.v2, v.dest, o)
		sameContents(t, v.dest+"/.", v.tree2)
		names := v.beside()
		if link {
			names = slices.DeleteFunc(names, func(n string) bool { target, _ := os.Readlink(v.dest); return n == target })
		}
		if len(names) > 0 {
			t.Errorf("link %v: %q were left", link, names)
		}
	}
}

// The tree that a link leads to is gone.
func TestLinkThatLeadsNowhere(t *testing.T) {
	v := twoVersions(t)
	mustPull(t, v.v1, v.dest, transfer.PullOptions{Link: true})
	target, err := os.Readlink(v.dest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(filepath.Dir(v.dest), target)); err != nil {
		t.Fatal(err)
	}
	mustPull(t, v.v1, v.dest, transfer.PullOptions{})
	sameContents(t, v.dest+"/.", v.tree1)
}

// Records are no content.
func TestPushPassesOverRecords(t *testing.T) {
	v := twoVersions(t)
	mustPull(t, v.v1, v.dest, transfer.PullOptions{})
	tree := scan(t, filepath.Dir(v.dest))
	if tree.Files != scan(t, v.tree1).Files {
		t.Errorf("%d files are to be pushed", tree.Files)
	}
}
