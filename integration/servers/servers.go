// Package servers builds, caches and starts the real servers that tests and
// benchmarks run against: S3 servers that are right, some that are known to be
// wrong, and a proxy that injects faults before either. Everything listens on
// loopback, on free ports, and dies with the test, or with [Run]. And a browser, to
// look at pages.
//
// A server that cannot be had fails the test: nothing is skipped. Programs are
// kept in the user's cache directory, below aivault-test/; the first test to
// need one builds it (versitygw: two to four minutes), others wait.
package servers

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Options says how a server is started.
type Options struct {
	TLS        bool   // with a certificate authority made for the occasion
	Versioning bool   // buckets can keep versions, and lock objects
	DataDir    string // where objects are; empty: a temporary directory
	AccessKey  string // empty: the same for every server
	SecretKey  string
}

// S3 is a running server, or a proxy in front of one.
type S3 struct {
	Endpoint  string // host:port
	Insecure  bool   // plain HTTP
	AccessKey string
	SecretKey string
	CAFile    string         // absolute; empty on plain HTTP
	RootCAs   *x509.CertPool // the same; nil on plain HTTP
	DataDir   string         // where objects are, if on disk
}

const (
	accessKey = "testaccess"
	secretKey = "testsecret123"
	// Region is what every server here calls itself.
	Region = "us-east-1"

	readyTime = 30 * time.Second
)

// URL is the vault URL of a bucket here. prefix may be empty.
func (s *S3) URL(bucket, prefix string) string {
	values := url.Values{"endpoint": {s.Endpoint}, "region": {Region}, "path-style": {"1"}}
	if s.Insecure {
		values.Set("insecure", "1")
	}
	if prefix != "" {
		bucket += "/" + prefix
	}
	return "s3://" + bucket + "?" + values.Encode()
}

// Environ is what a process needs in its environment to use the server.
// prefix is empty for the vault's storage, or AIVAULT_CUSTODY_ for the keeper's.
func (s *S3) Environ(prefix string) []string {
	return []string{prefix + "AWS_ACCESS_KEY_ID=" + s.AccessKey, prefix + "AWS_SECRET_ACCESS_KEY=" + s.SecretKey, "AWS_EC2_METADATA_DISABLED=true"}
}

// Client is minio-go's, which shares no code with the store under test but the
// signer.
func (s *S3) Client(t T) *minio.Client {
	t.Helper()
	transport := s.transport()
	t.Cleanup(transport.CloseIdleConnections)
	c, err := minio.New(s.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Secure: !s.Insecure,
		Region: Region, BucketLookup: minio.BucketLookupPath, Transport: transport, MaxRetries: 3,
	})
	if err != nil {
		t.Fatalf("client of %s: %v", s.Endpoint, err)
	}
	return c
}

func (s *S3) transport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}}
}

// MakeBucket makes a bucket. With lock, which includes versioning, it can lock objects.
func (s *S3) MakeBucket(t T, name string, versioning, lock bool) {
	t.Helper()
	c := s.Client(t)
	if err := c.MakeBucket(t.Context(), name, minio.MakeBucketOptions{Region: Region, ObjectLocking: lock}); err != nil {
		t.Fatalf("making bucket %s: %v", name, err)
	}
	if versioning && !lock {
		if err := c.EnableVersioning(t.Context(), name); err != nil {
			t.Fatalf("versioning of bucket %s: %v", name, err)
		}
	}
}

// scheme and host, for requests that no S3 client makes.
func (s *S3) base() string {
	if s.Insecure {
		return "http://" + s.Endpoint
	}
	return "https://" + s.Endpoint
}

// answers reports whether anything at path answers in HTTP, whatever it says.
func (s *S3) answers(path string) bool {
	transport := s.transport()
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: time.Second}).Get(s.base() + path)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body) // only that it came matters
	resp.Body.Close()
	return true
}
