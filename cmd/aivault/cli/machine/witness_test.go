package machine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
)

func TestDesk(t *testing.T) {
	d := New(t.TempDir())
	desk, err := d.Witness()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Witness(); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("two at one desk: %v", err)
	}
	key, made, err := desk.Key("w")
	if err != nil || !made {
		t.Fatal(made, err)
	}
	if seen, err := desk.Seen(canonical.Digest{}); seen != nil || err != nil {
		t.Errorf("before anything: %v, %v", seen, err)
	}
	if err := desk.Close(); err != nil {
		t.Fatal(err)
	}
	if desk, err = New(d.Path()).Witness(); err != nil {
		t.Fatal(err)
	}
	defer desk.Close()
	again, made, err := desk.Key("other")
	if err != nil || made || again.Reveal() != key.Reveal() {
		t.Errorf("the key is drawn again: %t, %v", made, err)
	}
	file := filepath.Join(d.Path(), "witness", "key")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the key: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("PRIVATE+KEY+w+secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := desk.Key("w"); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "secret") {
		t.Errorf("a damaged key: %v", err)
	}
}

// TestDeskRemembers: what was cosigned is read as it was written, and a damaged
// memory is not an empty one.
func TestDeskRemembers(t *testing.T) {
	desk, err := New(t.TempDir()).Witness()
	if err != nil {
		t.Fatal(err)
	}
	defer desk.Close()
	genesis := canonical.Sum([]byte("vault"))
	tree := checkpoint.NewTree()
	c := checkpoint.Checkpoint{Genesis: genesis, Root: tree.Root()}
	w := &checkpoint.Witnessed{Format: "aivault-witnessed/1", Note: c.String(), Heads: checkpoint.NewHeads(tree, nil)}
	if err := desk.Remember(genesis, w); err != nil {
		t.Fatal(err)
	}
	got, err := desk.Seen(genesis)
	if err != nil || got.Note != w.Note {
		t.Fatalf("%v, %v", got, err)
	}
	if err := os.Truncate(desk.file(genesis), 20); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.Seen(genesis); !errors.Is(err, ErrDamaged) {
		t.Errorf("a torn file: %v", err)
	}
}
