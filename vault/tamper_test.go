package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/ledger"
)

// secretWords stand in names and contents and must stand in no object.
var secretWords = []string{"fraud-detector", "quokka-weights", "tokenizer.json", "embed_tokens.weight", "the secret ingredient"}

// realistic makes a vault with one artefact of two versions, of which the second
// borrows from the first: several chunks, a nested file, an empty one.
func realistic(t testing.TB) (*place, canonical.Digest, string) {
	t.Helper()
	p := newPlace(t)
	genesis := p.init(t).Genesis
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	weights := make([]byte, 5<<20)
	for i := range weights {
		weights[i] = byte(random.Uint32())
	}
	write := func(name string, b []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("sub/quokka-weights.bin", weights)
	write("tokenizer.json", []byte(`{"embed_tokens.weight":"the secret ingredient"}`))
	write("empty", nil)
	for i := range 2 {
		write("config.json", fmt.Appendf(nil, `{"version":%d,"note":"the secret ingredient"}`, i))
		if _, err := p.open(t).Push(t.Context(), vault.PushOptions{Artefact: "fraud-detector", Paths: []string{dir}}); err != nil {
			t.Fatal(err)
		}
	}
	return p, genesis, dir
}

// same compares two directory trees, byte by byte.
func same(t testing.TB, want, got string) {
	t.Helper()
	list := func(dir string) map[string]string {
		out := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			out[rel] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	w, g := list(want), list(got)
	for name, b := range w {
		if g[name] != b {
			t.Errorf("%s differs: %d bytes, want %d", name, len(g[name]), len(b))
		}
	}
	if len(w) != len(g) {
		t.Errorf("%d files, want %d", len(g), len(w))
	}
}

func TestObjectsTellNothing(t *testing.T) {
	p, _, _ := realistic(t)
	for _, key := range p.mem.Keys() {
		b, err := ledger.ReadObject(t.Context(), p.mem, key, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range secretWords {
			for _, spelt := range [][]byte{[]byte(word), []byte(fmt.Sprintf("%x", word))} {
				if bytes.Contains(b, spelt) || strings.Contains(key, string(spelt)) {
					t.Errorf("%s contains %q", key, word)
				}
			}
		}
	}
}

// TestEveryObjectTampered changes every object of a vault in turn, in every way
// a hostile store can, and asks verify and pull.
func TestEveryObjectTampered(t *testing.T) {
	p, genesis, dir := realistic(t)
	ref := vault.Ref{Artefact: "fraud-detector"}
	report, err := vault.Verify(t.Context(), p.config(), vault.VerifyOptions{Full: true})
	if err != nil || !report.OK || len(report.Unknown) > 0 {
		t.Fatalf("before any change: %+v, %v", report, err)
	}
	counted := backendtest.NewCounting(p.mem)
	p.store = counted
	dest := t.TempDir()
	if _, err := p.open(t).Pull(t.Context(), ref, dest, vault.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	same(t, dir, dest)
	read := map[string]bool{}
	for _, r := range counted.Requests() {
		if r.Op == backendtest.Get {
			read[r.Key] = true
		}
	}
	p.store = p.mem
	keys := slices.Sorted(slices.Values(p.mem.Keys()))
	newest := map[string]bool{} // the newest slot of each journal: whose removal only memory can see
	receipt := func(key string) bool { return strings.Contains(key, "/rc/") }
	for _, prefix := range []string{"log/", "a/"} {
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && isSlot(k) {
				newest[k] = true
				break
			}
		}
	}
	contents := map[string][]byte{}
	for _, k := range keys {
		if contents[k], err = ledger.ReadObject(t.Context(), p.mem, k, 0); err != nil {
			t.Fatal(err)
		}
	}
	for i, key := range keys {
		if raceDetector && i%5 != 0 {
			continue
		}
		neighbour := contents[keys[(i+1)%len(keys)]]
		flip := func(at int) func([]byte) []byte {
			return func(b []byte) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
		}
		for name, change := range map[string]func([]byte) []byte{
			"middle bit flipped": flip(len(contents[key]) / 2),
			"last bit flipped":   flip(len(contents[key]) - 1),
			"truncated":          func(b []byte) []byte { return b[:len(b)-1] },
			"extended":           func(b []byte) []byte { return append(bytes.Clone(b), 0) },
			"swapped":            func([]byte) []byte { return neighbour },
			"removed":            nil,
		} {
			if change == nil {
				p.mem.Remove(key)
			} else {
				p.mem.Tamper(key, change)
			}
			report, err := vault.Verify(t.Context(), p.config(), vault.VerifyOptions{Full: true})
			switch {
			case name == "removed" && receipt(key):
				if err != nil || !report.OK {
					t.Errorf("%s %s: nothing binds a receipt, but verify found %+v, %v", key, name, report, err)
				}
			case name == "removed" && newest[key]:
				if err != nil && !errors.Is(err, vault.ErrNoVault) {
					t.Errorf("%s %s: a cold client cannot tell, but got %v", key, name, err)
				}
			case err != nil:
				if !isIntegrity(err) {
					t.Errorf("%s %s: verify failed with %v", key, name, err)
				}
			case report.OK:
				t.Errorf("%s %s: verify found nothing", key, name)
			case !slices.ContainsFunc(report.Problems, func(q vault.Problem) bool {
				return q.Object == key || strings.Contains(q.Why, key) || strings.HasPrefix(key, q.Object)
			}):
				t.Errorf("%s %s: verify does not name it: %+v", key, name, report.Problems)
			}
			if read[key] && !(name == "removed" && newest[key]) {
				dest := filepath.Join(t.TempDir(), "out")
				v, err := vault.Open(t.Context(), p.config())
				if err == nil {
					_, err = v.Pull(t.Context(), ref, dest, vault.PullOptions{})
				}
				if err == nil {
					t.Errorf("%s %s: pull accepted it", key, name)
				} else if !isIntegrity(err) && !(strings.HasPrefix(key, "meta/") && errors.Is(err, vault.ErrNoAccess)) {
					t.Errorf("%s %s: pull failed with %v", key, name, err)
				}
				filesVerified(t, dir, dest)
				for _, k := range p.mem.Keys() {
					if receipt(k) && contents[k] == nil {
						p.mem.Remove(k)
					}
				}
			}
			if name == "removed" && newest[key] {
				memory := newMachine()
				c := p.on(memory, genesis)
				restore(p, key, contents[key])
				if _, err := vault.Open(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				v, err := vault.Open(t.Context(), c)
				if err == nil {
					_, err = v.History(t.Context(), "fraud-detector")
				}
				if err != nil {
					t.Fatal(err)
				}
				p.mem.Remove(key)
				v, err = vault.Open(t.Context(), c)
				if err == nil {
					_, err = v.Pull(t.Context(), ref, filepath.Join(t.TempDir(), "out"), vault.PullOptions{})
				}
				if !errors.Is(err, vault.ErrRolledBack) {
					t.Errorf("%s removed: a client with memory got %v", key, err)
				}
			}
			restore(p, key, contents[key])
		}
	}
	if report, err := vault.Verify(t.Context(), p.config(), vault.VerifyOptions{Full: true}); err != nil || !report.OK {
		t.Fatalf("after all: %+v, %v", report, err)
	}
}

// restore puts an object back as it was.
func restore(p *place, key string, b []byte) {
	if !slices.Contains(p.mem.Keys(), key) {
		if _, err := p.mem.Put(bg, key, b); err != nil {
			panic("internal error: " + err.Error())
		}
		return
	}
	p.mem.Tamper(key, func([]byte) []byte { return b })
}

// filesVerified sees to it that whatever has its final name in dest is as it was pushed.
func filesVerified(t *testing.T, want, dest string) {
	t.Helper()
	err := filepath.WalkDir(dest, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dest, path)
		got, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if original, err := os.ReadFile(filepath.Join(want, rel)); err != nil || !bytes.Equal(got, original) {
			t.Errorf("%s stands in the destination and was not verified", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestColdClientWithAPin(t *testing.T) {
	p, genesis, _ := realistic(t)
	h, err := p.open(t).History(t.Context(), "fraud-detector")
	if err != nil {
		t.Fatal(err)
	}
	if h.Freshness != vault.FreshNone {
		t.Errorf("a cold client says freshness %s", h.Freshness)
	}
	c := p.config()
	c.Genesis, c.Pins = genesis, []ledger.Pin{h.Head}
	v, err := vault.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := v.History(t.Context(), "fraud-detector"); err != nil || h.Freshness != vault.FreshPinned {
		t.Fatalf("with the pin: %+v, %v", h, err)
	}
	for _, k := range slices.Sorted(slices.Values(p.mem.Keys())) {
		if strings.HasPrefix(k, "a/") && isSlot(k) {
			p.mem.Remove(k)
			break
		}
	}
	if v, err = vault.Open(t.Context(), c); err == nil {
		_, err = v.History(t.Context(), "fraud-detector")
	}
	if !errors.Is(err, vault.ErrRolledBack) {
		t.Errorf("the newest slot removed, with the pin: %v", err)
	}
	c.Pins = nil
	if v, err = vault.Open(t.Context(), c); err == nil {
		_, err = v.History(t.Context(), "fraud-detector")
	}
	if err != nil {
		t.Errorf("the newest slot removed, cold: %v", err)
	}
}

func isIntegrity(err error) bool {
	for _, k := range integrityErrors {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// TestHiddenArtefact hides an artefact as a whole from a client that has read
// it, and keeps what it remembers: nothing of the vault's own journal changes.
func TestHiddenArtefact(t *testing.T) {
	p, genesis, _ := realistic(t)
	c := p.on(newMachine(), genesis)
	list := func() error {
		v, err := vault.Open(t.Context(), c)
		if err == nil {
			_, _, err = v.List(t.Context(), "")
		}
		return err
	}
	if err := list(); err != nil {
		t.Fatal(err)
	}
	for _, k := range p.mem.Keys() {
		if strings.HasPrefix(k, "a/") {
			p.mem.Remove(k)
		}
	}
	if err := list(); !errors.Is(err, vault.ErrRolledBack) {
		t.Errorf("a client with memory got %v", err)
	}
}
