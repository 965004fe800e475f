package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aivault/aivault/cmd/aivault/cli/progress"
)

// output is where results go: for people, as JSON, or the reference alone. It
// remembers the first error, so that a full disk or a closed pipe becomes a
// failure of the command.
type output struct {
	w       io.Writer
	screen  *progress.Screen // may be the same terminal
	command []string         // the words of the command, for the schema
	json    bool
	quiet   bool
	err     error
}

func (o *output) Write(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	o.screen.Clear()
	n, err := o.w.Write(b)
	if err != nil {
		o.err = fmt.Errorf("writing the result: %w", err)
	}
	return n, o.err
}

func (o *output) failed() error { return o.err }

// schema is what "schema" says in the JSON of this command.
func (o *output) schema() string { return "aivault." + strings.Join(o.command, "-") + "/1" }

// result prints the result of a command in the one form that was asked for.
// object is a struct whose first field is Schema; reference is what --quiet
// prints; people writes it for people, into memory.
func (o *output) result(object any, reference string, people func(w io.Writer)) error {
	var b bytes.Buffer
	switch {
	case o.json:
		if err := encode(&b, object); err != nil {
			return err
		}
	case o.quiet:
		fmt.Fprintln(&b, printable(reference))
	default:
		people(&b)
	}
	_, err := o.Write(b.Bytes())
	return err
}

// note tells people something beside a result, on stderr. Call it after the
// result is printed.
func (r *run) note(format string, a ...any) {
	if !r.set.json && !r.set.quiet {
		fmt.Fprintf(r.sys.stderr, format+"\n", a...)
	}
}

// table prints a listing: JSON lines of objects, the names alone, or columns
// under a title. Of each row the first cell is the name. With an empty title
// row there is none.
func table[T any](o *output, items []T, object func(T) any, title []string, row func(T) []string) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if !o.json && !o.quiet && len(items) > 0 && len(title) > 0 {
		writeRow(t, title)
	}
	for _, item := range items {
		switch {
		case o.json:
			if err := encode(&b, object(item)); err != nil {
				return err
			}
		case o.quiet:
			fmt.Fprintln(&b, printable(row(item)[0]))
		default:
			writeRow(t, row(item))
		}
	}
	t.Flush()
	_, err := o.Write(b.Bytes())
	return err
}

func writeRow(t *tabwriter.Writer, cells []string) {
	for i, c := range cells {
		if i > 0 {
			io.WriteString(t, "\t")
		}
		io.WriteString(t, printable(c))
	}
	io.WriteString(t, "\n")
}

// encode writes v as one line of JSON.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printable returns s with everything escaped that could move the cursor,
// change colours, reorder text or break a line: what is not printable by
// Unicode's judgement, and bytes that are not UTF-8.
func printable(s string) string {
	ok := func(r rune) bool { return r != utf8.RuneError && (r == ' ' || unicode.IsPrint(r)) }
	if strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case ok(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf || n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// bytesText says how much n bytes are, in powers of 1,000.
func bytesText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1000, 0
	for f >= 999.5 && i < len("kMGTPE")-1 {
		f, i = f/1000, i+1
	}
	digits := 1
	if f >= 99.95 {
		digits = 0
	}
	return fmt.Sprintf("%.*f %cB", digits, f, "kMGTPE"[i])
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// plural is "1 file" or "2 files".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
