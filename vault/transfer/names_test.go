package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the file system of this test, which tells all names apart, can have, and
// what it cannot.
func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		paths []string
		pairs int
		bad   bool
	}{
		"plain":         {[]string{"a", "b", "dir/a", "dir/b"}, 0, false},
		"case":          {[]string{"A", "a"}, 1, false},
		"directories":   {[]string{"Dir/x", "dir/x", "dir/y"}, 1, false},
		"far apart":     {[]string{"README", "b/c/d", "b/c/e", "readme"}, 1, false},
		"unicode":       {[]string{"caf\u0065\u0301", "caf\u00e9"}, 1, false},
		"sharp s":       {[]string{"STRASSE", "stra\u00dfe"}, 1, false},
		"not UTF-8":     {[]string{"\xff\xfe", "\xff\xff"}, 0, false},
		"for Windows":   {[]string{"a:b", "con", "dot.", "quote\"", "space "}, 0, false},
		"longest":       {[]string{strings.Repeat("x", 255)}, 0, false},
		"too long":      {[]string{strings.Repeat("x", 256)}, 0, true},
		"too long, far": {[]string{"a/b/" + strings.Repeat("\u00e9", 128) + "/c"}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			var n names
			for _, p := range c.paths {
				if err := n.add(p); err != nil {
					t.Fatal(err)
				}
			}
			if len(n.pairs) != c.pairs {
				t.Errorf("%q may be one", n.pairs)
			}
			d := stagedDestination(t)
			if err := n.check(d); errors.Is(err, ErrName) != c.bad || (err != nil) != c.bad {
				t.Errorf("%v", err)
			}
			if left, err := d.names(d.staging); err != nil || len(left) > 0 {
				t.Errorf("%q, %v", left, err)
			}
		})
	}
}

// A file system that takes two names for one, as far as a hard link makes one.
func TestNamesThatAreOne(t *testing.T) {
	d := stagedDestination(t)
	n := names{pairs: [][2]string{{"dir/same", "other/same"}}}
	if err := n.check(d); !errors.Is(err, ErrName) || !strings.Contains(err.Error(), `"dir/same" and "other/same"`) {
		t.Errorf("%v", err)
	}
}

func stagedDestination(t *testing.T) *destination {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := newDestination("dest", root)
	if err := d.stage(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.close(nil); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Every way to write: around the page cache, its ends through it, all through it.
func TestWrite(t *testing.T) {
	const size = 8 << 20
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	for name, cuts := range map[string][]int64{
		"in blocks":   {0, 4 << 20, size},
		"not":         {0, 1, 3<<20 + 5, 6 << 20, size},
		"with an end": {0, 5<<20 - 4095, size - 17},
		"small":       {0, 100, 5000, 2 << 20},
	} {
		for _, into := range []int64{0, 1, 4095} { // how far off memory lies
			d := stagedDestination(t)
			temp := d.temporary()
			if err := try(d, d.staging, filepath.Base(temp)); err != nil {
				t.Fatal(err)
			}
			for i := range cuts[1:] {
				at, end := cuts[i], cuts[i+1]
				buf := aligned(size + block)
				from := (at%block + into) % block
				data := append(buf[:from], content[at:end]...)[from:]
				f, err := d.write(temp, data, at, size)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			last := cuts[len(cuts)-1]
			got, err := d.root.ReadFile(temp)
			if err != nil || string(got) != string(content[:last]) {
				t.Errorf("%s, %d bytes off: %d bytes are not what was written: %v", name, into, len(got), err)
			}
		}
	}
}
