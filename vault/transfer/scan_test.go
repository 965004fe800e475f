//go:build unix

package transfer_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aivault/aivault/vault/transfer"
)

// paths pulls a tree and lists what came out.
func paths(t *testing.T, tree *transfer.Tree) []string {
	t.Helper()
	v := newVault(t)
	p, id := v.newPush()
	done, err := p.Run(t.Context(), tree, nil)
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	mustPull(t, v.source(p, done, id), dest, transfer.PullOptions{})
	var out []string
	for _, line := range contents(t, dest) {
		if path, kind, _ := strings.Cut(line, "\" "); !strings.HasPrefix(kind, "d") {
			out = append(out, path[1:])
		}
	}
	return out
}

func TestScanNamesWhatItIsGiven(t *testing.T) {
	dir := tree(t, map[string]string{"m/w.bin": "1", "m/sub/c.json": "2", "n/w.bin": "3", "single": "4"})
	in := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, filepath.Join(dir, n))
		}
		return out
	}
	if err := os.Symlink("m", filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		paths, exclude []string
		want           string
	}{
		{in("m"), nil, "sub/c.json w.bin"},
		{in("single"), nil, "single"},
		{in("m", "single"), nil, "m/sub/c.json m/w.bin single"},
		{in("m", "n"), []string{"w.bin"}, "m/sub/c.json"},
		{in("m", "n"), []string{"m/*.bin", "sub"}, "n/w.bin"},
		{in("current"), nil, "sub/c.json w.bin"},
		{in("current", "single"), nil, "current/sub/c.json current/w.bin single"},
		{in("m/../m/"), nil, "sub/c.json w.bin"},
	} {
		tree, err := transfer.Scan(t.Context(), c.paths, transfer.ScanOptions{Exclude: c.exclude})
		if err != nil {
			t.Errorf("%q without %q: %v", c.paths, c.exclude, err)
			continue
		}
		if got := strings.Join(paths(t, tree), " "); got != c.want {
			t.Errorf("%q without %q: %s, want %s", c.paths, c.exclude, got, c.want)
		}
	}
	for name, c := range map[string]struct{ paths, exclude []string }{
		"same name twice": {in("m/w.bin", "n/w.bin"), nil},
		"nothing":         {nil, nil},
		"all excluded":    {in("single"), []string{"single"}},
		"root and more":   {[]string{"/", dir}, nil},
	} {
		if _, err := transfer.Scan(t.Context(), c.paths, transfer.ScanOptions{Exclude: c.exclude}); !errors.Is(err, transfer.ErrSource) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := transfer.Scan(t.Context(), in("absent"), transfer.ScanOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func TestScanRefusesWhatIsNoFile(t *testing.T) {
	for name, make := range map[string]func(name string) error{
		"link to a file":      func(n string) error { return os.Symlink("a", n) },
		"link to a directory": func(n string) error { return os.Symlink(".", n) },
		"dangling link":       func(n string) error { return os.Symlink("absent", n) },
		"link outside":        func(n string) error { return os.Symlink("/etc/passwd", n) },
		"pipe":                func(n string) error { return syscall.Mkfifo(n, 0o600) },
		"socket": func(n string) error {
			l, err := net.Listen("unix", n)
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		},
		"long path": func(n string) error {
			root, err := os.OpenRoot(filepath.Dir(n))
			if err != nil {
				return err
			}
			defer root.Close()
			for range 20 {
				seg := strings.Repeat("x", 250)
				if err := root.Mkdir(seg, 0o777); err != nil {
					return err
				}
				if root, err = root.OpenRoot(seg); err != nil {
					return err
				}
				defer root.Close()
			}
			return nil
		},
		"left by a pull": func(n string) error { return os.Mkdir(filepath.Join(filepath.Dir(n), ".aivault-partial-00"), 0o777) },
		"a tree of one":  func(n string) error { return os.Mkdir(filepath.Join(filepath.Dir(n), ".aivault-next-00"), 0o777) },
	} {
		dir := tree(t, map[string]string{"a": "1"})
		if err := make(filepath.Join(dir, "it")); err != nil {
			t.Fatal(err)
		}
		_, err := transfer.Scan(t.Context(), []string{dir}, transfer.ScanOptions{})
		if !errors.Is(err, transfer.ErrSource) && name != "long path" {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if name == "long path" {
			continue
		}
		if _, err := transfer.Scan(t.Context(), []string{dir}, transfer.ScanOptions{Exclude: []string{"it", ".aivault-partial-*", ".aivault-next-*"}}); err != nil {
			t.Errorf("%s, excluded: %v", name, err)
		}
	}
}

func TestScanFollowsAHuggingFaceCache(t *testing.T) {
	dir := tree(t, map[string]string{"r/blobs/aaa": "weights", "r/blobs/bbb": "config", "r/refs/main": "x", "other/blobs/ccc": "c", "r/snapshots/1/own": "o"})
	link := func(target, name string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	link("../../blobs/aaa", "r/snapshots/1/model.bin")
	link("../../../blobs/bbb", "r/snapshots/1/sub/config.json")
	want := []string{"model.bin", "own", "sub/config.json"}
	if got := paths(t, scan(t, filepath.Join(dir, "r/snapshots/1"))); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := paths(t, scan(t, filepath.Join(dir, "r/snapshots/1/model.bin"))); !slices.Equal(got, []string{"model.bin"}) {
		t.Errorf("a file of the cache: %q", got)
	}
	for i, target := range []string{"../../../other/blobs/ccc", "../../refs/main", "../../blobs", "../../blobs/absent", filepath.Join(dir, "r/blobs/aaa"), "own", "../../blobs/../refs/main"} {
		link(target, "r/snapshots/2/bad")
		if _, err := transfer.Scan(t.Context(), []string{filepath.Join(dir, "r/snapshots/2")}, transfer.ScanOptions{}); !errors.Is(err, transfer.ErrSource) {
			t.Errorf("link %d to %s: %v", i, target, err)
		}
		if err := os.Remove(filepath.Join(dir, "r/snapshots/2/bad")); err != nil {
			t.Fatal(err)
		}
	}
	link("/etc/passwd", "r/blobs/ddd")
	link("../../blobs/ddd", "r/snapshots/3/two-links")
	if _, err := transfer.Scan(t.Context(), []string{filepath.Join(dir, "r/snapshots/3")}, transfer.ScanOptions{}); !errors.Is(err, transfer.ErrSource) {
		t.Errorf("a link to a link: %v", err)
	}
}

func TestScanFollowsAKubernetesVolume(t *testing.T) {
	dir := tree(t, map[string]string{"..2026_11_23/model.json": "1", "..2026_11_23/sub/prompt.txt": "2"})
	for name, target := range map[string]string{"..data": "..2026_11_23", "model.json": "..data/model.json", "sub": "..data/sub"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"model.json", "sub/prompt.txt"}
	if got := paths(t, scan(t, dir)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := os.Symlink("..data/../../etc", filepath.Join(dir, "bad")); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Scan(t.Context(), []string{dir}, transfer.ScanOptions{}); !errors.Is(err, transfer.ErrSource) {
		t.Errorf("another link through ..data: %v", err)
	}
}

func TestScanFollowsLinksInside(t *testing.T) {
	for name, c := range map[string]struct {
		links map[string]string // by where they stand
		paths []string
		want  string // of the paths; "": refused
		says  string
	}{
		"file":             {map[string]string{"m/link": "w.bin"}, []string{"m"}, "link sub/c.json w.bin", ""},
		"directory":        {map[string]string{"m/link": "sub"}, []string{"m"}, "link/c.json sub/c.json w.bin", ""},
		"two links":        {map[string]string{"m/one": "two", "m/two": "w.bin"}, []string{"m"}, "one sub/c.json two w.bin", ""},
		"absolute, inside": {map[string]string{"m/link": "/m/sub/c.json"}, []string{"m"}, "link sub/c.json w.bin", ""},
		"to another path":  {map[string]string{"m/link": "../n"}, []string{"m", "n"}, "m/link/x m/sub/c.json m/w.bin n/x", ""},
		"outside":          {map[string]string{"m/link": "../n/x"}, []string{"m"}, "", "outside of what is pushed"},
		"root":             {map[string]string{"m/link": "/"}, []string{"m"}, "", "outside"},
		"sibling, prefix":  {map[string]string{"m/link": "../m2/x"}, []string{"m"}, "", "outside"},
		"dangling":         {map[string]string{"m/link": "absent"}, []string{"m"}, "", "leads nowhere"},
		"loop":             {map[string]string{"m/link": "link"}, []string{"m"}, "", "leads nowhere"},
		"itself":           {map[string]string{"m/sub/link": "."}, []string{"m"}, "", "link back"},
		"parent":           {map[string]string{"m/sub/link": ".."}, []string{"m"}, "", "link back"},
		"each other":       {map[string]string{"m/sub/link": "../other", "m/other/link": "../sub"}, []string{"m"}, "", "link back"},
	} {
		dir := tree(t, map[string]string{"m/w.bin": "1", "m/sub/c.json": "2", "n/x": "3", "m2/x": "4"})
		for at, to := range c.links {
			at = filepath.Join(dir, at)
			if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(to, "/m") {
				to = dir + to
			}
			if err := os.Symlink(to, at); err != nil {
				t.Fatal(err)
			}
		}
		var in []string
		for _, p := range c.paths {
			in = append(in, filepath.Join(dir, p))
		}
		if _, err := transfer.Scan(t.Context(), in, transfer.ScanOptions{}); !errors.Is(err, transfer.ErrSource) {
			t.Errorf("%s, not followed: %v", name, err)
		}
		found, err := transfer.Scan(t.Context(), in, transfer.ScanOptions{Follow: true})
		if c.want == "" {
			if !errors.Is(err, transfer.ErrSource) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(paths(t, found), " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// An empty directory is a version of no files; one of which everything is passed
// over is more likely a mistake.
func TestNothingAtAll(t *testing.T) {
	v := newVault(t)
	empty := t.TempDir()
	s, done := v.push(empty, nil)
	if done.Files != 0 || done.Directories != 0 || done.Unchanged {
		t.Errorf("%+v", done)
	}
	dest := filepath.Join(t.TempDir(), "dest")
	if pulled := mustPull(t, s, dest, transfer.PullOptions{}); pulled.Files != 0 {
		t.Errorf("%+v", pulled)
	}
	sameContents(t, dest, empty)
	if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, again := v.push(empty, v.base(s)); !again.Unchanged {
		t.Errorf("again: %+v", again)
	}
	for _, ignored := range []string{"*", "/a"} {
		dir := tree(t, map[string]string{"a": "1"})
		if _, err := transfer.Scan(t.Context(), []string{dir}, transfer.ScanOptions{Exclude: []string{ignored}}); !errors.Is(err, transfer.ErrSource) {
			t.Errorf("all but %s: %v", ignored, err)
		}
	}
}
