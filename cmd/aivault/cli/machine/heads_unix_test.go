//go:build unix

package machine

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUnwritable has nothing at the end of a link where the memory should be:
// even root cannot make a directory there.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "gone", "heads"), filepath.Join(dir, "heads")); err != nil {
		t.Fatal(err)
	}
	h, warned, failed := heads(dir)
	if _, ok := h.Head("vault"); ok || *failed != nil {
		t.Errorf("reading: %t, %v", ok, *failed)
	}
	h.Remember("vault", position(1))
	if *warned == nil || *failed != nil {
		t.Errorf("warned %v, failed %v", *warned, *failed)
	}
	*warned = nil
	if h.Remember("vault", position(2)); *warned != nil {
		t.Error("warned twice")
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "heads"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, _, failed := heads(dir)
	if _, ok := h.Head("vault"); !ok || *failed == nil {
		t.Errorf("a memory that cannot be read passes for an empty one: %t, %v", ok, *failed)
	}
}
