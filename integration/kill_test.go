package integration_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aivault/aivault/integration/servers"
)

var kills = flag.Int("kills", 5, "how often each test of what a kill leaves kills a process")

const (
	killJobs  = 2
	killFiles = 8
	killPiece = 4<<20 + 1 // a chunk of its own
	// inFlight is what may be lost: what the jobs had not finished, and the small
	// objects that every run writes.
	inFlight = killJobs*(killPiece+8<<10) + 128<<10
)

// killModel is a directory that is pushed in some 10 objects.
func killModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	b := make([]byte, killPiece)
	for i := range killFiles {
		random.Read(b)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("model-%02d.bin", i)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// killed starts the program and kills it, as kill -9 does, once at says so.
// It reports whether that came before the program's own end.
func (h *home) killed(t *testing.T, at <-chan time.Time, args ...string) bool {
	t.Helper()
	cmd := exec.Command(h.program, args...)
	var out bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stderr = h.env, h.dir, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("aivault %s: %v\n%s", strings.Join(args, " "), err, &out)
		}
		return false
	case <-at:
		if err := cmd.Process.Kill(); err != nil && !strings.Contains(err.Error(), "finished") {
			t.Fatal(err)
		}
		return <-ended != nil
	}
}

var chunkPath = regexp.MustCompile(`/v/([0-9a-f]{32})/c/[0-9a-f]{64}-[0-9a-f]{16}$`)

// chunkBytes adds up the chunks below a directory that is a vault.
func chunkBytes(t *testing.T, dir string) (sum int64) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !chunkPath.MatchString(filepath.ToSlash(path)) {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			sum += fi.Size()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestKilledPush: whenever a push is killed, the next one of the same files
// completes, sends no more again than was in flight, and everything verifies.
func TestKilledPush(t *testing.T) {
	model := killModel(t)
	t.Run("directory", func(t *testing.T) {
		vault := filepath.Join(t.TempDir(), "vault")
		h := newHome(t, "AIVAULT_VAULT="+vault, fmt.Sprintf("AIVAULT_JOBS=%d", killJobs))
		h.run(t, 0, "init", vault)
		began := time.Now()
		h.run(t, 0, "push", "clean", model)
		clean := time.Since(began)
		resumed := 0
		for i := range *kills {
			name, before := fmt.Sprintf("model-%d", i), chunkBytes(t, vault)
			cut := h.killed(t, time.After(rand.N(clean)), "push", name, model)
			stood := chunkBytes(t, vault) - before
			done := h.json(t, 0, "push", name, model)
			if sent := int64(done["uploaded_bytes"].(float64)); cut && sent > int64(done["stored_bytes"].(float64))-stood+128<<10 {
				t.Errorf("kill %d: %d bytes stood, %d of %v were sent", i, stood, sent, done["stored_bytes"])
			}
			if more := chunkBytes(t, vault) - before - int64(done["stored_bytes"].(float64)); more > inFlight {
				t.Errorf("kill %d: %d bytes are stored twice", i, more)
			}
			if done["resumed"] == true {
				resumed++
			}
			pullSame(t, h, name, model)
		}
		t.Logf("a push takes %v; %d of %d went on with what was killed", clean, resumed, *kills)
		h.run(t, 0, "verify", "--full")
	})
	t.Run("versitygw", func(t *testing.T) {
		server := servers.VersityGW(t, servers.Options{})
		server.MakeBucket(t, "vault", false, false)
		var sent, limit atomic.Int64
		limit.Store(1 << 62)
		reached := make(chan time.Time, 1)
		proxy, _ := servers.Proxy(t, server, func(_ int, r *http.Request) servers.Fault {
			if r.Method == http.MethodPut && sent.Add(r.ContentLength) > limit.Load() {
				limit.Store(1 << 62)
				time.AfterFunc(rand.N(30*time.Millisecond), func() { reached <- time.Time{} })
			}
			return servers.Fault{}
		})
		keys := filepath.Join(t.TempDir(), "keys")
		h := newHome(t, append(proxy.Environ(""), "AIVAULT_VAULT="+proxy.URL("vault", ""), "AIVAULT_CUSTODY=local:"+keys, fmt.Sprintf("AIVAULT_JOBS=%d", killJobs))...)
		h.run(t, 0, "init", proxy.URL("vault", ""), "--custody", "local:"+keys)
		for i := range *kills {
			name := fmt.Sprintf("model-%d", i)
			sent.Store(0)
			limit.Store(rand.Int64N((killFiles - 3) * killPiece))
			if !h.killed(t, reached, "push", name, model) {
				t.Fatal("it ended before it was killed")
			}
			first := sent.Load()
			done := h.json(t, 0, "push", name, model)
			again := sent.Load() - int64(done["stored_bytes"].(float64))
			if again > inFlight {
				t.Errorf("kill %d, after %d bytes: %d bytes were sent again", i, first, again)
			}
			t.Logf("killed after %d KiB, %d KiB were sent again; resumed: %v", first>>10, again>>10, done["resumed"])
			pullSame(t, h, name, model)
		}
		h.run(t, 0, "verify", "--full")
	})
}

func pullSame(t *testing.T, h *home, name, want string) {
	t.Helper()
	dest := filepath.Join(t.TempDir(), "out")
	h.run(t, 0, "pull", name, dest)
	sameTree(t, want, dest)
	if err := os.RemoveAll(dest); err != nil {
		t.Fatal(err)
	}
}

// TestKilledPull: whenever a pull is killed, what has its name is whole, and the
// next one keeps it.
func TestKilledPull(t *testing.T) {
	model := killModel(t)
	vault := filepath.Join(t.TempDir(), "vault")
	h := newHome(t, "AIVAULT_VAULT="+vault, fmt.Sprintf("AIVAULT_JOBS=%d", killJobs))
	h.run(t, 0, "init", vault)
	h.run(t, 0, "push", "model", model)
	began := time.Now()
	h.run(t, 0, "pull", "model", filepath.Join(t.TempDir(), "out"))
	clean := time.Since(began)
	for i := range *kills {
		dest := filepath.Join(t.TempDir(), "out")
		h.killed(t, time.After(rand.N(clean)), "pull", "model", dest)
		named, err := filepath.Glob(filepath.Join(dest, "*"))
		if err != nil {
			t.Fatal(err)
		}
		var kept int64
		for _, name := range named {
			if strings.HasPrefix(filepath.Base(name), ".") {
				continue // what was not verified
			}
			got, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(model, filepath.Base(name)))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("kill %d: %s has its name and not its bytes (%v)", i, filepath.Base(name), err)
			}
			kept += int64(len(got))
		}
		done := h.json(t, 0, "pull", "model", dest)
		if got := int64(done["kept_bytes"].(float64)); got < kept {
			t.Errorf("kill %d: %d bytes were there, %d were kept", i, kept, got)
		}
		t.Logf("%d KiB were there", kept>>10)
		left, err := filepath.Glob(filepath.Join(dest, ".aivault-partial-*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range left { // of the pull that was killed; nothing in it was verified
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
		sameTree(t, model, dest)
	}
}
