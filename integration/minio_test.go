//go:build full

package integration_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/integration/servers"
)

// Building MinIO takes up to nine minutes, so its tests run only with the tag
// "full".

func TestMinIOConformance(t *testing.T) {
	for _, v := range s3Servers {
		t.Run(v.name, func(t *testing.T) { conform(t, servers.MinIO(t, v.options), v.options.Versioning) })
	}
}

func TestMinIOObjectLock(t *testing.T) {
	server := servers.MinIO(t, servers.Options{TLS: true})
	server.MakeBucket(t, "locked", true, true)
	objectLock(t, server)
}

func TestMinIOLifecycle(t *testing.T) {
	server := servers.MinIO(t, servers.Options{})
	server.MakeBucket(t, "vault", false, false)
	rules := lifecycle.NewConfiguration()
	rules.Rules = []lifecycle.Rule{{
		ID: "tidy", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: "models/"}, Expiration: lifecycle.Expiration{Days: 30},
	}}
	if err := server.Client(t).SetBucketLifecycle(t.Context(), "vault", rules); err != nil {
		t.Fatal(err)
	}
	for prefix, refused := range map[string]bool{"": true, "models": true, "models/a": true, "other": false} {
		c, err := openS3(t, server, "vault", prefix).Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(c.Refusals(), func(r string) bool { return strings.Contains(r, "lifecycle rule would expire") }); got != refused {
			t.Errorf("prefix %q: refused %q, notes %q", prefix, c.Refusals(), c.Notes)
		}
	}
}

// MinIO, as AWS, takes a put over a delete marker.
func TestMinIOPutOverMarker(t *testing.T) {
	server := servers.MinIO(t, servers.Options{})
	server.MakeBucket(t, "vault", true, false)
	ctx, store := t.Context(), openS3(t, server, "vault", "")
	if _, err := store.Put(ctx, "k", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := server.Client(t).RemoveObject(ctx, "vault", "k", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Get(ctx, backends.Ref{Key: "k"}, 0, -1); !errors.Is(err, backends.NotExist) {
		t.Errorf("get of a marker: %v", err)
	}
	if _, err := store.Put(ctx, "k", []byte("new")); err != nil {
		t.Errorf("put over a marker: %v", err)
	}
	var versions int
	for _, err := range store.List(ctx, "k", backends.ListOptions{Versions: true}) {
		if err != nil {
			t.Fatal(err)
		}
		versions++
	}
	if kept, err := store.Erase(ctx, "k"); versions != 3 || err != nil || len(kept) > 0 {
		t.Errorf("%d versions; erase: %v, %v", versions, kept, err)
	}
}
