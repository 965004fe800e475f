package lineage

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Measures of a drawing, in pixels.
const (
	boxWidth   = 220
	lineHeight = 16
	gapX       = 150
	gapY       = 18
	margin     = 20
)

var svgStyles = map[Style]string{Plain: "plain", Bad: "bad", Doubtful: "doubtful", Lesser: "lesser", Gone: "gone"}

const svgHead = `<style>text{font:12px sans-serif}.note,.label{font-size:10px;fill:#555}.label{text-anchor:middle}rect{fill:#fff;stroke:#444}.bad rect{fill:#f4b6b0}.doubtful rect{fill:#fbe3b5}.lesser rect{fill:#dfe8f5}.gone rect{stroke-dasharray:4;fill:#eee}path{fill:none;stroke:#888}</style>
`

// SVG writes the picture, with older versions left of those that came of them. It
// stands alone, and runs nothing.
func (p *Picture) SVG(to io.Writer) error {
	w := bufio.NewWriter(to)
	layers := p.layers()
	type point struct{ x, y, height int }
	at := make([]point, len(p.Boxes))
	height := 0
	for d, row := range layers {
		y := margin
		for _, i := range row {
			h := lineHeight*(1+len(p.Boxes[i].Notes)) + 10
			at[i] = point{margin + d*(boxWidth+gapX), y, h}
			y += h + gapY
		}
		height = max(height, y)
	}
	width := 2*margin + len(layers)*(boxWidth+gapX) - gapX
	fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n<title>%s</title>\n%s", max(width, 1), max(height, 1), max(width, 1), max(height, 1), xmlText(p.Title), svgHead)
	for _, l := range p.Lines {
		a, b := at[l.From], at[l.To]
		x1, y1, x2, y2 := a.x+boxWidth, a.y+a.height/2, b.x, b.y+b.height/2
		fmt.Fprintf(w, "<path d=\"M%d %dC%d %d %d %d %d %d\"/><text class=\"label\" x=\"%d\" y=\"%d\">%s</text>\n", x1, y1, x1+gapX/2, y1, x2-gapX/2, y2, x2, y2, (x1+x2)/2, (y1+y2)/2-3, xmlText(l.Label))
	}
	for i, b := range p.Boxes {
		fmt.Fprintf(w, "<g class=\"%s\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/><text x=\"%d\" y=\"%d\">%s</text>", svgStyles[b.Style], at[i].x, at[i].y, boxWidth, at[i].height, at[i].x+8, at[i].y+lineHeight, xmlText(shortened(b.Name, 34)))
		for n, note := range b.Notes {
			fmt.Fprintf(w, "<text class=\"note\" x=\"%d\" y=\"%d\">%s</text>", at[i].x+8, at[i].y+(n+2)*lineHeight, xmlText(shortened(note, 42)))
		}
		fmt.Fprintf(w, "<title>%s</title></g>\n", xmlText(strings.Join(append([]string{b.Name}, b.Notes...), "\n")))
	}
	fmt.Fprintln(w, "</svg>")
	return w.Flush()
}

// shortened cuts the middle out of what is too long for its box.
func shortened(s string, limit int) string {
	r := []rune(s)
	if len(r) <= limit {
		return s
	}
	return string(r[:limit/2-1]) + "…" + string(r[len(r)-limit/2:])
}

// xmlText escapes text for XML. What no XML document may contain is replaced.
func xmlText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
