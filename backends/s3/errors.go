package s3

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3/credential"
)

// ErrNoBucket means that there is no such bucket, which is not the same as an
// empty one.
var ErrNoBucket = errors.New("no such bucket")

// failure is a request that did not succeed.
type failure struct {
	status     int // 0: no answer, or none that could be read
	header     http.Header
	code       string // S3's; or, of a bad answer, what is wrong with it
	message    string // the store's, made printable
	id         string // of the request, for the store's operator
	retryAfter time.Duration
	left       bool          // bytes of the request may have left
	err        error         // why there was no answer
	kindIs     backends.Kind // decided already; else 0
	final      bool          // the same again would end the same
}

func (f *failure) Error() string {
	var b strings.Builder
	if f.status != 0 {
		fmt.Fprintf(&b, "%d %s", f.status, http.StatusText(f.status))
	}
	for _, part := range []string{f.code, f.message} {
		if part == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(part)
	}
	if f.err != nil {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(f.err.Error())
	}
	if hint := f.hint(); hint != "" {
		b.WriteString(" (" + hint + ")")
	}
	if f.id != "" {
		b.WriteString(" [request " + f.id + "]")
	}
	return b.String()
}

func (f *failure) Unwrap() error {
	if f.code == "NoSuchBucket" {
		return ErrNoBucket
	}
	return f.err
}

// hint says what a person can do.
func (f *failure) hint() string {
	if f.err != nil {
		var cert *tls.CertificateVerificationError
		var record tls.RecordHeaderError
		switch {
		case errors.As(f.err, &cert):
			return "is the certificate authority of this endpoint missing? name its file with --ca-file"
		case errors.As(f.err, &record):
			return "the endpoint does not speak TLS; insecure=1 means plain HTTP"
		}
		return ""
	}
	region := f.header.Get("X-Amz-Bucket-Region")
	switch {
	case f.code == "RequestTimeTooSkewed":
		return "the clocks of this machine and of the storage differ"
	case f.status/100 == 3 || f.code == "AuthorizationHeaderMalformed" || f.code == "IllegalLocationConstraintException":
		if region != "" && checkRegion(region) == nil {
			return "the bucket is in region " + region
		}
		return "is region= or endpoint= right?"
	case f.code == "ObjectParentIsFile" || f.code == "ExistingObjectIsDirectory":
		return "this store cannot hold one key below another"
	case f.status == http.StatusNotImplemented:
		return "the store does not know this kind of request"
	}
	return ""
}

func (f *failure) expired() bool {
	switch f.code {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return true
	}
	return errors.Is(f.err, credential.ErrExpired)
}

// refusal reads an answer whose status is not 2xx.
func refusal(resp *http.Response, text []byte, now time.Time) *failure {
	var x struct {
		Code, Message string
		ID            string `xml:"RequestId"`
	}
	_ = xml.Unmarshal(text, &x) // HEAD has no body, and a proxy's is no XML: the status remains
	f := &failure{
		status: resp.StatusCode, header: resp.Header,
		code: printable(x.Code), message: printable(x.Message), id: printable(x.ID),
	}
	if f.id == "" {
		f.id = printable(resp.Header.Get("X-Amz-Request-Id"))
	}
	f.retryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	if f.retryAfter == 0 && (throttled(f.code) || f.status == http.StatusTooManyRequests) {
		f.retryAfter = time.Second
	}
	return f
}

// retryAfter reads seconds or a date, up to an hour.
func retryAfter(text string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), time.Hour)
}

func throttled(code string) bool {
	switch code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests":
		return true
	}
	return false
}

// noCredentials says why nothing was sent.
func noCredentials(ctx context.Context, err error) *failure {
	f := &failure{err: err, kindIs: backends.Denied}
	if ctx.Err() != nil || errors.Is(err, credential.ErrUnavailable) && !errors.Is(err, credential.ErrExpired) {
		f.kindIs = backends.Unavailable
	}
	return f
}

// direction is whether a request changes something, so that a lost answer
// leaves the outcome open.
type direction bool

const (
	read  direction = false
	write direction = true
)

// kind classifies a failure. The code decides before the status.
func (f *failure) kind(d direction) backends.Kind {
	open := backends.Unavailable // an answer that says nothing about the outcome
	if d == write {
		open = backends.Indeterminate
	}
	switch {
	case f.kindIs != 0:
		return f.kindIs
	case f.status == 0 && f.left:
		return open
	case f.status == 0:
		return backends.Unavailable
	}
	switch f.code {
	case "NoSuchKey", "NoSuchVersion":
		return backends.NotExist
	case "NoSuchBucket", "EntityTooLarge", "KeyTooLongError", "ObjectParentIsFile", "ExistingObjectIsDirectory", "AuthorizationHeaderMalformed":
		return backends.Invalid
	case "SlowDown", "SlowDownRead", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests":
		return backends.Unavailable
	case "InternalError", "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict",
		"SlowDownWrite": // MinIO's word for a missed write quorum: some drives may have it
		return open // also within an answer of status 200, of one object among many
	case "RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch":
		return backends.Unavailable // arrived damaged, hence refused
	case "InvalidObjectState":
		return backends.Archived
	case "ObjectLocked":
		return backends.Retained
	case "QuotaExceeded", "StorageFull", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return backends.Full
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "RequestTimeTooSkewed":
		return backends.Denied
	}
	switch {
	case f.expired(), f.status == http.StatusUnauthorized, f.status == http.StatusForbidden:
		return backends.Denied
	case f.status == http.StatusNotFound:
		return backends.NotExist
	case f.status == http.StatusMethodNotAllowed && f.header.Get("X-Amz-Delete-Marker") == "true":
		return backends.NotExist
	case f.status == http.StatusConflict:
		return open
	case f.status == http.StatusPreconditionFailed:
		return backends.Exists
	case f.status == http.StatusTooManyRequests, f.status == http.StatusRequestTimeout:
		return backends.Unavailable
	case f.status == http.StatusInsufficientStorage:
		return backends.Full
	case f.status == http.StatusNotImplemented:
		return backends.Invalid
	case f.status >= 500:
		return open
	}
	return backends.Invalid
}

// transient reports whether the same request may succeed a little later.
func (f *failure) transient() bool {
	if f.final || f.kind(read) != backends.Unavailable || errors.Is(f.err, ErrStalled) {
		return false
	}
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return !errors.As(f.err, &cert) && !errors.As(f.err, &record)
}

// wrap makes the contract's error of err. key is without the store's prefix.
func (s *Store) wrap(op, key string, err error, d direction) error {
	if err == nil {
		return nil
	}
	var done *backends.Error
	if errors.As(err, &done) {
		return err
	}
	e := &backends.Error{Op: op, Key: key, Stalled: errors.Is(err, ErrStalled), Err: err}
	var f *failure
	if errors.As(err, &f) {
		e.Kind, e.RetryAfter, e.Expired = f.kind(d), f.retryAfter, f.expired()
	} else if e.Kind = backends.KindOf(err); e.Kind == 0 {
		e.Kind = backends.Unavailable
	}
	return e
}

// bad is an answer that breaks the protocol.
func bad(format string, args ...any) error {
	return &failure{code: fmt.Sprintf(format, args...), kindIs: backends.Corrupt, final: true}
}

// printable keeps what a store says fit for a terminal and a log.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 300)]
}
