//go:build unix

package cli

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestBashCompletion presses the tab key in a real bash.
func TestBashCompletion(t *testing.T) {
	script := bashCompletion(gather(program()))
	for line, want := range map[string][]string{
		"aivault ident":                      {"identity"},
		"aivault identity ":                  {"new", "rotate", "show"},
		"aivault --vault identity conf":      {"config"},
		"aivault --json identity n":          {"new"},
		"aivault identity new --pass":        {"--passphrase"},
		"aivault identity new x --no-":       {"--no-input"},
		"aivault --progress ":                {"auto", "json", "none", "plain"},
		"aivault version --log-level w":      {"warn"},
		"aivault completion ":                {"bash", "fish", "powershell", "zsh"},
		"aivault --vault ":                   nil,
		"aivault identity show --passphrase": nil,
	} {
		words := strings.Split(line, " ")
		quoted := quoteAll(words, posixQuote, " ")
		run := script + "\nCOMP_WORDS=(" + quoted + "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _aivault; printf '%s\\n' \"${COMPREPLY[@]}\""
		out, err := exec.Command("bash", "--norc", "-c", run).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", line, err, out)
		}
		got := strings.Fields(string(out))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
