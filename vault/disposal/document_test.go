package disposal

import (
	"os"
	"strings"
	"testing"
)

// TestDocument: docs/disposal.md names the interlocks that there are, with what can
// be decided about each.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/disposal.md")
	must(t, err)
	for _, lock := range Interlocks() {
		want := "| `" + lock.Rule + "` | "
		_, rest, ok := strings.Cut(string(doc), want)
		row, _, _ := strings.Cut(rest, "\n")
		if !ok || !strings.HasSuffix(row, "| `"+strings.Join(lock.Decisions, "`, `")+"` |") {
			t.Errorf("of the interlock %s it says %q", lock.Rule, row)
		}
	}
	for _, word := range []string{"compliant", "sanitis", "sanitiz", "GDPR"} {
		if strings.Contains(string(doc), word) {
			t.Errorf("it says %q", word)
		}
	}
}
