package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// walk calls f for every command below the root.
func walk(c *command, path []string, f func(c *command, path []string)) {
	for _, s := range c.sub {
		at := append(slices.Clone(path), s.name)
		f(s, at)
		walk(s, at, f)
	}
}

// TestEveryCommand holds the whole tree to the rules of the user interface.
func TestEveryCommand(t *testing.T) {
	global := map[string]bool{}
	for _, s := range globalSettings() {
		global[s.name] = true
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	walk(program(), nil, func(c *command, path []string) {
		title := strings.Join(path, " ")
		if !name.MatchString(c.name) {
			t.Errorf("%s: a name in lower case, please", title)
		}
		if c.usage == "" || strings.HasSuffix(c.usage, ".") || c.usage[:1] != strings.ToLower(c.usage[:1]) || strings.Contains(c.usage, "\n") {
			t.Errorf("%s: usage is a line in lower case without a full stop: %q", title, c.usage)
		}
		if !strings.Contains(c.example, "aivault "+title) {
			t.Errorf("%s: no example shows it: %q", title, c.example)
		}
		if c.run == nil && len(c.sub) == 0 {
			t.Errorf("%s: a command runs, a group has commands", title)
		}
		if c.run == nil && (c.args != "" || len(c.flags) > 0) {
			t.Errorf("%s: a group has no arguments and no flags", title)
		}
		for _, f := range c.flags {
			n := f.Names()
			value, usage := describeFlag(f)
			switch _, isBool := f.(*cli.BoolFlag); {
			case len(n) != 1 || !name.MatchString(n[0]):
				t.Errorf("%s: flag %q", title, n)
			case global[n[0]] || n[0] == "help":
				t.Errorf("%s: --%s is a flag of every command", title, n[0])
			case usage == "" || isBool != (value == ""):
				t.Errorf("%s: --%s has no usage, or no name for its value", title, n[0])
			}
		}
		var b strings.Builder
		if err := program().help(&b, path); err != nil || !strings.Contains(b.String(), "\nExample:\n") {
			t.Errorf("%s: help: %v", title, err)
		}
	})
}

func TestArity(t *testing.T) {
	for args, want := range map[string][2]int{
		"": {0, 0}, "REF": {1, 1}, "REF DEST": {2, 2}, "[REF]": {0, 1}, "ARTEFACT PATH…": {2, -1}, "[COMMAND…]": {0, -1}, "FILE|-": {1, 1},
	} {
		if least, most := (&command{args: args}).arity(); least != want[0] || most != want[1] {
			t.Errorf("%q: %d to %d", args, least, most)
		}
	}
}

// TestCommandsFindEachOther names in hints and examples only what exists.
func TestExamplesParse(t *testing.T) {
	walk(program(), nil, func(c *command, path []string) {
		for line := range strings.Lines(c.example) {
			for _, call := range regexp.MustCompile(`aivault ([a-z -]+)`).FindAllStringSubmatch(line, -1) {
				words := strings.Fields(call[1])
				if found, _ := program().find(words[:1]); found == nil {
					t.Errorf("%s: its example calls %q", strings.Join(path, " "), call[0])
				}
			}
		}
	})
}
