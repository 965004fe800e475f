package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aivault/aivault/cmd/aivault/cli/progress"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"fraud-detector/ä 模型": "fraud-detector/ä 模型",
		"\x1b[31mred":         `\x1b[31mred`,
		"a\nb\tc\rd\x00":      `a\x0ab\x09c\x0dd\x00`,
		"a\u202eb\u2066c":     `a\u202eb\u2066c`,
		"\u0085\u009b":        `\u0085\u009b`,
		"\xff\xfe":            `\xff\xfe`,
		"\u200bx\ufeff":       `\u200bx\ufeff`,
		"\U000e0041":          `\U000e0041`,
		"\ufffd":              `\ufffd`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[0m\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }) {
			t.Fatalf("%q becomes %q", s, got)
		}
	})
}

type item struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// TestForms prints one hostile name in each form.
func TestForms(t *testing.T) {
	for _, tc := range []struct {
		json, quiet bool
		want        string
	}{
		{false, false, "NAME        KIND\nb\\x1b       model\nlonger\\x0a  model\n"},
		{false, true, "b\\x1b\nlonger\\x0a\n"},
		{true, false, "{\"schema\":\"aivault.list/1\",\"name\":\"b\\u001b\"}\n{\"schema\":\"aivault.list/1\",\"name\":\"longer\\n\"}\n"},
	} {
		var b bytes.Buffer
		o := &output{w: &b, screen: progress.NewScreen(io.Discard), command: []string{"list"}, json: tc.json, quiet: tc.quiet}
		err := table(o, []string{"b\x1b", "longer\n"}, func(s string) any { return item{o.schema(), s} },
			[]string{"NAME", "KIND"}, func(s string) []string { return []string{s, "model"} })
		if err != nil || b.String() != tc.want {
			t.Errorf("%+v: %q, %v", tc, b.String(), err)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestLostOutputIsAnError(t *testing.T) {
	o := &output{w: fullDisk{}, screen: progress.NewScreen(io.Discard)}
	if err := o.result(item{}, "x", func(w io.Writer) { io.WriteString(w, "x") }); err == nil || o.failed() == nil {
		t.Error("a result that was not written passes for one that was")
	}
}

// TestResultBelowProgress has both on one terminal.
func TestResultBelowProgress(t *testing.T) {
	var terminal bytes.Buffer
	screen := progress.NewScreen(&terminal)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := progress.New(screen, progress.Line, func() time.Time { now = now.Add(time.Second); return now }, func() int { return 80 }, bytesText)
	m.Update(progress.Step{What: "push", Done: 1})
	m.Update(progress.Step{What: "push", Done: 2})
	if terminal.Len() == 0 {
		t.Fatal("no progress")
	}
	o := &output{w: &terminal, screen: screen}
	if err := o.result(nil, "", func(w io.Writer) { io.WriteString(w, "done\n") }); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(terminal.String(), " \rdone\n") {
		t.Errorf("%q", terminal.String())
	}
}

func TestBytesText(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1549: "1.5 kB", 99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		4_200_000_000: "4.2 GB", 1 << 62: "4.6 EB",
	} {
		if got := bytesText(in); got != want {
			t.Errorf("%d: got %s, want %s", in, got, want)
		}
	}
}
