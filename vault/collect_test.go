package vault_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// TestCollectReceipts: receipts go when they are older than policy keeps logs at
// most, and not while a hold or a quarantine is in force.
func TestCollectReceipts(t *testing.T) {
	t.Run("held", func(t *testing.T) {
		collectReceipts(t, func(v *vault.Vault) error {
			_, err := v.PlaceHold(t.Context(), vault.Ref{Artefact: "m"}, "case 4711", time.Time{})
			return err
		})
	})
	t.Run("in quarantine", func(t *testing.T) {
		collectReceipts(t, func(v *vault.Vault) error {
			_, err := v.Quarantine(t.Context(), []vault.Ref{{Artefact: "m"}}, "poisoned", "")
			return err
		})
	})
	t.Run("free", func(t *testing.T) { collectReceipts(t, nil) })
}

func collectReceipts(t *testing.T, freeze func(*vault.Vault) error) {
	p := newPlace(t)
	p.init(t)
	v := p.open(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), []byte("weights"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Push(t.Context(), vault.PushOptions{Artefact: "m", Paths: []string{dir}}); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Pull(t.Context(), vault.Ref{Artefact: "m"}, filepath.Join(t.TempDir(), "out"), vault.PullOptions{}); err != nil || got.Receipt != vault.ReceiptLeft {
		t.Fatalf("%+v, %v", got, err)
	}
	d, err := v.Desk(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	policy := state.Policy{Approvals: 1, AdminQuorum: 1, Retention: []state.Retention{{Class: state.Log, Max: state.Duration{Months: 6}}}}
	if err := d.Vault.Append(t.Context(), state.KindPolicy, state.PolicySet{Policy: policy}, canonical.NewID()); err != nil {
		t.Fatal(err)
	}
	collect := func(after time.Duration) int {
		t.Helper()
		c := p.config()
		c.Now = func() time.Time { return time.Now().Add(after) }
		v, err := vault.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		list, err := v.Collect(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range list {
			n += c.Receipts
		}
		return n
	}
	const day = 24 * time.Hour
	if n := collect(170 * day); n != 0 {
		t.Errorf("%d receipts are too young", n)
	}
	want := 1
	if freeze != nil {
		if err := freeze(p.open(t)); err != nil {
			t.Fatal(err)
		}
		want = 0
	}
	if n := collect(400 * day); n != want {
		t.Errorf("%d receipts went, want %d", n, want)
	}
	left := 0
	for _, key := range p.mem.Keys() {
		if strings.Contains(key, "/rc/") {
			left++
		}
	}
	if left != 1-want {
		t.Errorf("%d receipts are left, want %d", left, 1-want)
	}
}
