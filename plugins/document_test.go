package plugins_test

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"testing"
)

var update = flag.Bool("update", false, "write the code into docs/writing-a-plugin.md")

// shown is a link to a source of the example, on a line of its own, with or without
// the code that follows it.
var shown = regexp.MustCompile("(?m)^\\[(plugins/aivault-plugin-sftp/[a-z/]+\\.go)\\]\\(\\.\\./(plugins/[a-z/-]+\\.go)\\)\n(\n```go\n(?s:.*?)\n```\n)?")

// The document shows the example as it is.
func TestWritingAPlugin(t *testing.T) {
	const file = "../docs/writing-a-plugin.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	want := shown.ReplaceAllFunc(text, func(match []byte) []byte {
		n++
		m := shown.FindSubmatch(match)
		code, err := os.ReadFile("../" + string(m[1]))
		if err != nil || !bytes.Equal(m[1], m[2]) {
			t.Fatalf("%s: %v", m[1], err)
		}
		return []byte("[" + string(m[1]) + "](../" + string(m[1]) + ")\n\n```go\n" + string(code) + "```\n")
	})
	if n != 2 {
		t.Fatalf("%d sources are shown, want 2", n)
	}
	if bytes.Equal(text, want) {
		return
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s does not show the code as it is: go test ./plugins -run TestWritingAPlugin -update", file)
}
