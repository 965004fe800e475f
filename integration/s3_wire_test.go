package integration_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3"
	"github.com/aivault/aivault/backends/s3/credential"
	"github.com/aivault/aivault/integration/servers"
)

func TestS3WhoMayNot(t *testing.T) {
	server := servers.VersityGW(t, servers.Options{TLS: true})
	server.MakeBucket(t, "vault", false, false)
	all := func(store *s3.Store) map[string]error {
		out := map[string]error{}
		_, out["put"] = store.Put(t.Context(), "k", []byte("x"))
		_, _, out["get"] = store.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		_, _, out["get of nothing"] = store.Get(t.Context(), backends.Ref{Key: "k"}, 0, 0)
		_, out["erase"] = store.Erase(t.Context(), "k")
		for _, err := range store.List(t.Context(), "", backends.ListOptions{}) {
			out["list"] = err
		}
		return out
	}
	wrong := func(c *s3.Config) { c.Credentials = credential.Static(server.AccessKey, "wrong", "") }
	for op, err := range all(openS3(t, server, "vault", "", wrong)) {
		if backends.KindOf(err) != backends.Denied {
			t.Errorf("%s with a wrong secret: %v", op, err)
		}
	}
	for op, err := range all(openS3(t, server, "no-such-bucket", "")) {
		// The answer to a HEAD has no words.
		if op != "get of nothing" && (backends.KindOf(err) != backends.Invalid || !errors.Is(err, s3.ErrNoBucket)) {
			t.Errorf("%s in a bucket that is not there: %v", op, err)
		}
	}
	for op, err := range all(openS3(t, server, "vault", "", func(c *s3.Config) { c.RootCAs = nil })) {
		if backends.KindOf(err) != backends.Unavailable || !strings.Contains(err.Error(), "--ca-file") {
			t.Errorf("%s without the server's authority: %v", op, err)
		}
	}
	plain := *server
	plain.Insecure = true
	if _, err := openS3(t, &plain, "vault", "").Put(t.Context(), "k", []byte("x")); err == nil {
		t.Error("a put in clear was answered by a server with TLS")
	}
}

type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	puts []http.Header
}

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method == http.MethodPut {
		r.mu.Lock()
		r.puts = append(r.puts, q.Header.Clone())
		r.mu.Unlock()
	}
	return r.next.RoundTrip(q)
}

func TestS3PutForms(t *testing.T) {
	for _, v := range []struct {
		name     string
		tls      bool
		unsigned []bool // for each put, whether its body is unsigned
	}{
		{"http", false, []bool{false, false, false}},
		{"tls", true, []bool{true, true, true}}, // but for the very first
	} {
		t.Run(v.name, func(t *testing.T) {
			server := servers.VersityGW(t, servers.Options{TLS: v.tls})
			server.MakeBucket(t, "vault", false, false)
			rec := &recorder{}
			store := openS3(t, server, "vault", "", func(c *s3.Config) {
				c.Wrap = func(next http.RoundTripper) http.RoundTripper { rec.next = next; return rec }
			})
			for i := range v.unsigned {
				body := bytes.Repeat([]byte{byte(i)}, 100_000)
				if _, err := store.Put(t.Context(), "k"+string(rune('0'+i)), body); err != nil {
					t.Fatal(err)
				}
				if _, err := store.Put(t.Context(), "k"+string(rune('0'+i)), body); !errors.Is(err, backends.Exists) {
					t.Fatalf("put %d is not conditional: %v", i, err)
				}
			}
			for i, h := range rec.puts {
				if unsigned := h.Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD"; unsigned != v.unsigned[i/2] && i > 0 {
					t.Errorf("put %d: content hash %q", i, h.Get("X-Amz-Content-Sha256"))
				}
				signed := h.Get("Authorization")
				if h.Get("If-None-Match") != "*" || !strings.Contains(signed, "if-none-match") || !strings.Contains(signed, "x-amz-checksum-crc32c") {
					t.Errorf("put %d: not signed: %s", i, signed)
				}
			}
			c, err := store.Probe(t.Context())
			if err != nil || !c.RefusesBadHash {
				t.Errorf("measured %+v, %v", c, err)
			}
		})
	}
}

func TestS3LeavesNoGoroutine(t *testing.T) {
	server := servers.VersityGW(t, servers.Options{TLS: true})
	server.MakeBucket(t, "vault", false, false)
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store := openS3(t, server, "vault", "")
	body := make([]byte, 8<<20)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := store.Put(ctx, "k"+string(rune('0'+i)), body)
			cancel() // the first to finish stops the others half-way
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	store.Close()
	goleak.VerifyNone(t, before)
}
