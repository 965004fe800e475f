package lineage

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// hostile is text that a careless writer would run into.
const hostile = "a\"];b\\n</text><script>alert(1)</script>&\x01\n--"

// TestPicturesEscape: what is drawn is text, whatever it says.
func TestPicturesEscape(t *testing.T) {
	p := Picture{Title: hostile, Boxes: []Box{{Name: hostile, Notes: []string{hostile}, Style: Bad}, {Name: "b"}}, Lines: []Line{{0, 1, hostile}}}
	var svg, dot bytes.Buffer
	if err := errors.Join(p.SVG(&svg), p.DOT(&dot)); err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{}
	for d := xml.NewDecoder(&svg); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" {
					t.Errorf("<%s %s>", e.Name.Local, a.Name.Local)
				}
			}
		}
	}
	if fmt.Sprint(elements) != "map[g:2 path:1 rect:2 style:1 svg:1 text:4 title:3]" {
		t.Errorf("%v", elements)
	}
	if lines := strings.Split(strings.TrimSpace(dot.String()), "\n"); len(lines) != 7 || !strings.HasSuffix(lines[0], "{") {
		t.Errorf("%d lines:\n%s", len(lines), dot.String())
	}
	for line := range strings.Lines(dot.String()) {
		if n := strings.Count(strings.ReplaceAll(strings.ReplaceAll(line, `\\`, ""), `\"`, ""), `"`); n%2 != 0 {
			t.Errorf("an open quote: %s", line)
		}
	}
}

// TestLayers: every box stands once, right of what it came of unless they are in
// a circle.
func TestLayers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "boxes")
		p := Picture{Boxes: make([]Box, n)}
		circles := rapid.Bool().Draw(t, "circles")
		for range rapid.IntRange(0, 20).Draw(t, "lines") {
			from, to := rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(0, n-1).Draw(t, "to")
			if circles || from < to {
				p.Lines = append(p.Lines, Line{From: from, To: to})
			}
		}
		depth := map[int]int{}
		for d, row := range p.layers() {
			for _, i := range row {
				if _, twice := depth[i]; twice {
					t.Fatalf("box %d stands twice", i)
				}
				depth[i] = d
			}
		}
		if len(depth) != n {
			t.Fatalf("%d boxes of %d", len(depth), n)
		}
		if !circles && slices.ContainsFunc(p.Lines, func(l Line) bool { return depth[l.From] >= depth[l.To] }) {
			t.Fatal("a line leads back")
		}
		if err := errors.Join(p.SVG(io.Discard), p.DOT(io.Discard)); err != nil {
			t.Fatal(err)
		}
	})
}
