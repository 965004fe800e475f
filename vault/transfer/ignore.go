package transfer

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	// IgnoreFile says, in a directory that is pushed, what of it is not. It is
	// itself pushed, so that who pulls a version can push it again alike.
	IgnoreFile = ".aivaultignore"

	maxIgnoreFile = 1 << 20 // bytes
)

// ignore holds the patterns of one IgnoreFile and those of the directories above.
type ignore struct {
	above *ignore // nil: none
	dir   string  // whose file it is, in the version: "" or ending in a slash
	rules []rule
}

// rule is a line of an IgnoreFile, as gitignore(5) has it. The pattern is matched
// segment by segment with path.Match, and ** stands for any number of segments,
// at the end for one at least.
type rule struct {
	pattern   []string
	include   bool // the line begins with "!"
	directory bool // it ends in a slash: of directories alone
}

// readIgnore returns what holds in a directory whose path in the version is
// prefix, "" or ending in a slash. An unreadable pattern is refused: to leave it
// out would store what was to stay.
func readIgnore(above *ignore, dir, prefix string) (*ignore, error) {
	name := filepath.Join(dir, IgnoreFile)
	fi, err := os.Lstat(name)
	if err != nil || !fi.Mode().IsRegular() {
		return above, nil // what else it is, the scan judges
	}
	if fi.Size() > maxIgnoreFile {
		return nil, fmt.Errorf("%s: %w: it is longer than %d bytes", name, ErrSource, maxIgnoreFile)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	ig := &ignore{above: above, dir: prefix}
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	lines.Buffer(nil, maxIgnoreFile+1)
	for n := 1; lines.Scan(); n++ {
		r, ok, err := parseRule(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w: %w", name, n, ErrSource, err)
		}
		if ok {
			ig.rules = append(ig.rules, r)
		}
	}
	return ig, lines.Err()
}

// parseRule reads a line; ok is false for one that says nothing.
func parseRule(line string) (r rule, ok bool, err error) {
	line = strings.TrimSuffix(line, "\r")
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	if line == "" || line[0] == '#' {
		return r, false, nil
	}
	text := line
	text, r.include = strings.CutPrefix(text, "!")
	text, r.directory = strings.CutSuffix(text, "/")
	text, anchored := strings.CutPrefix(text, "/")
	r.pattern = strings.Split(text, "/")
	if len(r.pattern) == 1 && !anchored {
		r.pattern = []string{"**", text}
	}
	for i, s := range r.pattern {
		s = strings.ReplaceAll(s, "[!", "[^")
		if _, err := path.Match(s, ""); err != nil || s == "" || s == "." || s == ".." {
			return r, false, fmt.Errorf("pattern %q: %w", line, path.ErrBadPattern)
		}
		r.pattern[i] = s
	}
	if n := len(r.pattern); r.pattern[n-1] == "**" {
		r.pattern = append(r.pattern, "*")
	}
	return r, true, nil
}

// match reports whether an entry is ignored. The last line that matches it
// decides, of the nearest directory that has one. Below what is ignored nothing
// is looked at.
func (ig *ignore) match(p string, directory bool) bool {
	for ; ig != nil; ig = ig.above {
		segments := strings.Split(p[len(ig.dir):], "/")
		for i := len(ig.rules) - 1; i >= 0; i-- {
			if r := &ig.rules[i]; (directory || !r.directory) && matchWhole(r.pattern, segments) {
				return !r.include
			}
		}
	}
	return false
}

// matchWhole matches a pattern with all of a path, as matchGlob does with the
// beginning of one.
func matchWhole(pattern, segments []string) bool {
	p, s := 0, 0
	star, mark := -1, 0
	for p < len(pattern) || s < len(segments) {
		if p < len(pattern) && pattern[p] == "**" {
			star, mark = p, s
			p++
			continue
		}
		if p < len(pattern) && s < len(segments) {
			if ok, _ := path.Match(pattern[p], segments[s]); ok {
				p++
				s++
				continue
			}
		}
		if star < 0 || mark >= len(segments) {
			return false
		}
		mark++
		p, s = star+1, mark
	}
	return true
}
