package azblob

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/integration/servers"
)

// now is the clock of these tests.
var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

func open(t *testing.T, location string, c Credentials) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Location: location, Credentials: c, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// answering is a store that a handler answers for.
func answering(t *testing.T, c Credentials, h http.HandlerFunc) *Store {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return open(t, server.URL+"/account/vault", c)
}

// A signature is part of every URL, which errors of the network quote.
func TestSignatureIsNotShown(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusOK)
		panic(http.ErrAbortHandler)
	}))
	s := open(t, server.URL+"/account/vault", Credentials{SAS: "sv=1&sig=secret"})
	fails := func(what string) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, perr := s.Put(ctx, "k", []byte("body"))
		body, _, gerr := s.Get(ctx, backends.Ref{Key: "k"}, 0, -1)
		if gerr == nil {
			_, gerr = io.ReadAll(body)
			body.Close()
		}
		var lerr error
		for _, err := range s.List(ctx, "", backends.ListOptions{}) {
			lerr = err
		}
		for _, err := range []error{perr, gerr, lerr} {
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	fails("a connection that breaks")
	server.Close()
	fails("nobody there")
}

func TestLocation(t *testing.T) {
	for text, want := range map[string]location{
		"https://acme.blob.core.windows.net/models":       {"acme", "https://acme.blob.core.windows.net/models", ""},
		"https://acme.blob.core.windows.net/models/a/b.c": {"acme", "https://acme.blob.core.windows.net/models", "a/b.c/"},
		"http://127.0.0.1:10000/dev/models/":              {"dev", "http://127.0.0.1:10000/dev/models", ""},
		"http://localhost:10000/dev/models/x":             {"dev", "http://localhost:10000/dev/models", "x/"},
	} {
		if got, err := parseLocation(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "acme", "http://acme.blob.core.windows.net/models", "https://acme.blob.core.windows.net/", "http://127.0.0.1:1/dev",
		"https://acme.blob.core.windows.net/models?sv=1&sig=x", "https://user:pw@acme.blob.core.windows.net/models", "ftp://acme.net/models",
		"https://acme.blob.core.windows.net/models/../x", "https://acme.blob.core.windows.net/models/A",
	} {
		if _, err := parseLocation(text); !errors.Is(err, backends.Invalid) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	for _, c := range []Credentials{
		{Key: "no base64"}, {SAS: "?sv=1"}, {ConnectionString: "AccountName=x;EndpointSuffix=y"},
	} {
		_, err := Open(t.Context(), Options{Location: "https://acme.blob.core.windows.net/models", Credentials: c, Now: time.Now})
		if !errors.Is(err, backends.Denied) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for want, c := range map[string]Credentials{
		"SharedKey other:":   {ConnectionString: "DefaultEndpointsProtocol=https;AccountName=other;AccountKey=" + key + ";EndpointSuffix=core.windows.net"},
		"SharedKey account:": {Key: key},
		"sig=abc&sv=1":       {ConnectionString: "BlobEndpoint=https://x;SharedAccessSignature=sv=1&sig=abc"},
		"sig=def":            {SAS: "?sv=1&sig=def"},
	} {
		var got string
		s := answering(t, c, func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Get("Authorization") + r.URL.RawQuery
			w.Header().Set("x-ms-error-code", "BlobNotFound")
			w.WriteHeader(http.StatusNotFound)
		})
		if _, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1); !errors.Is(err, backends.NotExist) {
			t.Error(err)
		}
		if !strings.Contains(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
}

// What Azure answers, and what it means to a Put and to a Get.
func TestErrors(t *testing.T) {
	sas := Credentials{SAS: "sv=1&sig=abc&se=2026-10-31T00:00:00Z"}
	for _, c := range []struct {
		status   int
		code     string
		put, get backends.Kind
	}{
		{409, "BlobAlreadyExists", backends.Exists, backends.Exists},
		{412, "ConditionNotMet", backends.Exists, backends.Exists},
		{409, "BlobImmutableDueToPolicy", backends.Exists, backends.Retained},
		{404, "BlobNotFound", backends.NotExist, backends.NotExist},
		{404, "ContainerNotFound", backends.Unavailable, backends.Unavailable},
		{404, "", backends.Unavailable, backends.Unavailable},
		{403, "AuthenticationFailed", backends.Denied, backends.Denied},
		{409, "BlobArchived", backends.Archived, backends.Archived},
		{400, "Md5Mismatch", backends.Unavailable, backends.Unavailable},
		{413, "RequestBodyTooLarge", backends.Invalid, backends.Invalid},
		{400, "InvalidHeaderValue", backends.Invalid, backends.Invalid},
		{501, "", backends.Indeterminate, backends.Unavailable},
		{507, "", backends.Indeterminate, backends.Full},
	} {
		s := answering(t, sas, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("x-ms-error-code", c.code)
			w.WriteHeader(c.status)
		})
		_, perr := s.Put(t.Context(), "k", []byte("body"))
		_, _, gerr := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		if backends.KindOf(perr) != c.put || backends.KindOf(gerr) != c.get {
			t.Errorf("%d %s: put %v, get %v", c.status, c.code, perr, gerr)
		}
		var e *backends.Error
		if errors.As(perr, &e) && e.Expired != (c.put == backends.Denied) {
			t.Errorf("%d %s: expired %v", c.status, c.code, e.Expired)
		}
		if strings.Contains(perr.Error()+gerr.Error(), "abc") {
			t.Errorf("the signature is shown: %v, %v", perr, gerr)
		}
	}
}

func TestBusy(t *testing.T) {
	requests := 0
	s := answering(t, Credentials{Key: key}, func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("Retry-After", "7")
		w.Header().Set("x-ms-error-code", "ServerBusy")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, err := s.Put(t.Context(), "k", []byte("body"))
	var e *backends.Error
	if !errors.As(err, &e) || e.Kind != backends.Unavailable || e.RetryAfter != 7*time.Second || requests != 1 {
		t.Errorf("%v after %d requests, want one attempt that is unavailable for 7 s", err, requests)
	}
}

// A put whose answer is lost may have been applied; one that never left was not.
func TestLostAnswer(t *testing.T) {
	s := answering(t, Credentials{Key: key}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	})
	if _, err := s.Put(t.Context(), "k", []byte("body")); !errors.Is(err, backends.Indeterminate) {
		t.Error(err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	s = open(t, gone.URL+"/account/vault", Credentials{Key: key})
	if _, err := s.Put(t.Context(), "k", []byte("body")); !errors.Is(err, backends.Unavailable) {
		t.Error(err)
	}
}

// Snapshots, which Azurite has, are listed, read and erased.
func TestSnapshots(t *testing.T) {
	a := servers.Azurite(t)
	s, err := Open(t.Context(), Options{Location: a.Endpoint + "/vault", Credentials: Credentials{Key: a.Key}, Create: true, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Put(t.Context(), "k", []byte("body")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.container.NewBlobClient("k").CreateSnapshot(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if versions := all(t, s, "k"); len(versions) != 2 || versions[0].Version != "" || !strings.HasPrefix(versions[1].Version, snapshotVersion) {
		t.Fatalf("versions %+v", versions)
	} else if r, _, err := s.Get(t.Context(), versions[1].Ref, 1, 2); err != nil {
		t.Error(err)
	} else if got, err := io.ReadAll(r); err != nil || string(got) != "od" {
		t.Errorf("%q, %v", got, err)
	}
	if rem, err := s.Erase(t.Context(), "k"); err != nil || len(rem) > 0 {
		t.Errorf("erase: %v, %v", rem, err)
	}
	if versions := all(t, s, "k"); len(versions) > 0 {
		t.Errorf("left: %+v", versions)
	}
}

func all(t *testing.T, s *Store, prefix string) []backends.Info {
	t.Helper()
	var out []backends.Info
	for in, err := range s.List(context.WithoutCancel(t.Context()), prefix, backends.ListOptions{Versions: true}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, in)
	}
	return out
}

// Versions, soft delete and immutability, which Azurite does not have: a double
// that keeps the states of one blob, as the service's documentation describes them.
func TestErasesVersions(t *testing.T) {
	const old, current = "2026-10-01T00:00:00.0000000Z", "2026-10-02T00:00:00.0000000Z"
	locked := now.AddDate(0, 0, 3)
	for name, c := range map[string]struct {
		soft, immutable bool
		want            []backends.Remnant
	}{
		"plain":     {},
		"soft":      {soft: true, want: []backends.Remnant{{Ref: backends.Ref{Key: "k", Version: old}, Why: "soft delete", Until: now.AddDate(0, 0, 8)}, {Ref: backends.Ref{Key: "k", Version: current}, Why: "soft delete", Until: now.AddDate(0, 0, 8)}}},
		"immutable": {immutable: true, want: []backends.Remnant{{Ref: backends.Ref{Key: "k", Version: old}, Why: "immutability policy", Until: locked}}},
	} {
		t.Run(name, func(t *testing.T) {
			state := map[string]string{old: "old", current: "current"} // by version id
			s := answering(t, Credentials{Key: key}, func(w http.ResponseWriter, r *http.Request) {
				id := r.URL.Query().Get("versionid")
				switch {
				case r.Method == http.MethodGet:
					w.Header().Set("Content-Type", "application/xml")
					_, _ = io.WriteString(w, listing(state, c.immutable, locked))
				case id == "" && state[current] == "current":
					state[current] = "old"
					w.WriteHeader(http.StatusAccepted)
				case id == old && c.immutable:
					w.Header().Set("x-ms-error-code", "BlobImmutableDueToPolicy")
					w.WriteHeader(http.StatusConflict)
				case id == "" || state[id] != "old":
					w.Header().Set("x-ms-error-code", "BlobNotFound")
					w.WriteHeader(http.StatusNotFound)
				default:
					if delete(state, id); c.soft {
						state[id] = "deleted"
					}
					w.WriteHeader(http.StatusAccepted)
				}
			})
			if got := all(t, s, "k"); len(got) != 2 || got[0].Version != current || got[1].Version != old {
				t.Fatalf("newest first: %+v", got)
			}
			for range 2 {
				rem, err := s.Erase(t.Context(), "k")
				if err != nil || !slices.Equal(rem, c.want) {
					t.Errorf("%+v, %v\nwant %+v", rem, err, c.want)
				}
			}
			if len(state) != len(c.want) {
				t.Errorf("left: %v", state)
			}
		})
	}
}

// listing is what Azure says of the states of a blob, the oldest first.
func listing(state map[string]string, immutable bool, locked time.Time) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>`)
	ids := []string{}
	for id := range state {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for i, id := range ids {
		b.WriteString(`<Blob><Name>k</Name><VersionId>` + id + `</VersionId>`)
		switch state[id] {
		case "current":
			b.WriteString(`<IsCurrentVersion>true</IsCurrentVersion>`)
		case "deleted":
			b.WriteString(`<Deleted>true</Deleted>`)
		}
		b.WriteString(`<Properties><Content-Length>4</Content-Length>`)
		if state[id] == "deleted" {
			b.WriteString(`<RemainingRetentionDays>7</RemainingRetentionDays>`)
		}
		if immutable && i == 0 {
			b.WriteString(`<ImmutabilityPolicyUntilDate>` + locked.Format(http.TimeFormat) + `</ImmutabilityPolicyUntilDate>`)
		}
		b.WriteString(`</Properties></Blob>`)
	}
	b.WriteString(`</Blobs><NextMarker/></EnumerationResults>`)
	return b.String()
}
