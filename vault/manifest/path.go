package manifest

import (
	"strings"
	"unicode/utf8"
)

// CheckPath reports whether p may name an entry: 1 to MaxPath bytes, segments
// joined by '/', none of them empty, "." or "..", and no NUL. A path need not be
// valid UTF-8.
func CheckPath(p string) error {
	if p == "" || len(p) > MaxPath {
		return malformed("a path of %d bytes", len(p))
	}
	if strings.IndexByte(p, 0) >= 0 {
		return malformed("path %q holds a NUL", p)
	}
	for seg := range strings.SplitSeq(p, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return malformed("path %q has the segment %q", p, seg)
		}
	}
	return nil
}

// spell splits a path into the two members of which one spells it: text, or
// bytes if it is not valid UTF-8.
func spell(p string) (text string, bytes []byte) {
	if utf8.ValidString(p) {
		return p, nil
	}
	return "", []byte(p)
}

// unspell is the inverse of spell.
func unspell(text string, bytes []byte) (string, error) {
	if bytes == nil {
		return text, CheckPath(text)
	}
	if text != "" || utf8.Valid(bytes) {
		return "", malformed("path %q is not in its one spelling", bytes)
	}
	return string(bytes), CheckPath(string(bytes))
}

// order checks that entries follow each other as they must: paths rise, no entry
// stands below another, and pieces of a file join.
type order struct {
	prev    Entry
	end     int64 // where the last entry's extents end
	open    bool  // the last entry's file goes on
	started bool
	above   []string // of the paths seen, those that the last one starts with, shortest first
}

// resume lets a part begin within a file.
func (o *order) resume(e *Entry) {
	o.prev, o.end, o.open, o.started = *e, e.At, true, true
	o.above = append(o.above, e.Path)
}

func (o *order) next(e *Entry) error {
	end := e.End()
	if end > e.Size || end < e.Size && len(e.Extents) == 0 {
		return malformed("%q: extents from %d to %d of %d bytes", e.Path, e.At, end, e.Size)
	}
	switch {
	case o.open:
		p := &o.prev
		if e.Path != p.Path || e.Mode != p.Mode || e.Size != p.Size || e.SHA256 != p.SHA256 || e.At != o.end {
			return malformed("%q at %d does not continue %q at %d", e.Path, e.At, p.Path, o.end)
		}
	case e.At != 0:
		return malformed("%q at %d continues nothing", e.Path, e.At)
	case o.started && e.Path <= o.prev.Path:
		return malformed("%q after %q", e.Path, o.prev.Path)
	default:
		for n := len(o.above); n > 0 && !strings.HasPrefix(e.Path, o.above[n-1]); n-- {
			o.above = o.above[:n-1]
		}
		for _, p := range o.above {
			if e.Path[len(p)] == '/' {
				return malformed("%q stands below %q, which is no directory with content", e.Path, p)
			}
		}
		o.above = append(o.above, e.Path)
	}
	o.prev, o.end, o.open, o.started = *e, end, end < e.Size, true
	o.prev.Extents = nil
	return nil
}
