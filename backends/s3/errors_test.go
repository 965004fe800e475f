package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3/credential"
)

// What each answer means for something that writes and something that reads.
func TestKinds(t *testing.T) {
	for _, test := range []struct {
		status     int
		code       string
		header     http.Header
		put, get   backends.Kind
		retryAfter time.Duration
		expired    bool
	}{
		{status: 412, code: "PreconditionFailed", put: backends.Exists, get: backends.Exists},
		{status: 409, code: "ConditionalRequestConflict", put: backends.Indeterminate, get: backends.Unavailable},
		{status: 409, code: "OperationAborted", put: backends.Indeterminate, get: backends.Unavailable},
		{status: 409, code: "ObjectParentIsFile", put: backends.Invalid, get: backends.Invalid},
		{status: 500, code: "InternalError", put: backends.Indeterminate, get: backends.Unavailable},
		{status: 502, put: backends.Indeterminate, get: backends.Unavailable},
		{status: 503, put: backends.Indeterminate, get: backends.Unavailable},
		{status: 504, put: backends.Indeterminate, get: backends.Unavailable},
		{status: 503, code: "SlowDown", put: backends.Unavailable, get: backends.Unavailable, retryAfter: time.Second},
		{status: 503, code: "SlowDown", header: http.Header{"Retry-After": {"7"}}, put: backends.Unavailable, get: backends.Unavailable, retryAfter: 7 * time.Second},
		{status: 503, code: "SlowDownWrite", put: backends.Indeterminate, get: backends.Unavailable, retryAfter: time.Second},
		{status: 429, put: backends.Unavailable, get: backends.Unavailable, retryAfter: time.Second},
		{status: 408, put: backends.Unavailable, get: backends.Unavailable},
		{status: 400, code: "RequestTimeout", put: backends.Unavailable, get: backends.Unavailable},
		{status: 400, code: "BadDigest", put: backends.Unavailable, get: backends.Unavailable},
		{status: 400, code: "XAmzContentSHA256Mismatch", put: backends.Unavailable, get: backends.Unavailable},
		{status: 400, code: "InvalidArgument", put: backends.Invalid, get: backends.Invalid},
		{status: 400, code: "EntityTooLarge", put: backends.Invalid, get: backends.Invalid},
		{status: 400, code: "ExpiredToken", put: backends.Denied, get: backends.Denied, expired: true},
		{status: 400, code: "AuthorizationHeaderMalformed", put: backends.Invalid, get: backends.Invalid},
		{status: 401, put: backends.Denied, get: backends.Denied},
		{status: 403, put: backends.Denied, get: backends.Denied},
		{status: 403, code: "AccessDenied", put: backends.Denied, get: backends.Denied},
		{status: 403, code: "RequestTimeTooSkewed", put: backends.Denied, get: backends.Denied},
		{status: 403, code: "InvalidObjectState", put: backends.Archived, get: backends.Archived},
		{status: 403, code: "QuotaExceeded", put: backends.Full, get: backends.Full},
		{status: 507, put: backends.Full, get: backends.Full},
		{status: 404, code: "NoSuchKey", put: backends.NotExist, get: backends.NotExist},
		{status: 404, code: "NoSuchVersion", put: backends.NotExist, get: backends.NotExist},
		{status: 404, code: "NoSuchBucket", put: backends.Invalid, get: backends.Invalid},
		{status: 405, code: "MethodNotAllowed", put: backends.Invalid, get: backends.Invalid},
		{status: 405, code: "MethodNotAllowed", header: http.Header{"X-Amz-Delete-Marker": {"true"}}, put: backends.NotExist, get: backends.NotExist},
		{status: 301, code: "PermanentRedirect", put: backends.Invalid, get: backends.Invalid},
		{status: 501, code: "NotImplemented", put: backends.Invalid, get: backends.Invalid},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Body != nil {
					io.Copy(io.Discard, r.Body)
				}
				body := ""
				if test.code != "" {
					body = "<Error><Code>" + test.code + "</Code></Error>"
				}
				return answerWith(test.status, test.header.Clone(), body), nil
			}))
			_, perr := s.Put(t.Context(), "k", []byte("x"))
			_, _, gerr := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
			for op, err := range map[string]error{"put": perr, "get": gerr} {
				var e *backends.Error
				want := map[string]backends.Kind{"put": test.put, "get": test.get}[op]
				if !errors.As(err, &e) || e.Kind != want || e.Op != op || e.Key != "k" || e.RetryAfter != test.retryAfter || e.Expired != test.expired {
					t.Errorf("%s answered %d %s: %#v, want %v, retry after %v, expired %v", op, test.status, test.code, e, want, test.retryAfter, test.expired)
				}
			}
			if errors.Is(gerr, fs.ErrNotExist) != (test.get == backends.NotExist) {
				t.Errorf("%d %s: fs.ErrNotExist? %v", test.status, test.code, gerr)
			}
			if errors.Is(gerr, ErrNoBucket) != (test.code == "NoSuchBucket") {
				t.Errorf("%d %s: ErrNoBucket? %v", test.status, test.code, gerr)
			}
		})
	}
}

