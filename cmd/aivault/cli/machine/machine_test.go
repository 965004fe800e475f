package machine

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
)

func TestVaults(t *testing.T) {
	d := New(filepath.Join(t.TempDir(), "state"))
	if all, err := d.Vaults(); err != nil || len(all) != 0 {
		t.Fatalf("before anything: %v, %v", all, err)
	}
	a := Vault{Place: "file:///a", Genesis: canonical.Sum([]byte("a")), Names: []string{"prod"}}
	b := Vault{Place: "file:///b", Genesis: canonical.Sum([]byte("b")), Custody: "local:/k", Names: []string{}}
	for _, v := range []Vault{b, a} {
		if err := d.Remember(v); err != nil {
			t.Fatal(err)
		}
	}
	again := New(d.Path())
	if got, ok, err := again.Vault("file:///b"); err != nil || !ok || !reflect.DeepEqual(got, b) {
		t.Errorf("got %+v, %t, %v", got, ok, err)
	}
	if got, ok, err := again.Named("prod"); err != nil || !ok || !reflect.DeepEqual(got, a) {
		t.Errorf("by name: %+v, %t, %v", got, ok, err)
	}
	if _, ok, err := again.Named("dev"); err != nil || ok {
		t.Errorf("an unknown name: %t, %v", ok, err)
	}
	a.Custody = "local:/other"
	if err := d.Remember(a); err != nil {
		t.Fatal(err)
	}
	if all, err := again.Vaults(); err != nil || !reflect.DeepEqual(all, []Vault{a, b}) {
		t.Errorf("all: %+v, %v", all, err)
	}
}

func TestDamagedRecord(t *testing.T) {
	d := New(t.TempDir())
	v := Vault{Place: "file:///a", Genesis: canonical.Sum([]byte("a"))}
	if err := d.Remember(v); err != nil {
		t.Fatal(err)
	}
	path := d.File(v.Place)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty": {}, "cut": whole[:len(whole)-2], "other": []byte("{}\n"), "doubled": append(whole, whole...),
		"too long": make([]byte, maxRecord+1),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Vault(v.Place); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Vault says %v", name, err)
		}
		if _, err := d.Vaults(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Vaults says %v", name, err)
		}
	}
	if err := os.WriteFile(d.File("file:///b"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Vault("file:///b"); !errors.Is(err, ErrDamaged) {
		t.Errorf("a record under another name: %v", err)
	}
}
