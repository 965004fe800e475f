package s3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3/credential"
)

func insecure(c *Config) { c.Insecure = true }

// The one request of a put, as it goes out.
func TestPutOnTheWire(t *testing.T) {
	for _, plainHTTP := range []bool{true, false} {
		var seen []*http.Request
		var bodies []string
		rt := roundTrip(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			seen, bodies = append(seen, r), append(bodies, string(body))
			return answerWith(200, http.Header{"X-Amz-Version-Id": {"v1"}, "Date": {"Mon, 23 Nov 2026 10:00:00 GMT"}}, ""), nil
		})
		s := open(t, rt, func(c *Config) {
			c.Insecure = plainHTTP
			c.UserAgent = "aivault/1"
			c.Credentials = credential.Static("AKID", "secret", "token")
		})
		in, err := s.Put(t.Context(), "a/k", []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if in.Key != "a/k" || in.Version != "v1" || in.Size != 5 || in.Modified.Hour() != 10 {
			t.Errorf("info %+v", in)
		}
		if len(seen) != 1 || bodies[0] != "hello" {
			t.Fatalf("%d requests, %q", len(seen), bodies)
		}
		r := seen[0]
		for name, want := range map[string]string{
			"If-None-Match":                "*",
			"X-Amz-Content-Sha256":         "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
			"X-Amz-Checksum-Crc32c":        "mnG7TA==",
			"X-Amz-Security-Token":         "token",
			"Content-Encoding":             "",
			"Expect":                       "",
			"X-Amz-Trailer":                "",
			"Content-Type":                 "application/octet-stream",
			"User-Agent":                   "aivault/1",
			"X-Amz-Decoded-Content-Length": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		for _, name := range []string{"host", "if-none-match", "x-amz-content-sha256", "x-amz-checksum-crc32c", "x-amz-security-token", "x-amz-date"} {
			if !strings.Contains(r.Header.Get("Authorization"), name) {
				t.Errorf("%s is not signed: %s", name, r.Header.Get("Authorization"))
			}
		}
		scheme := map[bool]string{true: "http", false: "https"}[plainHTTP]
		if r.Method != http.MethodPut || r.URL.String() != scheme+"://s3.test/bucket/p/a/k" || r.ContentLength != 5 || len(r.TransferEncoding) > 0 {
			t.Errorf("%s %s, length %d, %q", r.Method, r.URL, r.ContentLength, r.TransferEncoding)
		}
	}
}

// forms says how each put of a run went out.
func forms(requests []*http.Request) string {
	var out []string
	for _, r := range requests {
		form := "signed"
		if r.Header.Get("X-Amz-Content-Sha256") == unsignedPayload {
			form = "unsigned"
		}
		if r.Header.Get(checksumHeader) != "" {
			form += "+crc"
		}
		out = append(out, form)
	}
	return strings.Join(out, " ")
}

func TestPutForms(t *testing.T) {
	refuse := func(when func(*http.Request) bool, status int, code string) func(*fake) http.RoundTripper {
		return func(f *fake) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				if when(r) {
					io.Copy(io.Discard, r.Body)
					f.requests = append(f.requests, r)
					return answerWith(status, nil, "<Error><Code>"+code+"</Code></Error>"), nil
				}
				return f.RoundTrip(r)
			})
		}
	}
	asIs := func(f *fake) http.RoundTripper { return f }
	hasChecksum := func(r *http.Request) bool { return r.Header.Get(checksumHeader) != "" }
	isUnsigned := func(r *http.Request) bool { return r.Header.Get("X-Amz-Content-Sha256") == unsignedPayload }
	for _, test := range []struct {
		name    string
		checks  bool
		network func(*fake) http.RoundTripper
		plain   bool
		want    string // of three puts
	}{
		{"checksums are checked", true, asIs, false, "signed+crc unsigned+crc unsigned+crc"},
		{"checksums are ignored", false, asIs, false, "signed+crc signed+crc signed+crc"},
		{"plain HTTP", true, asIs, true, "signed+crc signed+crc signed+crc"},
		{"checksums are not known", false, refuse(hasChecksum, 501, "NotImplemented"), false, "signed+crc signed signed signed"},
		{"checksums are refused", false, refuse(hasChecksum, 400, "InvalidRequest"), false, "signed+crc signed signed signed"},
		{"unsigned bodies are forbidden", true, refuse(isUnsigned, 403, "AccessDenied"), false, "signed+crc unsigned+crc signed signed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fake{checksums: test.checks}
			s := open(t, test.network(f), func(c *Config) { c.Insecure = test.plain })
			for _, key := range []string{"a", "b", "c"} {
				if _, err := s.Put(t.Context(), key, []byte(key)); err != nil {
					t.Fatal(err)
				}
			}
			if got := forms(f.requests); got != test.want {
				t.Errorf("sent %s, want %s", got, test.want)
			}
			if len(f.objects) != 3 {
				t.Errorf("%d objects", len(f.objects))
			}
		})
	}
}

// A put is sent once, whatever the answer, unless it was refused for its form.
func TestPutIsNotRepeated(t *testing.T) {
	for _, test := range []struct {
		status int
		code   string
		want   int
	}{
		{500, "InternalError", 1}, {503, "SlowDown", 1}, {503, "", 1}, {502, "", 1}, {412, "PreconditionFailed", 1}, {409, "ConditionalRequestConflict", 1},
		{404, "NoSuchBucket", 1}, {403, "SignatureDoesNotMatch", 1}, {403, "RequestTimeTooSkewed", 1}, {400, "BadDigest", 1}, {400, "RequestTimeout", 1}, {429, "", 1},
		{307, "TemporaryRedirect", 1}, {403, "AccessDenied", 2}, {400, "InvalidArgument", 2},
	} {
		n := 0
		s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			n++
			io.Copy(io.Discard, r.Body)
			return answerWith(test.status, nil, "<Error><Code>"+test.code+"</Code></Error>"), nil
		}))
		if _, err := s.Put(t.Context(), "k", []byte("x")); err == nil || n != test.want {
			t.Errorf("%d %s: sent %d times, want %d: %v", test.status, test.code, n, test.want, err)
		}
	}
	n := 0
	s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		n++
		return nil, errors.New("no route")
	}))
	if _, err := s.Put(t.Context(), "k", []byte("x")); backends.KindOf(err) != backends.Unavailable || n != 1 {
		t.Errorf("sent %d times: %v", n, err)
	}
}

// The transport may read the body after it has answered, and must not see what
// the caller then does with it.
func TestPutLetsGoOfTheBody(t *testing.T) {
	var late io.ReadCloser
	s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		late = r.Body
		r.Body.Read(make([]byte, 1))
		return answerWith(412, nil, ""), nil
	}))
	body := []byte("precious")
	if _, err := s.Put(t.Context(), "k", body); !errors.Is(err, backends.Exists) {
		t.Fatal(err)
	}
	if n, err := late.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("read %d bytes after Put returned, %v", n, err)
	}
}
