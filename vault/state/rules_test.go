package state_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault/state"
)

// ruleCase ends in one entry that keeps a rule, or (void) breaks that rule and
// no other before it.
type ruleCase struct {
	rule state.Rule
	name string
	void bool
	run  func(w *world) *state.Void // returns what became of the last entry
}

func (c ruleCase) String() string {
	if c.void {
		return string(c.rule) + "/void: " + c.name
	}
	return string(c.rule) + "/counts: " + c.name
}

func ruleCases() []ruleCase {
	return slices.Concat(memberCases(), vaultCases(), disposalCases(), artefactCases(), gateCases(), lineageCases(), epochCases(), versionCases(), executeCases(), retentionCases(), bodyCases())
}

func TestRules(t *testing.T) {
	for _, c := range ruleCases() {
		t.Run(c.String(), func(t *testing.T) {
			void := c.run(newWorld(t))
			switch {
			case !c.void && void != nil:
				t.Error(void)
			case c.void && void == nil:
				t.Error("it counts")
			case c.void && void.Rule != c.rule:
				t.Errorf("another rule broken: %v", void)
			}
		})
	}
}

// readings are rules that refuse nothing by themselves; TestReadings has them.
var readings = []state.Rule{state.RuleHoldLives, state.RuleReleaseDies}

// TestEveryRuleHasCases finds the rules in the source, so that none is
// forgotten: each needs a case that keeps it and one that breaks it.
func TestEveryRuleHasCases(t *testing.T) {
	rules := constants(t, "rules.go", "Rule")
	if len(rules) < 30 {
		t.Fatalf("found only %d rules", len(rules))
	}
	for _, r := range rules {
		if slices.Contains(readings, state.Rule(r)) {
			continue
		}
		for _, void := range []bool{false, true} {
			if !slices.ContainsFunc(ruleCases(), func(c ruleCase) bool { return string(c.rule) == r && c.void == void }) {
				t.Errorf("rule %s: no case with void %v", r, void)
			}
		}
	}
}

// constants returns the values of a file's string constants whose name begins with prefix.
func constants(t *testing.T, file, prefix string) (out []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		return true
	})
	return out
}
