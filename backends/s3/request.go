package s3

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3/credential"
)

const (
	emptySHA256     = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	unsignedPayload = "UNSIGNED-PAYLOAD"

	maxAnswer = 16 << 20 // of XML, in bytes: 1,000 keys of 1,024 bytes, escaped
	maxError  = 64 << 10
)

// request is one HTTP request to the bucket.
type request struct {
	method string
	key    string // below the bucket, with the store's prefix; empty: the bucket itself
	query  url.Values
	header http.Header
	body   []byte
	sha256 string // of body, in hex, or unsignedPayload; empty: there is no body

	url      string            // instead of the bucket's
	unsigned bool              // anonymous: only to see that it is refused
	as       *credential.Value // instead of the store's own
}

// answer is one with a 2xx status. Its body must be closed.
type answer struct {
	*download
	status int
	header http.Header
	length int64 // -1: not announced
}

// xml reads a bounded body and closes it.
func (a *answer) xml() ([]byte, error) {
	defer a.Close()
	data, err := io.ReadAll(io.LimitReader(a, maxAnswer+1))
	if err == nil && len(data) > maxAnswer {
		err = &failure{status: a.status, header: a.header, code: "answer too long", kindIs: backends.Corrupt}
	}
	return data, err
}

// discard reads the little that may follow, so that the connection can be used
// again, and closes the body.
func (a *answer) discard() {
	_, _ = io.CopyN(io.Discard, a, maxError) // the answer's status said all
	a.Close()
}

// send signs and sends r. Credentials that the store calls expired are fetched
// anew, and r is sent again if they differ: it was refused, hence not applied.
// Errors are of type *failure.
func (s *Store) send(ctx context.Context, r request) (*answer, error) {
	var last credential.Value
	for again := false; ; again = true {
		if err := ctx.Err(); err != nil {
			return nil, &failure{err: err} // what was sent was refused
		}
		v, err := s.c.Credentials.Get(ctx)
		if err != nil {
			return nil, noCredentials(ctx, err)
		}
		if again && v == last {
			return nil, &failure{status: http.StatusForbidden, code: "ExpiredToken"}
		}
		r.as = &v
		a, err := s.exchange(ctx, r)
		var f *failure
		if err == nil || again || !errors.As(err, &f) || !f.expired() {
			return a, err
		}
		s.c.Credentials.Invalidate(ctx, v)
		last = v
	}
}

// exchange sends r once, signed by r.as unless it is anonymous.
func (s *Store) exchange(ctx context.Context, r request) (*answer, error) {
	start := s.c.Now()
	inner, dog := watch(ctx, s.c.Stall, s.c.Now)
	var left atomic.Bool // bytes may have left
	inner = httptrace.WithClientTrace(inner, &httptrace.ClientTrace{WroteHeaders: func() { left.Store(true) }})

	req, body, err := s.build(inner, r, dog, &left)
	if err != nil {
		dog.close()
		return nil, &failure{err: err, kindIs: backends.Invalid}
	}
	if body != nil {
		defer body.stop()
	}
	resp, err := s.wire.Do(req)
	dog.rest()
	if err != nil {
		f := &failure{err: cause(ctx, inner, bare(err)), left: left.Load()}
		dog.close()
		s.log(ctx, r, f.status, start, f)
		return nil, f
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength}
	a.download = &download{
		body: resp.Body, ctx: ctx, inner: inner, dog: dog, left: resp.ContentLength,
		failed: func(err error) error { return &failure{err: err, left: true} },
	}
	if r.method == http.MethodHead {
		a.left = 0 // the length is that of a body which does not come
	}
	if resp.StatusCode/100 == 2 {
		s.log(ctx, r, a.status, start, nil)
		return a, nil
	}
	text, rerr := io.ReadAll(io.LimitReader(a, maxError))
	a.Close()
	f := refusal(resp, text, s.c.Now())
	f.left, f.err = true, rerr
	s.log(ctx, r, a.status, start, f)
	return nil, f
}

// build makes the HTTP request and signs it.
func (s *Store) build(ctx context.Context, r request, dog *watchdog, left *atomic.Bool) (*http.Request, *payload, error) {
	target := r.url
	if target == "" {
		target = s.base + "/" + r.key // keys and prefixes need no escaping
		if len(r.query) > 0 {
			target += "?" + r.query.Encode()
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, nil)
	if err != nil {
		return nil, nil, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if s.c.UserAgent != "" {
		req.Header.Set("User-Agent", s.c.UserAgent)
	}
	var body *payload
	if r.sha256 != "" {
		req.ContentLength = int64(len(r.body))
		req.Body = http.NoBody // with no byte to send, says Content-Length: 0
		if len(r.body) > 0 {
			body = &payload{dog: dog, sent: func() { left.Store(true) }, bytes: r.body}
			req.GetBody = body.open // used only where nothing was sent
			req.Body, _ = body.open()
		}
	}
	if r.unsigned {
		return req, body, nil
	}
	if req.Header.Set("X-Amz-Content-Sha256", r.sha256); r.sha256 == "" {
		req.Header.Set("X-Amz-Content-Sha256", emptySHA256)
	}
	return signer.SignV4(*req, r.as.AccessKey, r.as.SecretKey, r.as.Token, s.c.Region), body, nil
}

// bare drops what the HTTP client adds to an error: the method and the URL.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// log writes what happened, without headers, which carry credentials.
func (s *Store) log(ctx context.Context, r request, status int, start time.Time, f *failure) {
	if !s.c.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", r.method), slog.String("key", r.key), slog.Int("status", status),
		slog.Int("sent", len(r.body)), slog.Duration("took", s.c.Now().Sub(start)),
	}
	if f != nil {
		attrs = append(attrs, slog.String("error", f.Error()))
	}
	s.c.Logger.LogAttrs(ctx, slog.LevelDebug, "s3 request", attrs...)
}
