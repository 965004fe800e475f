//go:build unix

package integration_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	manyFiles = flag.Int("files", 100_000, "how many files TestManyFiles pushes and pulls")
	sparseGiB = flag.Int64("sparse", 1, "how long the file of TestSparseFile is, in GiB")
)

// maxMemory is what no command may exceed, at any size.
const maxMemory = 512 << 20

// measured runs the program, demands success, and checks how much memory it took.
func (h *home) measured(t *testing.T, args ...string) map[string]any {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), h.program, append(args, "--json")...)
	var stderr strings.Builder
	cmd.Env, cmd.Dir, cmd.Stderr = h.env, h.dir, &stderr
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- peakMemory(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	close(ended)
	rss, out := <-peak, stdout.Bytes()
	if err != nil {
		t.Fatalf("aivault %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	t.Logf("%s: %v, %d MiB", args[0], time.Since(began).Round(time.Millisecond), rss>>20)
	if rss > maxMemory {
		t.Errorf("aivault %s took %d MiB of memory", strings.Join(args, " "), rss>>20)
	}
	var v map[string]any
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("aivault %s printed %q: %v", strings.Join(args, " "), out, err)
	}
	return v
}

// peakMemory looks again and again at the most memory that a process has had at
// once, until it has ended. What wait4(2) tells is no less than what this test's
// own process had when it started the other.
func peakMemory(pid int, ended <-chan struct{}) (peak int64) {
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(status)) {
			var kib int64
			if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
				peak = max(peak, kib<<10)
			}
		}
		select {
		case <-ended:
			return peak
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func sizeHome(t *testing.T) *home {
	t.Helper()
	vault := filepath.Join(t.TempDir(), "vault")
	h := newHome(t, "AIVAULT_VAULT="+vault)
	h.run(t, 0, "init", vault)
	return h
}

// TestManyFiles takes directories of no file, one, and many through a vault.
func TestManyFiles(t *testing.T) {
	h := sizeHome(t)
	for _, n := range []int{0, 1, *manyFiles} {
		dir := filepath.Join(memoryDir(t), "files")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			sub := filepath.Join(dir, fmt.Sprintf("d%03d", i/1000))
			if i%1000 == 0 {
				if err := os.Mkdir(sub, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			mode := os.FileMode(0o644)
			if i%7 == 0 {
				mode = 0o755
			}
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%06d", i)), fmt.Appendf(nil, "%d", i*i), mode); err != nil {
				t.Fatal(err)
			}
		}
		name := fmt.Sprintf("files-%d", n)
		if done := h.measured(t, "push", name, dir); done["files"] != float64(n) {
			t.Errorf("%d files: %v", n, done)
		}
		dest := filepath.Join(memoryDir(t), "out")
		h.measured(t, "pull", name, dest)
		sameTree(t, dir, dest)
	}
	h.measured(t, "verify")
}

// memoryDir returns a directory in memory, where there is one: a pull syncs every
// file, which says more about a disk than about the pull.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "aivault-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestSparseFile takes a large file through a vault, of which almost all is a
// hole, so that its many chunks are few.
func TestSparseFile(t *testing.T) {
	h := sizeHome(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "sparse.bin")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	size := *sparseGiB<<30 + 12345
	for i := range int64(5) {
		if _, err := f.WriteAt([]byte("not a hole"), size/5*i+4321); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if done := h.measured(t, "push", "sparse", dir); done["bytes"] != float64(size) || done["stored_bytes"].(float64) > 8*17<<20 {
		t.Errorf("%v", done)
	}
	dest := filepath.Join(t.TempDir(), "out")
	h.measured(t, "pull", "sparse", dest)
	if a, b := sumOf(t, name), sumOf(t, filepath.Join(dest, "sparse.bin")); a != b {
		t.Errorf("another file came back: %x, not %x", b, a)
	}
}

func sumOf(t *testing.T, name string) (sum [sha256.Size]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		t.Fatal(err)
	}
	hash.Sum(sum[:0])
	return sum
}
