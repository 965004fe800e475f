// Package s3 is the store on S3 and what is compatible with it.
//
// One object is one signed PUT with If-None-Match: *, never a multipart upload,
// and one page of a listing is one request. Requests are signed by minio-go's
// signer; the client around it is this package's own, because minio-go's
// (v7.4.1) drops the condition on multipart uploads, retries a PUT by itself,
// lists without a context, reads answers without a bound, hides an
// InvalidArgument from a batch deletion, replaces the cause of a lost connection
// by a text, and fetches credentials in a goroutine that outlives the call.
//
// A store must enforce If-None-Match on PutObject, which AWS, MinIO, versitygw,
// Ceph and R2 do; [Store.Probe] finds out. A body is protected on its way by its
// SHA-256, which the signature covers. Where the link is TLS and the store has
// shown that it checks CRC32C, that alone is sent, to save a pass of hashing:
// what a vault stores is verified end to end by other means anyway.
//
// Without the right to list, S3 answers 403 for a missing key, and Get is Denied
// where it would be NotExist. A put over a delete marker succeeds on AWS and
// MinIO and is refused by versitygw: whoever only writes must not delete.
package s3

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3/credential"
)

const (
	defaultStall  = time.Minute
	defaultJobs   = 16
	defaultRegion = "us-east-1"
	awsRoot       = "s3.amazonaws.com"
)

// Style is how a bucket is addressed.
type Style uint8

const (
	Auto        Style = iota // virtual-hosted on AWS, else by path
	PathStyle                // https://host/bucket/key
	VirtualHost              // https://bucket.host/key
)

// Config is what a Store needs to know. [ParseURL] fills the first part.
type Config struct {
	Bucket   string
	Prefix   string // keys lie below "prefix/"; empty: at the top of the bucket
	Endpoint string // host or host:port; empty: AWS
	Region   string // empty: AWS is asked once; elsewhere us-east-1
	Insecure bool   // plain HTTP; nothing switches certificate checks off
	Style    Style
	Profile  string // not used by Open: for the caller's credential.Options
	RoleARN  string // likewise

	Credentials *credential.Source // required: there is no anonymous access
	RootCAs     *x509.CertPool     // nil: the system's
	UserAgent   string
	Logger      *slog.Logger  // one debug line for each request; nil: none
	Stall       time.Duration // how long next to nothing may move on a request; 0: a minute
	Jobs        int           // connections kept open between requests; 0: 16
	Now         func() time.Time
	// Wrap stands between this package and the network: rate limits, faults.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Store is a [backends.Store] in a bucket.
type Store struct {
	c        Config
	base     string // scheme://host, with the bucket where it is addressed by path
	prefix   string // "" or "prefix/"
	wire     *http.Client
	idle     func()
	protects atomic.Int32 // a protection, for Put
}

var _ backends.Store = (*Store)(nil)

// Open checks c and returns a Store, with at most one request: to learn the
// region of a bucket on AWS. [Store.Close] lets go of its connections.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	if c.Credentials == nil {
		return nil, fmt.Errorf("s3: %w", credential.ErrNone)
	}
	c.Stall = cmp.Or(c.Stall, defaultStall)
	c.Jobs = cmp.Or(c.Jobs, defaultJobs)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{c: c}
	s.wire, s.idle = newWire(c)
	if c.Prefix != "" {
		s.prefix = c.Prefix + "/"
	}
	if c.Region == "" {
		s.c.Region = defaultRegion
		if c.Endpoint == "" {
			region, err := s.discoverRegion(ctx)
			if err != nil {
				s.Close()
				return nil, err
			}
			s.c.Region = region
		}
	}
	s.base = s.c.baseURL()
	return s, nil
}

// Close closes idle connections. Calls that are under way go on.
func (s *Store) Close() error {
	s.idle()
	return nil
}

// baseURL is where the bucket is, without a trailing slash.
func (c Config) baseURL() string {
	scheme, host := "https://", c.Endpoint
	if c.Insecure {
		scheme = "http://"
	}
	if host == "" {
		host = "s3." + c.Region + ".amazonaws.com"
		if strings.HasPrefix(c.Region, "cn-") {
			host += ".cn"
		}
	}
	// The default port would have to stand in the signed Host header as well,
	// where a proxy may drop it.
	if c.Insecure {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	style := c.Style
	// A certificate for *.host does not cover a bucket with a dot in its name.
	if style == Auto && c.Endpoint == "" && !strings.Contains(c.Bucket, ".") {
		style = VirtualHost
	}
	if style == VirtualHost {
		return scheme + c.Bucket + "." + host
	}
	return scheme + host + "/" + c.Bucket
}

// discoverRegion asks AWS where the bucket is. The answer's header says it
// whatever the status.
func (s *Store) discoverRegion(ctx context.Context) (string, error) {
	resp, err := s.exchange(ctx, request{method: http.MethodHead, url: "https://" + awsRoot + "/" + s.c.Bucket, unsigned: true})
	var f *failure
	switch {
	case err == nil:
		resp.Close()
		f = &failure{status: resp.status, header: resp.header}
	case !errors.As(err, &f) || f.status == 0:
		return "", s.wrap("open", "", err, read)
	}
	region := f.header.Get("X-Amz-Bucket-Region")
	if region == "" || checkRegion(region) != nil {
		if f.status == http.StatusNotFound {
			return "", &backends.Error{Op: "open", Key: s.c.Bucket, Kind: backends.Invalid, Err: ErrNoBucket}
		}
		return "", &backends.Error{Op: "open", Key: s.c.Bucket, Kind: backends.Invalid,
			Err: fmt.Errorf("AWS does not say in which region the bucket is (status %d); name it with region=", f.status)}
	}
	return region, nil
}
