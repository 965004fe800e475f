package disposal

import (
	"os"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
)

// example decodes the code block of FORMAT.md §8 with this info string, and checks
// that it encodes again as it stands there.
func example[T any](t *testing.T, info string) (v T, text string) {
	t.Helper()
	doc, err := os.ReadFile("../FORMAT.md")
	must(t, err)
	_, rest, ok := strings.Cut(string(doc), "\n```json "+info+"\n")
	text, _, end := strings.Cut(rest, "\n```\n")
	if !ok || !end {
		t.Fatalf("FORMAT.md has no example of a %s", info)
	}
	if err := canonical.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", info, err)
	}
	if again, err := canonical.Marshal(v); err != nil || string(again) != text {
		t.Errorf("the %s encodes again as %s (%v)", info, again, err)
	}
	return v, text
}

// TestFormatExamples: the examples of the specification are of one disposal, and
// bind each other as it says.
func TestFormatExamples(t *testing.T) {
	plan, _ := example[Plan](t, "plan")
	statement, _ := example[Statement](t, "statement")
	details, text := example[Details](t, "details")
	report, _ := example[Report](t, "report")
	if plan.Format != planFormat || details.Format != detailsFormat || report.Format != reportFormat {
		t.Errorf("formats %q, %q, %q", plan.Format, details.Format, report.Format)
	}
	if statement.Type != statementType || statement.PredicateType != predicateType || len(statement.Subject) != 1 ||
		statement.Subject[0].Digest["sha256"] != canonical.Sum([]byte(text)).String() {
		t.Errorf("the statement is about %+v, not about the details", statement.Subject)
	}
	p := statement.Predicate
	if p.Disposal != plan.ID || p.Disposal != details.Disposal || p.Disposal != report.Disposal || p.Vault != details.Vault || p.Effective != details.Effective ||
		p.Versions != details.count() || p.Performed != details.Performed || p.Result != report.Result || p.Time != details.Time {
		t.Errorf("the predicate %+v is not of these details", p)
	}
	a := details.Artefacts[0]
	if details.Method != method() || a.Versions[0] != plan.Artefacts[0].Dies[0] || details.Decisions[0] != plan.Decisions[0] || len(a.Transfers) != 1 {
		t.Errorf("the details %+v are not of this plan", details)
	}
	if details.Keepers[0].Instance != a.Keys[0].Instance || report.Attack.Tries[0].Ref != a.Keys[0].Ref || a.Attack.Tries != len(report.Attack.Tries) {
		t.Errorf("keys %+v, keepers %+v, tries %+v", a.Keys, details.Keepers, report.Attack.Tries)
	}
	for _, limit := range limits() {
		if !strings.Contains(text, limit) {
			t.Errorf("the details do not say %q", limit)
		}
	}
	// The decisions that the specification lists are those of the table.
	doc, err := os.ReadFile("../FORMAT.md")
	must(t, err)
	for _, lock := range Interlocks() {
		if row := "| `" + lock.Rule + "` | "; !strings.Contains(string(doc), row) {
			t.Errorf("FORMAT.md lacks the interlock %s", lock.Rule)
		}
		for _, d := range lock.Decisions {
			if !strings.Contains(string(doc), "`"+d+"`") {
				t.Errorf("FORMAT.md lacks the decision %s", d)
			}
		}
	}
}
