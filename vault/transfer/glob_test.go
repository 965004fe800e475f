package transfer

import (
	"errors"
	"path"
	"strings"
	"testing"
)

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no string
	}{
		{"*.tmp", "a.tmp b/a.tmp b/c/a.tmp a.tmp/below", "a.tmp2 tmp"},
		{"cache", "cache cache/x a/cache/b", "caches a/xcache"},
		{"/cache", "cache cache/x", "a/cache"},
		{"a/*.bin", "a/x.bin a/x.bin/below", "a/b/x.bin b/a/x.bin x.bin"},
		{"a/**/*.bin", "a/x.bin a/b/x.bin a/b/c/x.bin", "b/a/x.bin"},
		{"**/x/**/y", "x/y a/x/y a/x/b/y/z", "x y x/z"},
		{"a/**", "a a/b a/b/c", "b ab"},
		{"**", "a a/b", ""},
		{"a/", "a a/b b/a", "ab"},
		{"a/b/", "a/b a/b/c", "a b/a/b"},
		{"[ab]?", "ax bx c/ay", "cx a"},
		{"a/**/b/**/c", "a/b/c a/b/b/c a/x/b/x/c a/b/x/b/x/c/x", "a/c b/c a/b"},
	} {
		g, err := compileGlobs([]string{c.pattern})
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, p := range strings.Fields(c.yes) {
			if !g.match(p) || !g.mayMatch(p, p) || !g.mayMatch("", p+"~") || !g.mayMatch(p, "") || !g.mayMatch("", "") {
				t.Errorf("%s does not match %s", c.pattern, p)
			}
		}
		for _, p := range strings.Fields(c.no) {
			if g.match(p) {
				t.Errorf("%s matches %s", c.pattern, p)
			}
		}
	}
	for _, bad := range []string{"", "/", "a//b", "[", "a/[", "../x", "./x", "a/.."} {
		if _, err := compileGlobs([]string{bad}); !errors.Is(err, path.ErrBadPattern) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A long path and a pattern with many ** must not take for ever.
func TestGlobsDoNotBlowUp(t *testing.T) {
	g, err := compileGlobs([]string{strings.Repeat("**/a/", 200) + "b"})
	if err != nil {
		t.Fatal(err)
	}
	if g.match(strings.TrimSuffix(strings.Repeat("a/", 2000), "/")) {
		t.Error("matches")
	}
}

func TestMayMatchPassesOverOtherParts(t *testing.T) {
	g, err := compileGlobs([]string{"m/n/*.bin"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		first, last string
		want        bool
	}{
		{"a", "b", false}, {"a", "m", false}, {"a", "m/n", true}, {"a", "m/n/a", true}, {"m/n/b", "z", true}, {"m/n0", "z", false}, {"n", "", false}, {"a", "", true},
	} {
		if got := g.mayMatch(c.first, c.last); got != c.want {
			t.Errorf("from %s to %s: %v", c.first, c.last, got)
		}
	}
}

func FuzzGlobs(f *testing.F) {
	f.Add("a/**/b*", "a/x/bc")
	f.Add("*.tmp", "x/y.tmp")
	f.Fuzz(func(t *testing.T, pattern, p string) {
		g, err := compileGlobs([]string{pattern})
		if err != nil || len(pattern) > 200 || len(p) > 200 {
			return
		}
		if g.match(p) && (!g.mayMatch(p, p) || !g.mayMatch("", "")) {
			t.Errorf("%q selects %q, but its part would be passed over", pattern, p)
		}
	})
}
