package cli

import (
	"strings"
	"testing"
)

// TestScriptsNameEverything looks for each command and each flag in each script.
func TestScriptsNameEverything(t *testing.T) {
	all := gather(program())
	for shell, script := range map[string]string{
		"bash": bashCompletion(all), "zsh": zshCompletion(all), "fish": fishCompletion(all), "powershell": powershellCompletion(all),
	} {
		for _, n := range all.nodes {
			for _, w := range n.wordNames() {
				if !strings.Contains(script, w) {
					t.Errorf("%s: %s%s is missing", shell, n.at, w)
				}
			}
		}
		for _, f := range flagNamesOf(all) {
			name := "--" + f
			if shell == "fish" {
				name = "-l " + f
			}
			if !strings.Contains(script, name) {
				t.Errorf("%s: %s is missing", shell, name)
			}
		}
		if strings.Contains(script, "`") {
			t.Errorf("%s: a backquote", shell)
		}
	}
}

func flagNamesOf(c completions) []string {
	var out []string
	for _, f := range c.global {
		out = append(out, f.name)
	}
	for _, n := range c.nodes {
		for _, f := range n.flags {
			out = append(out, f.name)
		}
	}
	return out
}

func TestChoices(t *testing.T) {
	for in, want := range map[string]int{"auto|plain": 2, "FILE|-": 0, "FILE": 0, "": 0, "json|html|bundle": 3} {
		if got := choicesOf(in); len(got) != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
