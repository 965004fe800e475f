package integration_test

import (
	"context"
	"testing"

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

// s3Servers are the servers and buckets that every test of S3 runs against.
var s3Servers = []struct {
	name    string
	options servers.Options
	bucket  func(t testing.TB, s *servers.S3)
}{
	{"http", servers.Options{}, func(t testing.TB, s *servers.S3) { s.MakeBucket(t, "vault", false, false) }},
	{"http versioned", servers.Options{Versioning: true}, func(t testing.TB, s *servers.S3) { s.MakeBucket(t, "vault", true, false) }},
	{"tls", servers.Options{TLS: true}, func(t testing.TB, s *servers.S3) { s.MakeBucket(t, "vault", false, false) }},
	{"tls versioned", servers.Options{TLS: true, Versioning: true}, func(t testing.TB, s *servers.S3) { s.MakeBucket(t, "vault", true, false) }},
}

func TestS3Conformance(t *testing.T) {
	for _, v := range s3Servers {
		t.Run(v.name, func(t *testing.T) {
			server := servers.VersityGW(t, v.options)
			v.bucket(t, server)
			store := openS3(t, server, "vault", "deep/Prefix_1")
			backendtest.Run(t, func(t *testing.T) backends.Store { return store })
		})
	}
}

var _ = context.Background