func TestHints(t *testing.T) {
	for _, test := range []struct {
		status int
		code   string
		header http.Header
		want   string
	}{
		{403, "RequestTimeTooSkewed", nil, "clocks"},
		{301, "PermanentRedirect", http.Header{"X-Amz-Bucket-Region": {"eu-west-3"}}, "region eu-west-3"},
		{400, "AuthorizationHeaderMalformed", nil, "region="},
		{404, "NoSuchBucket", nil, "[31mof the store"},
	} {
		s := open(t, roundTrip(func(*http.Request) (*http.Response, error) {
			return answerWith(test.status, test.header, "<Error><Code>"+test.code+"</Code><Message>a word \u009b[31mof the store</Message><RequestId>REQ7</RequestId></Error>"), nil
		}))
		_, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\u009b") {
			t.Errorf("%s: %v", test.code, err)
		}
	}
}

// Credentials that the store calls expired are fetched again, once, also for a
// put: it was refused.
func TestExpiredCredentials(t *testing.T) {
	for _, test := range []struct {
		name   string
		keys   []string // what the environment holds, one after the other
		status error
		sent   int
	}{
		{"renewed", []string{"old", "new"}, nil, 2},
		{"not renewed", []string{"old", "old"}, backends.Denied, 1},
		{"renewed by expired ones", []string{"old", "older"}, backends.Denied, 2},
	} {
		looked, sent := 0, 0
		lookup := func(name string) string {
			switch name {
			case "AWS_ACCESS_KEY_ID":
				looked++
				return test.keys[min(looked, len(test.keys))-1]
			case "AWS_SECRET_ACCESS_KEY":
				return "s"
			}
			return ""
		}
		s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			sent++
			io.Copy(io.Discard, r.Body)
			if strings.Contains(r.Header.Get("Authorization"), "Credential=new/") {
				return answerWith(200, nil, ""), nil
			}
			return answerWith(400, nil, "<Error><Code>ExpiredToken</Code></Error>"), nil
		}), func(c *Config) { c.Credentials = credential.New(credential.Options{Lookup: lookup}) })
		_, err := s.Put(t.Context(), "k", []byte("x"))
		var e *backends.Error
		if !errors.Is(err, test.status) || errors.As(err, &e) && !e.Expired || sent != test.sent {
			t.Errorf("%s: sent %d times, %v", test.name, sent, err)
		}
	}
}

func TestNoCredentials(t *testing.T) {
	if _, err := Open(t.Context(), Config{Bucket: "bucket", Region: "r"}); !errors.Is(err, credential.ErrNone) {
		t.Errorf("open without credentials: %v", err)
	}
	s := open(t, roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("something was sent")
		return nil, io.EOF
	}), func(c *Config) { c.Credentials = credential.Static("", "", "") })
	for op, err := range everything(t, s) {
		if !errors.Is(err, credential.ErrNone) || backends.KindOf(err) != backends.Denied {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// everything does each operation once.
func everything(t *testing.T, s *Store) map[string]error {
	t.Helper()
	out := map[string]error{}
	_, out["put"] = s.Put(t.Context(), "k", []byte("x"))
	_, _, out["get"] = s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
	_, out["erase"] = s.Erase(t.Context(), "k")
	for _, err := range s.List(t.Context(), "", backends.ListOptions{}) {
		out["list"] = err
	}
	return out
}

// No byte for as long as Stall allows ends everything, at once and for good.
func TestStall(t *testing.T) {
	for name, server := range map[string]func(r *http.Request) (*http.Response, error){
		"no answer": func(r *http.Request) (*http.Response, error) {
			if r.Body != nil {
				io.Copy(io.Discard, r.Body)
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"body not taken": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, roundTrip(server), func(c *Config) { c.Stall = 10 * time.Second })
			for _, op := range []string{"put", "get", "list", "erase"} {
				start := time.Now()
				var err error
				switch op {
				case "put":
					_, err = s.Put(t.Context(), "k", []byte("x"))
				case "get":
					_, _, err = s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
				case "erase":
					_, err = s.Erase(t.Context(), "k")
				case "list":
					for _, err = range s.List(t.Context(), "", backends.ListOptions{}) {
					}
				}
				want := backends.Unavailable
				if op == "put" && name == "no answer" {
					want = backends.Indeterminate
				}
				if !errors.Is(err, ErrStalled) || backends.KindOf(err) != want || time.Since(start) != 10*time.Second {
					t.Errorf("%s, %s: after %v: %v", name, op, time.Since(start), err)
				}
			}
		})
	}
}

// slowBody gives so many bytes at a time, then none.
type slowBody struct {
	ctx    context.Context
	left   int // times
	amount int
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil || b.left == 0 {
		<-b.ctx.Done()
		return 0, b.ctx.Err()
	}
	select {
	case <-time.After(9 * time.Second):
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
	b.left--
	return min(len(p), b.amount), nil
}

func (b *slowBody) Close() error { return nil }

func TestSlowIsNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			resp := answerWith(200, nil, "")
			resp.Body, resp.ContentLength = &slowBody{r.Context(), 10, leastProgress}, 20*leastProgress
			return resp, nil
		}), func(c *Config) { c.Stall = 10 * time.Second })
		r, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		time.Sleep(time.Hour) // the caller may take its time
		if _, err := r.Read(make([]byte, leastProgress)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		got := make([]byte, 20*leastProgress)
		n, err := io.ReadFull(r, got)
		if n != 9*leastProgress || !errors.Is(err, ErrStalled) || backends.KindOf(err) != backends.Unavailable {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// A server that sends now and then a byte is not waited for.
func TestTrickleIsStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			resp := answerWith(200, nil, "")
			resp.Body, resp.ContentLength = &slowBody{r.Context(), 1000, 1}, 1000
			return resp, nil
		}), func(c *Config) { c.Stall = 60 * time.Second })
		r, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		start := time.Now()
		got, err := io.ReadAll(r)
		var e *backends.Error
		if took := time.Since(start); len(got) > 10 || took != time.Minute || !errors.As(err, &e) || !e.Stalled {
			t.Errorf("%d bytes in %v, %v", len(got), took, err)
		}
	})
}

