package transfer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The table is what git check-ignore says (git 2.39.5).
func TestIgnoreLines(t *testing.T) {
	for _, c := range []struct {
		lines   string // separated by |
		yes, no string // a path that ends in a slash is a directory's
	}{
		{"*.tmp", "a.tmp b/a.tmp b/c.tmp/", "a.tmp2 tmp"},
		{"cache", "cache cache/ a/cache", "caches a/xcache"},
		{"cache/", "cache/ a/cache/", "cache a/cache"},
		{"/cache", "cache cache/", "a/cache"},
		{"a/b", "a/b a/b/", "b/a/b a"},
		{"a/*.bin", "a/x.bin", "a/b/x.bin x.bin"},
		{"a/**", "a/b a/b/c", "a a/ b"},
		{"**/x", "x a/x a/b/x/", "xx"},
		{"a/**/b", "a/b a/x/b a/x/y/b", "b a"},
		{"*", "a b/ .x", ""},
		{"*.log|!keep.log", "a.log b/c.log", "keep.log b/keep.log"},
		{"!keep.log|*.log", "keep.log", "a"},
		{"*|!*/|!*.bin", "a.txt b/c.txt", "a.bin b/ b/c.bin"},
		{"# a|| |\\#b|\\!c", "#b !c", "a c # \\#b"},
		{"trail |kept\\ |tab\t", "trail kept\\040 tab\\011", "kept tab"},
		{"a[!b]c|[x-z]?", "aac xq", "abc wq"},
		{"crlf\r", "crlf", ""},
		{"foo/**/", "foo/x/", "foo/x foo/"},
	} {
		ig := &ignore{}
		for line := range strings.SplitSeq(c.lines, "|") {
			r, ok, err := parseRule(line)
			if err != nil {
				t.Errorf("%q: %v", line, err)
			} else if ok {
				ig.rules = append(ig.rules, r)
			}
		}
		check := func(paths string, want bool) {
			for _, p := range strings.Fields(paths) {
				p = strings.NewReplacer(`\040`, " ", `\011`, "\t").Replace(p)
				name, dir := strings.CutSuffix(p, "/")
				if ig.match(name, dir) != want {
					t.Errorf("%q: %q ignored: %v", c.lines, p, !want)
				}
			}
		}
		check(c.yes, true)
		check(c.no, false)
	}
	for _, bad := range []string{"[", "a//b", "../x", "a/./b", `\`, "!", "//", "!/"} {
		if _, _, err := parseRule(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestScanReadsIgnoreFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		".aivaultignore":     "\ufeff*.tmp\n/top\nlogs/\n!logs/never.txt\n",
		"a.tmp":              "",
		"top":                "",
		"sub/top":            "",
		"logs/never.txt":     "",
		"sub/.aivaultignore": "!b.tmp\nown/*\n!own/kept\n",
		"sub/b.tmp":          "",
		"sub/c.tmp":          "",
		"sub/own/x":          "",
		"sub/own/kept":       "",
		"own/x":              "",
		"sub/deep/b.tmp":     "",
		"sub/deep/excluded":  "",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Scan(t.Context(), []string{dir}, ScanOptions{Exclude: []string{"excluded"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range tree.sources {
		got = append(got, s.path)
	}
	want := []string{".aivaultignore", "own/x", "sub/.aivaultignore", "sub/b.tmp", "sub/deep/b.tmp", "sub/own/kept", "sub/top"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub", IgnoreFile), []byte("ok\n["), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Scan(t.Context(), []string{dir}, ScanOptions{}); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a bad pattern: %v", err)
	}
}

func FuzzIgnore(f *testing.F) {
	f.Add("**/a/**/*.[!b]", "a/b/c", true)
	f.Add("!/x/", "x", false)
	f.Fuzz(func(t *testing.T, line, path string, directory bool) {
		r, ok, err := parseRule(line)
		if err != nil || !ok {
			return
		}
		ig := &ignore{rules: []rule{r}}
		if ig.match(path, directory) && !ig.match(path, true) {
			t.Errorf("%q ignores the file %q and not the directory", line, path)
		}
		if r.include && ig.match(path, directory) {
			t.Errorf("%q ignores %q", line, path)
		}
	})
}
