package transfer_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault/transfer"
)

// inNamespace runs the calling test once more, in a mount namespace of its own
// after a script, and reports whether this is that run. There dir is the same
// directory.
func inNamespace(t *testing.T, script string) (dir string, inside bool) {
	t.Helper()
	const variable = "TEST_NAMESPACE"
	if dir := os.Getenv(variable); dir != "" {
		return dir, true
	}
	dir = t.TempDir()
	cmd := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-euc", script+"\nexec \"$0\" \"$@\"", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), variable+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v: %s", err, out)
	}
	return dir, false
}

// A mount point cannot be exchanged: it is said, and what helps is possible.
func TestMountPoint(t *testing.T) {
	dir, inside := inNamespace(t, "mkdir tmpfs bind bound\nmount -t tmpfs tmpfs tmpfs\nmount --bind bound bind")
	if !inside {
		return
	}
	for _, mount := range []string{"tmpfs", "bind"} {
		v := twoVersions(t)
		dest := filepath.Join(dir, mount)
		mustPull(t, v.v1, dest, transfer.PullOptions{})
		before := contents(t, dest)
		_, err := pull(t.Context(), v.v2, dest, transfer.PullOptions{})
		if !errors.Is(err, transfer.ErrNoExchange) || !errors.Is(err, transfer.ErrWouldOverwrite) {
			t.Errorf("%s: %v", mount, err)
		}
		if after := contents(t, dest); strings.Join(before, "\n") != strings.Join(after, "\n") {
			t.Errorf("%s: %q became %q", mount, before, after)
		}
		v.dest = filepath.Join(dest, "switched", "current")
		mustPull(t, v.v1, v.dest, transfer.PullOptions{Link: true})
		mustPull(t, v.v2, v.dest, transfer.PullOptions{Link: true})
		sameContents(t, v.dest+"/.", v.tree2)
		remove(t, filepath.Join(dest, "switched/current"))
		if err := os.RemoveAll(filepath.Join(dest, "switched")); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dest, "gone"), []byte("2"))
		mustPull(t, v.v1, dest, transfer.PullOptions{Force: true})
		sameContents(t, dest, v.tree1)
	}
}

// A directory that became a mount point after the first pull, and one whose
// directory may not be written.
func TestNothingMayBeWrittenBeside(t *testing.T) {
	dir, inside := inNamespace(t, "mkdir ro ro/dest\nmount --bind ro ro\nmount --bind ro/dest ro/dest\nmount -o remount,bind,ro ro")
	if !inside {
		return
	}
	v := twoVersions(t)
	dest := filepath.Join(dir, "ro", "dest")
	mustPull(t, v.v1, dest, transfer.PullOptions{})
	sameContents(t, dest, v.tree1)
	if _, err := pull(t.Context(), v.v2, dest, transfer.PullOptions{}); !errors.Is(err, transfer.ErrNoExchange) {
		t.Errorf("%v", err)
	}
	if _, err := pull(t.Context(), v.v1, filepath.Join(dir, "ro", "link"), transfer.PullOptions{Link: true}); !errors.Is(err, transfer.ErrNoExchange) {
		t.Errorf("a link: %v", err)
	}
}

// A pull that fills the disk leaves what stood there, and nothing else.
func TestDiskThatIsFull(t *testing.T) {
	dir, inside := inNamespace(t, "mkdir disk\nmount -t tmpfs -o size=12m tmpfs disk")
	if !inside {
		return
	}
	v := twoVersions(t)
	v.dest = filepath.Join(dir, "disk", "dest")
	mustPull(t, v.v1, v.dest, transfer.PullOptions{})
	large, _ := v.push(tree(t, map[string]string{"other": cheap(9, 10*mib), "changed": "3"}), nil)
	if _, err := pull(t.Context(), large, v.dest, transfer.PullOptions{}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("%v", err)
	}
	sameContents(t, v.dest, v.tree1)
	v.clean()
	mustPull(t, v.v2, v.dest, transfer.PullOptions{})
	sameContents(t, v.dest, v.tree2)
}
