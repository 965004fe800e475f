package integration_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/s3"
	"github.com/aivault/aivault/backends/s3/credential"
	"github.com/aivault/aivault/integration/servers"
)

// openS3 opens a bucket of a test server as a store.
func openS3(t testing.TB, server *servers.S3, bucket, prefix string, change ...func(*s3.Config)) *s3.Store {
	t.Helper()
	c, err := s3.ParseURL(server.URL(bucket, prefix))
	if err != nil {
		t.Fatal(err)
	}
	c.Credentials = credential.Static(server.AccessKey, server.SecretKey, "")
	c.RootCAs = server.RootCAs
	c.Jobs = 64
	for _, f := range change {
		f(&c)
	}
	s, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// s3Servers are the servers that every test of S3 runs against.
var s3Servers = []struct {
	name    string
	options servers.Options
}{
	{"http", servers.Options{}},
	{"http versioned", servers.Options{Versioning: true}},
	{"tls", servers.Options{TLS: true}},
	{"tls versioned", servers.Options{TLS: true, Versioning: true}},
}

func TestS3Conformance(t *testing.T) {
	for _, v := range s3Servers {
		t.Run(v.name, func(t *testing.T) {
			server := servers.VersityGW(t, v.options)
			conform(t, server, v.options.Versioning)
		})
	}
}

// conform holds a bucket, and one that keeps versions where the server can, to the contract.
func conform(t *testing.T, server *servers.S3, versioning bool) {
	server.MakeBucket(t, "vault", versioning, false)
	store := openS3(t, server, "vault", "deep/Prefix_1")
	backendtest.Run(t, func(t *testing.T) backends.Store { return store })
	c, err := store.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if bad := c.Refusals(); len(bad) > 0 || c.Versioned != versioning || c.Locked || c.ExpiryRule || c.Replicated {
		t.Errorf("measured %+v, refused for %q", c, bad)
	}
	if c.ClockSkew.Abs() > 5*time.Second {
		t.Errorf("clock skew on one machine: %v", c.ClockSkew)
	}
}

// Servers known to be wrong are found out, in words.
func TestS3ProbeFindsOut(t *testing.T) {
	for _, v := range []struct {
		name    string
		start   func(servers.T) *servers.S3
		refused []string
		noted   string
	}{
		{"s3rver", servers.S3rver, []string{"conditional writes are ignored"}, "racing writers"},
		{"gofakes3", servers.GoFakeS3, []string{
			"requests without valid credentials are accepted",
			"a body that does not match its checksum is accepted",
			"an erased object can still be read or listed",
		}, "accepts object locks and does not enforce them"},
	} {
		t.Run(v.name, func(t *testing.T) {
			server := v.start(t)
			server.MakeBucket(t, "vault", false, false)
			c, err := openS3(t, server, "vault", "").Probe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range v.refused {
				if !slices.ContainsFunc(c.Refusals(), func(r string) bool { return strings.Contains(r, want) }) {
					t.Errorf("refused for %q, not for %q", c.Refusals(), want)
				}
			}
			if !slices.ContainsFunc(c.Notes, func(n string) bool { return strings.Contains(n, v.noted) }) {
				t.Errorf("noted %q, not %q", c.Notes, v.noted)
			}
		})
	}
}

func TestS3ObjectLock(t *testing.T) {
	server := servers.VersityGW(t, servers.Options{TLS: true, Versioning: true})
	server.MakeBucket(t, "locked", true, true)
	objectLock(t, server)
}

// objectLock erases objects under every kind of lock.
func objectLock(t *testing.T, server *servers.S3) {
	ctx, client := t.Context(), server.Client(t)
	store := openS3(t, server, "locked", "p")
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	on, off := minio.LegalHoldEnabled, minio.LegalHoldDisabled
	put := func(key string) backends.Info {
		t.Helper()
		in, err := store.Put(ctx, key, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		if in.Version == "" {
			t.Fatalf("put of %s in a versioned bucket told no version", key)
		}
		return in
	}
	retain := func(in backends.Info, mode minio.RetentionMode) {
		t.Helper()
		if err := client.PutObjectRetention(ctx, "locked", "p/"+in.Key, minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until, VersionID: in.Version}); err != nil {
			t.Fatal(err)
		}
	}
	hold := func(in backends.Info, status minio.LegalHoldStatus) {
		t.Helper()
		if err := client.PutObjectLegalHold(ctx, "locked", "p/"+in.Key, minio.PutObjectLegalHoldOptions{Status: &status, VersionID: in.Version}); err != nil {
			t.Fatal(err)
		}
	}

	free, governed, held, both := put("a/free"), put("b/governed"), put("c/held"), put("d/both")
	retain(governed, minio.Governance)
	retain(both, minio.Governance)
	hold(held, on)
	hold(both, on)
	got, err := store.Erase(ctx, free.Key, governed.Key, held.Key, both.Key)
	if err != nil {
		t.Fatal(err)
	}
	want := []backends.Remnant{
		{Ref: governed.Ref, Until: until, Why: "governance lock"},
		{Ref: held.Ref, Why: "legal hold"},
		{Ref: both.Ref, Why: "governance lock and legal hold"},
	}
	if !slices.EqualFunc(got, want, func(a, b backends.Remnant) bool { return a.Ref == b.Ref && a.Why == b.Why && a.Until.Equal(b.Until) }) {
		t.Errorf("erase returned\n%+v, want\n%+v", got, want)
	}
	_, in, err := store.Get(ctx, governed.Ref, 0, 0) // this server tells of locks in answers to HEAD alone
	if err != nil {
		t.Fatal(err)
	}
	if !in.RetainUntil.Equal(until) {
		t.Errorf("get says retained until %v, want %v", in.RetainUntil, until)
	}

	hold(held, off)
	if got, err = store.Erase(ctx, held.Key); err != nil || len(got) > 0 {
		t.Errorf("erase of a key whose hold was lifted: %v, %v", got, err)
	}

	// The probe tries the lock out, and leaves nothing behind.
	c, err := store.Probe(ctx)
	if err != nil || c.Locked || !c.Versioned || len(c.Refusals()) > 0 || slices.ContainsFunc(c.Notes, func(n string) bool { return strings.Contains(n, "lock") }) {
		t.Errorf("measured %+v, %q, %v", c, c.Refusals(), err)
	}
	for in, err := range store.List(ctx, "probe/", backends.ListOptions{Versions: true}) {
		t.Errorf("the probe left %+v, %v", in, err)
	}

	// A default retention locks whatever is put, the probe's objects as well.
	mode, days, unit := minio.Compliance, uint(1), minio.Days
	if err := client.SetObjectLockConfig(ctx, "locked", &mode, &days, &unit); err != nil {
		t.Fatal(err)
	}
	in = put("e/default")
	got, err = store.Erase(ctx, in.Key)
	if err != nil || len(got) != 1 || got[0].Ref != in.Ref || got[0].Why != "compliance lock" || got[0].Until.Sub(time.Now()) < 23*time.Hour {
		t.Errorf("erase under a default retention: %+v, %v", got, err)
	}
	c, err = store.Probe(ctx)
	if err != nil || !c.Locked || !c.Versioned || len(c.Refusals()) > 0 {
		t.Errorf("measured %+v, %q, %v", c, c.Refusals(), err)
	}
}

// What somebody else deleted without naming a version leaves a marker.
func TestS3DeleteMarker(t *testing.T) {
	server := servers.VersityGW(t, servers.Options{Versioning: true})
	server.MakeBucket(t, "vault", true, false)
	ctx, store := t.Context(), openS3(t, server, "vault", "")
	in, err := store.Put(ctx, "a/k", []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(ctx, "a/kk", []byte("neighbour")); err != nil {
		t.Fatal(err)
	}
	if err := server.Client(t).RemoveObject(ctx, "vault", "a/k", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Get(ctx, backends.Ref{Key: "a/k"}, 0, -1); !errors.Is(err, backends.NotExist) {
		t.Errorf("get of a marker: %v", err)
	}
	r, _, err := store.Get(ctx, in.Ref, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r); err != nil || string(body) != "old" {
		t.Errorf("get of the old version: %q, %v", body, err)
	}
	r.Close()
	var seen []string
	var marker backends.Ref
	for v, err := range store.List(ctx, "a/k", backends.ListOptions{Versions: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, v.Key); v.Marker {
			seen[len(seen)-1] += " deleted"
			marker = v.Ref
		}
	}
	if want := []string{"a/k deleted", "a/k", "a/kk"}; !slices.Equal(seen, want) {
		t.Errorf("versions %q, want %q", seen, want)
	}
	if _, _, err := store.Get(ctx, marker, 0, -1); !errors.Is(err, backends.NotExist) {
		t.Errorf("get of the marker by its version: %v", err)
	}
	// This server refuses a put over a marker; others do not.
	if _, err := store.Put(ctx, "a/k", []byte("new")); !errors.Is(err, backends.Exists) {
		t.Errorf("put over a marker: %v", err)
	}
	if _, err := store.Erase(ctx, "a/k"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(ctx, "a/k", []byte("new")); err != nil {
		t.Errorf("put after erase: %v", err)
	}
}

func TestS3Foreign(t *testing.T) {
	server := servers.VersityGW(t, servers.Options{})
	server.MakeBucket(t, "vault", false, false)
	ctx, store, client := t.Context(), openS3(t, server, "vault", "vaults/one"), server.Client(t)
	for _, key := range []string{"vaults/one/README.md", "vaults/one/a b+ä&<é", "vaults/one/folder_/x", "vaults/other", "vaults/one0"} {
		if _, err := client.PutObject(ctx, "vault", key, strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Put(ctx, "a/k", nil); err != nil {
		t.Fatal(err)
	}
	var foreign, ours []string
	for key, err := range store.Foreign(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		foreign = append(foreign, key)
	}
	if want := []string{"README.md", "a b+ä&<é", "folder_/x"}; !slices.Equal(foreign, want) {
		t.Errorf("foreign: %q, want %q", foreign, want)
	}
	for in, err := range store.List(ctx, "", backends.ListOptions{OneLevel: true}) {
		if err != nil {
			t.Fatal(err)
		}
		ours = append(ours, in.Key)
	}
	if want := []string{"a/"}; !slices.Equal(ours, want) {
		t.Errorf("listed: %q, want %q", ours, want)
	}
}

// recorder keeps the headers of what is sent.
// A real server checks the condition and the hash of each form of a put: that
// of a conformant one is shown by the probe, this shows which form it was.
