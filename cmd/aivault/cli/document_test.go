package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write generated documents anew")

// TestCommandsDocument compares docs/commands.md with the command tree. To write
// it anew: go test ./cmd/aivault/cli -run TestCommandsDocument -update
func TestCommandsDocument(t *testing.T) {
	file := filepath.Join("..", "..", "..", "docs", "commands.md")
	want := commandsDocument(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the command tree says; write it anew with go test ./cmd/aivault/cli -run TestCommandsDocument -update", file)
	}
}

func commandsDocument(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# Commands

Generated from the command tree in cmd/aivault/cli. Flags may stand before or after arguments; after ` + "`--`" + ` everything is an argument. Results go to stdout, everything else to stderr. ` + "`--json`" + ` prints one object, or one a line for a listing, with the fields named below; times are RFC 3339 in UTC, sizes bytes. Where ` + "`changed`" + ` stands, it says whether anything was; ` + "`freshness`" + ` says what vouches for it that the newest entries were not withheld: none, remembered or pinned.

## Exit codes

| code | meaning |
|---|---|
| 0 | done, or nothing to do |
`)
	for _, c := range exitCodes() {
		fmt.Fprintf(&b, "| %d | %s |\n", c.code, c.meaning)
	}
	b.WriteString("\nWith `--json` an error is an object on stderr: " + fieldList(t, reflect.TypeOf(errorJSON{})) + ".\n\n## Flags of every command\n\nThe value of a flag wins over its variable, that over its line in the configuration file (`NAME = VALUE` in config.toml, in aivault's directory below the user's configuration directory), and that over the default. `aivault config show` prints where each value came from.\n\n")
	documentFlags(&b, program())
	walk(program(), nil, func(c *command, path []string) {
		title := "aivault " + strings.Join(path, " ")
		if c.run == nil {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.", strings.TrimSpace(title+" "+c.args), upperFirst(c.usage))
		if c.about != "" {
			b.WriteString(" " + c.about)
		}
		fmt.Fprintf(&b, "\n\n    %s\n", strings.ReplaceAll(c.example, "\n", "\n    "))
		if len(c.flags) > 0 {
			b.WriteString("\n")
			documentFlags(&b, c)
		}
		if c.json != nil {
			fmt.Fprintf(&b, "\nJSON, `\"schema\": %q`: %s.\n", (&output{command: path}).schema(), fieldList(t, reflect.TypeOf(c.json)))
		}
	})
	return b.String()
}

func documentFlags(b *strings.Builder, c *command) {
	b.WriteString("| flag | |\n|---|---|\n")
	for _, f := range c.flags {
		value, usage := describeFlag(f)
		name := strings.ReplaceAll(strings.TrimSpace("--"+f.Names()[0]+" "+value), "|", `\|`)
		fmt.Fprintf(b, "| `%s` | %s |\n", name, strings.ReplaceAll(usage, "|", `\|`))
	}
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// fieldList names the fields of an object, and of those within, and holds them
// to the rules: snake_case, the schema first.
func fieldList(t *testing.T, typ reflect.Type) string {
	var out []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			out = append(out, fieldList(t, f.Type))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !fieldName.MatchString(name) {
			t.Errorf("%s.%s is %q in JSON", typ.Name(), f.Name, name)
		}
		inner := f.Type
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == typ.PkgPath() {
			name += " (" + strings.ReplaceAll(fieldList(t, inner), "`", "") + ")"
		}
		out = append(out, "`"+name+"`")
	}
	return strings.Join(out, ", ")
}

// TestEveryResultHasASchema finds commands that print no JSON, or another's.
func TestEveryResultHasASchema(t *testing.T) {
	walk(program(), nil, func(c *command, path []string) {
		title := strings.Join(path, " ")
		if c.run == nil || title == "help" || title == "completion" {
			return
		}
		if c.json == nil {
			t.Errorf("%s prints no JSON", title)
			return
		}
		if f := reflect.TypeOf(c.json).Field(0); f.Tag.Get("json") != "schema" {
			t.Errorf("%s: the first field is %s", title, f.Name)
		}
	})
}
