package transfer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/transfer"
)

// TestPlaced: several versions make one tree. What one of them moves is reused
// from wherever the tree held it, and what must be in a version is insisted on.
func TestPlaced(t *testing.T) {
	v := newVault(t)
	open := func(files map[string]string) *transfer.Version {
		t.Helper()
		s, _ := v.push(tree(t, files), nil)
		opened, err := transfer.Open(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	document := "what it is made of"
	own := open(map[string]string{"system.json": document, "z/own": "own", "*run.sh": "run"})
	weights := cheap(1, 6*mib)
	model, prompt := open(map[string]string{"weights": weights, "empty/": ""}), open(map[string]string{"p": "one", "q": ""})
	dest := filepath.Join(t.TempDir(), "serving")
	expect := map[string]canonical.Digest{"system.json": canonical.Sum([]byte(document))}
	placed := []transfer.Placed{{Version: own, Expect: expect}, {Version: model, At: "model"}, {Version: prompt, At: "prompt"}}
	want := tree(t, map[string]string{"system.json": document, "z/own": "own", "*run.sh": "run", "model/weights": weights, "model/empty/": "", "prompt/p": "one", "prompt/q": ""})
	if _, err := transfer.Pull(t.Context(), dest, placed, transfer.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	sameContents(t, dest, want)

	again, err := transfer.Pull(t.Context(), dest, placed, transfer.PullOptions{})
	if err != nil || again.Changed || again.KeptFiles != again.Files {
		t.Errorf("%+v, %v", again, err)
	}
	equal, err := transfer.CompareDeployed(t.Context(), dest, placed, transfer.DeployedOptions{})
	if err != nil || len(equal.Discrepancies) > 0 || equal.Files != 6 {
		t.Errorf("%+v, %v", equal, err)
	}
	sameModel := []transfer.Placed{{Version: own}, {Version: model, At: "better"}}
	moved, err := transfer.Pull(t.Context(), dest, sameModel, transfer.PullOptions{})
	if err != nil || !moved.Swapped || moved.Reused != int64(len(weights)) || moved.Fetched > 0 {
		t.Errorf("%+v, %v", moved, err)
	}
	only, err := transfer.Pull(t.Context(), t.TempDir(), placed, transfer.PullOptions{Include: []string{"prompt/p", "z/**"}})
	if err != nil || only.Files != 2 {
		t.Errorf("%+v, %v", only, err)
	}

	in := []transfer.Placed{{Version: own}, {Version: model, At: "z"}}
	_, err = transfer.Pull(t.Context(), t.TempDir(), in, transfer.PullOptions{})
	_, err2 := transfer.CompareDeployed(t.Context(), dest, in, transfer.DeployedOptions{Include: []string{"z"}})
	for _, err := range []error{err, err2} {
		if !errors.Is(err, transfer.ErrIntegrity) || !strings.Contains(err.Error(), `"z/own" is where another version`) {
			t.Errorf("two versions of one directory: %v", err)
		}
	}

	for name, expect := range map[string]map[string]canonical.Digest{
		"lacks a file": {"parts.json": canonical.Sum([]byte(document))},
		"is not what":  {"system.json": canonical.Sum([]byte("another"))},
	} {
		dest := t.TempDir()
		lies := []transfer.Placed{{Version: own, Expect: expect}, {Version: model, At: "model"}}
		_, err := transfer.Pull(t.Context(), dest, lies, transfer.PullOptions{})
		_, err2 := transfer.CompareDeployed(t.Context(), dest, lies, transfer.DeployedOptions{})
		for _, err := range []error{err, err2} {
			if !errors.Is(err, transfer.ErrIntegrity) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if left, err := os.ReadDir(dest); err != nil || len(left) > 0 {
			t.Errorf("%s: it left %v, %v", name, left, err)
		}
	}
}

// TestAdded: a file that stands nowhere is stored, and never in the place of one
// that does.
func TestAdded(t *testing.T) {
	dir := tree(t, map[string]string{"a": "a", "d/x": "x"})
	add := func(p, data string) error {
		_, err := transfer.Scan(t.Context(), []string{dir}, transfer.ScanOptions{Add: []transfer.Added{{Path: p, Data: []byte(data)}}})
		return err
	}
	for p, data := range map[string]string{"a": "b", "d": "b", "d/x": "b", "a/b": "b", "../x": "b", "": "b", "new": ""} {
		if err := add(p, data); !errors.Is(err, transfer.ErrSource) {
			t.Errorf("%q: %v", p, err)
		}
	}
	if err := add("d/y", "b"); err != nil {
		t.Error(err)
	}
	alone, err := transfer.Scan(t.Context(), nil, transfer.ScanOptions{Add: []transfer.Added{{Path: "only", Data: []byte("data")}}})
	if err != nil || alone.Files != 1 || alone.Bytes != 4 {
		t.Fatalf("%+v, %v", alone, err)
	}
	v := newVault(t)
	p, id := v.newPush()
	done, err := p.Run(t.Context(), alone, nil)
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	mustPull(t, v.source(p, done, id), dest, transfer.PullOptions{})
	sameContents(t, dest, tree(t, map[string]string{"only": "data"}))
}
