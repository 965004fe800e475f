package integration_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/vault/journal"
)

// TestHostileS3 puts junk, holes and delete markers into journals on a real S3
// server that keeps versions, as somebody with bucket credentials can.
func TestHostileS3(t *testing.T) {
	server := servers.VersityGW(t, servers.Options{Versioning: true})
	server.MakeBucket(t, "models", true, false)
	bucket := server.Client(t)
	h := newHome(t, server.Environ("")...)
	keys := "local:" + filepath.Join(h.dir, "keys")
	location := server.URL("models", "")
	h.env = append(h.env, "AIVAULT_VAULT="+location, "AIVAULT_CUSTODY="+keys)
	genesis := h.json(t, 0, "init", location, "--custody", keys)["genesis"].(string)
	model := filepath.Join(h.dir, "model")
	pushes := 0
	push := func(h *home) map[string]any {
		t.Helper()
		pushes++
		if err := os.MkdirAll(model, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(model, "w.bin"), fmt.Appendf(nil, "weights %d", pushes), 0o644); err != nil {
			t.Fatal(err)
		}
		return h.json(t, 0, "push", "fraud", model)
	}
	head := push(h)["head"].(string)
	aid, _, _ := strings.Cut(head, "/")
	log := "a/" + aid + "/log/"
	seq := uint64(5)
	cold := func() *home {
		c := newHome(t, append(h.env[2:], "AIVAULT_GENESIS="+genesis)...)
		h.give(t, c)
		return c
	}
	put := func(key, body string) {
		t.Helper()
		if _, err := bucket.PutObject(t.Context(), "models", key, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	pull := func(h *home, code int) string {
		t.Helper()
		_, stderr := h.run(t, code, "pull", "fraud", filepath.Join(t.TempDir(), "out"))
		return stderr
	}

	t.Run("junk at the head", func(t *testing.T) {
		slot := log + journal.Slot(seq+1)
		put(slot, "junk")
		for _, c := range []*home{h, cold()} {
			if stderr := pull(c, 13); !strings.Contains(stderr, slot) || !strings.Contains(stderr, "audit skip") {
				t.Errorf("pull says %q", stderr)
			}
		}
		h.run(t, 13, "push", "fraud", model)
		h.run(t, 0, "audit", "skip", slot, "--artefact", "fraud", "--sha256", fmt.Sprintf("%x", sha256.Sum256([]byte("junk"))), "--reason", "junk")
		pull(cold(), 0)
		if v := push(h); v["version"] != 2.0 {
			t.Errorf("the push after it: %v", v)
		}
		seq += 3
		pull(cold(), 0)
	})
	t.Run("junk far above, and at the last number", func(t *testing.T) {
		put(log+journal.Slot(seq+1000), "junk")
		put(log+"0000000000000000", "junk")
		pull(cold(), 0)
		pull(h, 0)
		push(cold())
		seq++
		out, _ := cold().run(t, 0, "verify", "--full")
		if !strings.Contains(out, log+"0000000000000000") {
			t.Errorf("verify does not name it: %s", out)
		}
	})
	t.Run("a delete marker in each slot", func(t *testing.T) {
		for k := range seq {
			key := log + journal.Slot(k)
			if k == 6 {
				continue // the slot that was passed over
			}
			if err := bucket.RemoveObject(t.Context(), "models", key, minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			if out, _ := cold().run(t, 13, "verify", "--full"); !strings.Contains(out, key) {
				t.Errorf("verify does not name %s: %s", key, out)
			}
			undelete(t, bucket, key)
		}
		cold().run(t, 0, "verify", "--full")
		push(h)
		seq++
	})
	t.Run("the newest slot taken away", func(t *testing.T) {
		pin := push(h)["head"].(string)
		seq++
		if err := bucket.RemoveObject(t.Context(), "models", log+journal.Slot(seq), minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		pull(h, 17)
		cold().run(t, 17, "pull", "fraud", "out", "--pin", pin)
		if v := cold().json(t, 0, "pull", "fraud", "out"); v["freshness"] != "none" {
			t.Errorf("a cold client: %v", v)
		}
	})
}

// undelete removes the delete marker on top of a key.
func undelete(t *testing.T, bucket *minio.Client, key string) {
	t.Helper()
	for o := range bucket.ListObjects(t.Context(), "models", minio.ListObjectsOptions{Prefix: key, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if o.IsDeleteMarker {
			if err := bucket.RemoveObject(t.Context(), "models", key, minio.RemoveObjectOptions{VersionID: o.VersionID}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestHungServer talks to a server that accepts connections and never answers.
func TestHungServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	h := newHome(t, "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b")
	h.run(t, 0, "identity", "new", filepath.Join(h.dir, "id"))
	_, stderr := h.run(t, 18, "list", "--identity", filepath.Join(h.dir, "id"), "--stall", "1s", "--json", "--genesis", strings.Repeat("0a", 32),
		"--vault", fmt.Sprintf("s3://models?endpoint=%s&insecure=1&path-style=1&region=us-east-1", l.Addr()))
	var e struct {
		Code    int
		Kind    string
		Message string
	}
	if err := json.Unmarshal([]byte(stderr), &e); err != nil || e.Code != 18 {
		t.Errorf("%q (%v)", stderr, err)
	}
}

// TestFullDisk fills a small file system of its own.
func TestFullDisk(t *testing.T) {
	h := newHome(t)
	model := filepath.Join(h.dir, "model")
	if err := os.MkdirAll(model, 0o755); err != nil {
		t.Fatal(err)
	}
	weights := make([]byte, 8<<20)
	for i := range weights {
		weights[i] = byte(rand.Uint32()) // so that no encoding makes it fit
	}
	if err := os.WriteFile(filepath.Join(model, "w.bin"), weights, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "small"), []byte("small"), 0o644); err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(h.dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	script := `mount -t tmpfs -o size=6m tmpfs disk
aivault() { "` + h.program + `" "$@"; }
aivault init disk/vault >/dev/null
aivault push fraud small >/dev/null
code=0; aivault push fraud model || code=$?
echo "exit $code"
aivault verify --full
aivault pull fraud out`
	cmd := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-euc", script)
	cmd.Dir, cmd.Env = h.dir, append(h.env, "AIVAULT_VAULT=disk/vault", "AIVAULT_CUSTODY=local:keys")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), "exit 1\n") || !strings.Contains(string(out), "full") {
		t.Errorf("a push to a full disk: %s", out)
	}
	if got, err := os.ReadFile(filepath.Join(h.dir, "out", "small")); err != nil || string(got) != "small" {
		t.Errorf("what was stored before: %q, %v", got, err)
	}
}
