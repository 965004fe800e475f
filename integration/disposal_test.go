package integration_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/aivault/aivault/integration/servers"
)

// TestDisposalOnS3 takes a version to its end in a bucket that keeps old
// versions, and in one that also locks objects: requested, approved by two,
// executed by a runner who cannot read, certified, and purged as far as the lock
// allows; the rest once it is over.
func TestDisposalOnS3(t *testing.T) {
	for name, lock := range map[string]time.Duration{"versioned": 0, "locked": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disposalOnS3(t, lock)
		})
	}
}

func disposalOnS3(t *testing.T, lock time.Duration) {
	storage := servers.VersityGW(t, servers.Options{Versioning: true})
	storage.MakeBucket(t, "models", true, lock > 0)
	keys := servers.VersityGW(t, servers.Options{AccessKey: "keeperaccess", SecretKey: "keepersecret456"})
	keys.MakeBucket(t, "keys", false, false)
	location, custody := storage.URL("models", "team"), "object:"+keys.URL("keys", "")
	env := append(storage.Environ(""), keys.Environ("AIVAULT_CUSTODY_")...)
	env = append(env, "AIVAULT_VAULT="+location, "AIVAULT_CUSTODY="+custody)
	root := newHome(t, env...)
	genesis := root.json(t, 0, "init", location, "--custody", custody, "--member", "root")["genesis"].(string)
	root.env = append(root.env, "AIVAULT_GENESIS="+genesis)
	member := func(name, role string) *home {
		h := newHome(t, append(env, "AIVAULT_GENESIS="+genesis)...)
		if err := os.MkdirAll(filepath.Dir(h.identity()), 0o700); err != nil {
			t.Fatal(err)
		}
		line := h.json(t, 0, "identity", "new", h.identity())["public"].(string)
		root.run(t, 0, "member", "add", name, "--key", line, "--role", role, "--person", name+", Example Ltd")
		return h
	}
	dev, run := member("dev", "developer"), member("runner", "runner")
	one, two, three := member("one", "custodian"), member("two", "custodian"), member("three", "custodian")
	policy := filepath.Join(root.dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"approvals":2,"admin_quorum":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	root.run(t, 0, "policy", "set", policy)

	model := filepath.Join(dev.dir, "model")
	for i, text := range []string{"these are the weights", "these are others"} {
		if err := os.MkdirAll(model, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(model, "weights.bin"), []byte(strings.Repeat(text, 1000+i)), 0o644); err != nil {
			t.Fatal(err)
		}
		dev.run(t, 0, "push", "fraud", model)
	}
	vid := dev.json(t, 0, "show", "fraud@v1")["id"].(string)
	client := storage.Client(t)
	stored := func() (current, all []minio.ObjectInfo) {
		t.Helper()
		for o := range client.ListObjects(t.Context(), "models", minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			if strings.Contains(o.Key, vid) {
				if all = append(all, o); o.IsLatest && !o.IsDeleteMarker {
					current = append(current, o)
				}
			}
		}
		return current, all
	}
	_, before := stored()
	if lock > 0 {
		lockChunks(t.Context(), t, client, before, lock)
	}

	request := one.json(t, 0, "decommission", "request", "fraud@v1", "--reason", "contract ended")
	id, plan := request["id"].(string), request["plan_digest"].(string)
	run.run(t, 15, "decommission", "run", id, "--yes")
	one.run(t, 15, "decommission", "approve", id, "--plan", plan)
	run.run(t, 12, "decommission", "approve", id, "--plan", plan)
	two.run(t, 0, "decommission", "approve", id, "--plan", plan)
	if _, says := run.run(t, 15, "decommission", "run", id, "--yes"); !strings.Contains(says, "1 of 2 approvals") {
		t.Errorf("one approval where policy asks for two: %s", says)
	}
	three.run(t, 0, "decommission", "approve", id, "--plan", plan)
	run.run(t, 12, "pull", "fraud@v1", filepath.Join(run.dir, "out"))
	ran := run.json(t, 0, "decommission", "run", "--due")
	if ran["certificate"] != true || ran["state"] != "verified" || (ran["retained_objects"].(float64) > 0) != (lock > 0) {
		t.Errorf("the run: %v", ran)
	}
	dev.run(t, 14, "pull", "fraud@v1", filepath.Join(dev.dir, "out"))
	dev.run(t, 0, "pull", "fraud@v2", filepath.Join(dev.dir, "out"))
	if _, all := stored(); (len(all) > 0) != (lock > 0) {
		t.Errorf("%d object versions are left", len(all))
	}
	if lock > 0 {
		deadline := time.Now().Add(3 * lock)
		for {
			run.run(t, 0, "decommission", "run", "--due")
			if _, all := stored(); len(all) == 0 {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("%d object versions are left after the lock", len(all))
			}
			time.Sleep(time.Second)
		}
	}
	run.run(t, 0, "decommission", "verify", id)
	one.run(t, 0, "decommission", "accept", id)
	bundle := filepath.Join(one.dir, "certificate.bundle")
	one.run(t, 0, "decommission", "certificate", id, "--format", "bundle", "--out", bundle)
	nobody := newHome(t)
	if out, _ := nobody.run(t, 0, "certificate", "verify", bundle, "--genesis", genesis); !strings.Contains(out, "approved by two, Example Ltd (two), three, Example Ltd (three)") {
		t.Errorf("judged offline: %s", out)
	}
	dev.run(t, 0, "verify", "--full")
}

// lockChunks keeps the chunks among objects from being deleted.
func lockChunks(ctx context.Context, t *testing.T, client *minio.Client, objects []minio.ObjectInfo, d time.Duration) {
	t.Helper()
	mode, until := minio.Governance, time.Now().Add(d).UTC()
	for _, o := range objects {
		if !strings.Contains(o.Key, "/c/") {
			continue
		}
		err := client.PutObjectRetention(ctx, "models", o.Key, minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until, VersionID: o.VersionID})
		if err != nil {
			t.Fatal(err)
		}
	}
}
