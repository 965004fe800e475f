package state_test

import (
	"os"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

// TestDisposalDocument: the policy in docs/disposal.md is one that counts.
func TestDisposalDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/disposal.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "\n```json policy\n")
	text, _, end := strings.Cut(rest, "\n```\n")
	if !ok || !end {
		t.Fatal("docs/disposal.md has no policy")
	}
	var p state.Policy
	if err := canonical.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Retention) != len(state.RetentionClasses()) {
		t.Errorf("it says something of %d classes", len(p.Retention))
	}
	w := newWorld(t)
	if void := w.try("admin", state.KindPolicy, state.PolicySet{Policy: p}); void != nil {
		t.Error(void)
	}
}