func TestSlowUpload(t *testing.T) {
	for amount, want := range map[int]error{leastProgress: nil, 1: ErrStalled} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				for {
					if _, err := r.Body.Read(make([]byte, amount)); err != nil {
						return answerWith(200, nil, ""), r.Context().Err()
					}
					select {
					case <-time.After(9 * time.Second):
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
				}
			}), func(c *Config) { c.Stall = 10 * time.Second })
			start := time.Now()
			_, err := s.Put(t.Context(), "k", make([]byte, 20*leastProgress))
			if !errors.Is(err, want) || want != nil && time.Since(start) != 10*time.Second {
				t.Errorf("%d bytes at a time: %v after %v", amount, err, time.Since(start))
			}
		})
	}
}

func TestRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, always := 0, false
		f := &fake{page: 1000}
		s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			if n++; n%attempts != 0 || always {
				return answerWith(503, http.Header{"Retry-After": {"2"}}, "<Error><Code>SlowDown</Code></Error>"), nil
			}
			return f.RoundTrip(r)
		}))
		f.objects = []fakeObject{{key: "p/k", version: "null", body: []byte("x"), at: time.Now()}}
		start := time.Now()
		r, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		if err != nil || n != attempts {
			t.Fatalf("after %d requests: %v", n, err)
		}
		r.Close()
		if took := time.Since(start); took < 8*time.Second || took > 8*time.Second+attempts*longWait {
			t.Errorf("four waits of at least 2 s took %v", took)
		}
		for _, err := range s.List(t.Context(), "", backends.ListOptions{}) {
			if err != nil {
				t.Error(err)
			}
		}
		if _, err := s.Erase(t.Context(), "k"); err != nil || len(f.objects) != 0 {
			t.Errorf("erase: %v", err)
		}

		always = true
		_, _, err = s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		var e *backends.Error
		if !errors.As(err, &e) || e.Kind != backends.Unavailable || e.RetryAfter != 2*time.Second {
			t.Errorf("refused without end: %v", err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start, n = time.Now(), 0
		_, _, err = s.Get(ctx, backends.Ref{Key: "k"}, 0, -1)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// A certificate does not get better, nor does a server begin to speak TLS.
func TestFinalErrors(t *testing.T) {
	for hint, cause := range map[string]error{
		"--ca-file":  &tls.CertificateVerificationError{Err: errors.New("unknown authority")},
		"insecure=1": tls.RecordHeaderError{Msg: "not TLS"},
	} {
		n := 0
		s := open(t, roundTrip(func(*http.Request) (*http.Response, error) {
			n++
			return nil, cause
		}))
		_, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		if backends.KindOf(err) != backends.Unavailable || n != 1 || !strings.Contains(err.Error(), hint) {
			t.Errorf("after %d requests: %v", n, err)
		}
	}
}

func TestLogHasNoSecrets(t *testing.T) {
	var log strings.Builder
	s := open(t, &fake{page: 10}, func(c *Config) {
		c.Credentials = credential.Static("AKID", "topsecret", "toptoken")
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	everything(t, s)
	if !strings.Contains(log.String(), "method=PUT key=p/k status=200") {
		t.Errorf("logged: %s", log.String())
	}
	for _, secret := range []string{"topsecret", "toptoken", "Signature"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("logged %s: %s", secret, log.String())
		}
	}
}
