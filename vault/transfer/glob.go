package transfer

import (
	"fmt"
	"path"
	"strings"
)

// globs selects paths. A pattern is matched segment by segment with path.Match,
// and ** stands for any number of segments. It selects what it matches and all
// below that; without a slash, other than at its ends, it may begin at any depth.
type globs [][]string

// compileGlobs checks patterns and splits them.
func compileGlobs(patterns []string) (globs, error) {
	out := make(globs, 0, len(patterns))
	for _, p := range patterns {
		rest, anchored := strings.CutPrefix(p, "/")
		rest = strings.TrimSuffix(rest, "/")
		segments := strings.Split(rest, "/")
		if len(segments) == 1 && !anchored {
			segments = []string{"**", rest}
		}
		for _, s := range segments {
			if _, err := path.Match(s, ""); err != nil || s == "" || s == "." || s == ".." {
				return nil, fmt.Errorf("pattern %q: %w", p, path.ErrBadPattern)
			}
		}
		out = append(out, segments)
	}
	return out, nil
}

// match reports whether any pattern selects p.
func (g globs) match(p string) bool {
	if len(g) == 0 {
		return false
	}
	segments := strings.Split(p, "/")
	for _, pattern := range g {
		if matchGlob(pattern, segments) {
			return true
		}
	}
	return false
}

// matchGlob matches a pattern with the beginning of a path. Where it fails it
// lets the last ** take one segment more: no earlier one need be looked at again.
func matchGlob(pattern, segments []string) bool {
	p, s := 0, 0
	star, mark := -1, 0
	for p < len(pattern) {
		if pattern[p] == "**" {
			star, mark = p, s
			p++
			continue
		}
		if s < len(segments) {
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

// mayMatch reports whether any pattern can select a path from first to last ("":
// no end).
func (g globs) mayMatch(first, last string) bool {
	for _, pattern := range g {
		prefix := literal(pattern)
		// It selects only prefix and what lies below: what sorts before prefix+"0", as '0' follows '/'.
		if prefix == "" || (last == "" || prefix <= last) && first < prefix+"0" {
			return true
		}
	}
	return false
}

// literal returns the segments of a pattern before the first that is no plain name.
func literal(pattern []string) string {
	n := 0
	for n < len(pattern) && !strings.ContainsAny(pattern[n], `*?[\`) {
		n++
	}
	return strings.Join(pattern[:n], "/")
}
