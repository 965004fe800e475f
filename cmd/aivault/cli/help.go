package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

const helpWidth = 80

func helpCommand() *command {
	return &command{
		name: "help", args: "[COMMAND…]", usage: "show how a command is used",
		example: "aivault help push",
		run: func(_ context.Context, c *call) error {
			return program().help(c.out, c.args)
		},
	}
}

// help writes the help of the command that words name.
func (c *command) help(w io.Writer, words []string) error {
	at, err := c.find(words)
	if err != nil {
		return err
	}
	title := strings.Join(append([]string{c.name}, words...), " ")
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nUsage:\n  %s", title, at.usage, title)
	if len(at.sub) > 0 {
		b.WriteString(" COMMAND")
	}
	if at.args != "" {
		b.WriteString(" " + at.args)
	}
	if len(at.flags) > 0 || at == c {
		b.WriteString(" [flags]")
	}
	b.WriteString("\n")
	if at.about != "" {
		b.WriteString("\n" + wrap(at.about, "") + "\n")
	}
	if at.example != "" {
		fmt.Fprintf(&b, "\nExample:\n  %s\n", strings.ReplaceAll(at.example, "\n", "\n  "))
	}
	if len(at.sub) > 0 {
		b.WriteString("\nCommands:\n")
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, s := range at.sub {
			fmt.Fprintf(t, "  %s\t%s\n", s.name, s.usage)
		}
		t.Flush()
	}
	if len(at.flags) > 0 {
		b.WriteString("\nFlags:\n")
		writeFlags(&b, at.flags)
	}
	if at == c {
		b.WriteString("\nExit codes:\n  0    done, or nothing to do\n")
		for _, e := range exitCodes() {
			fmt.Fprintf(&b, "  %-4d %s\n", e.code, e.meaning)
		}
	} else {
		b.WriteString("\nFlags of every command: aivault --help\n")
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func writeFlags(b *strings.Builder, flags []cli.Flag) {
	for _, f := range flags {
		value, usage := describeFlag(f)
		fmt.Fprintf(b, "  %s\n%s\n", strings.TrimSpace("--"+f.Names()[0]+" "+value), wrap(usage, "      "))
	}
}

// wrap breaks paragraphs into lines of at most helpWidth columns, each indented.
func wrap(text, indent string) string {
	var out []string
	for p := range strings.SplitSeq(text, "\n") {
		line := indent
		for word := range strings.FieldsSeq(p) {
			switch {
			case line == indent:
				line += word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > helpWidth:
				out = append(out, line)
				line = indent + word
			default:
				line += " " + word
			}
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	return strings.Join(out, "\n")
}
