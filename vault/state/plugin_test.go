package state_test

import (
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

// Several binaries of one plugin may be pinned at once; one entry withdraws one
// of them.
func TestPlugins(t *testing.T) {
	w := newWorld(t)
	one := state.Plugin{Name: "hsm", Platform: "linux/amd64", SHA256: canonical.Digest{1}, Env: []string{"HSM_PIN"}}
	two, arm, again := one, one, one
	two.SHA256, arm.Platform, again.Env = canonical.Digest{2}, "linux/arm64", nil
	for _, p := range []state.Plugin{one, two, arm, again} {
		if void := w.try("admin", state.KindPlugin, p); void != nil {
			t.Fatal(void)
		}
	}
	gone := two
	gone.Remove = true
	if void := w.try("admin", state.KindPlugin, gone); void != nil {
		t.Fatal(void)
	}
	got := w.state().Plugins()
	if len(got) != 2 || got[0].Platform != "linux/arm64" || got[1].SHA256 != one.SHA256 || got[1].Env != nil {
		t.Errorf("pinned: %+v, want that for arm64, then the first one with its new variables", got)
	}
}
