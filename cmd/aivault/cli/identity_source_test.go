package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSplitCommand(t *testing.T) {
	for in, want := range map[string][]string{
		"op read x":               {"op", "read", "x"},
		"  a\t b ":                {"a", "b"},
		`a 'b c' "d e"`:           {"a", "b c", "d e"},
		`a b'c d'e`:               {"a", "bc de"},
		`a ''`:                    {"a", ""},
		`a "\"x\" \\ \n $HOME"`:   {"a", `"x" \ \n $HOME`},
		`"C:\Program Files\x" -y`: {`C:\Program Files\x`, "-y"},
		`C:\bin\x`:                {`C:\bin\x`},
		`sh -c 'a | b; c'`:        {"sh", "-c", "a | b; c"},
	} {
		if got, err := splitCommand(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", " ", "''", "a | b", "a;b", "a $X", "a `b`", "a > b", "a *", `a "b`, "a 'b", "a\nb", "a & b", "~/x"} {
		if got, err := splitCommand(in); !errors.Is(err, errUsage) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func FuzzSplitCommand(f *testing.F) {
	f.Add(`a 'b c' "d \" e"`)
	f.Fuzz(func(t *testing.T, s string) {
		words, err := splitCommand(s)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'"'"'`)+"'")
		}
		if again, err := splitCommand(strings.Join(quoted, " ")); err != nil || !slices.Equal(again, words) {
			t.Fatalf("%q: %q, quoted %q, %v", s, words, again, err)
		}
	})
}

func TestSourceNameHidesArguments(t *testing.T) {
	for in, want := range map[string]string{"/a/b": "/a/b", "env:X": "env:X", "exec:op read secret": "exec:op", "exec:'": "exec:…"} {
		if got := sourceName(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
