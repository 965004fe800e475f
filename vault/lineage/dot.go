package lineage

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

var dotStyles = map[Style]string{
	Plain: "", Bad: ` style=filled fillcolor="#f4b6b0"`, Doubtful: ` style=filled fillcolor="#fbe3b5"`,
	Lesser: ` style=filled fillcolor="#dfe8f5"`, Gone: ` style=dashed fontcolor="#666666"`,
}

// DOT writes the picture in the language of Graphviz.
func (p *Picture) DOT(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "digraph %s {\n  rankdir=LR;\n  node [shape=box fontname=\"sans-serif\"];\n", dotText(p.Title))
	for i, b := range p.Boxes {
		fmt.Fprintf(w, "  n%d [label=%s%s];\n", i, dotText(strings.Join(append([]string{b.Name}, b.Notes...), "\n")), dotStyles[b.Style])
	}
	for _, l := range p.Lines {
		fmt.Fprintf(w, "  n%d -> n%d [label=%s];\n", l.From, l.To, dotText(l.Label))
	}
	fmt.Fprintln(w, "}")
	return w.Flush()
}

// dotText quotes a string. Within quotes DOT has no escapes but of the quote
// itself; labels take \n, and read \\ as one backslash.
func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", " ").Replace(s) + `"`
}
