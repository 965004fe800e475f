package s3

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aivault/aivault/backends"
)

// Answers that are not what was asked for never pass as it.
func TestGetRefusesOtherRanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		ranges string
		body   string
		off, n int64
		want   backends.Kind // 0: fine
	}{
		{"right", 206, "bytes 2-4/10", "cde", 2, 3, 0},
		{"to the end", 206, "bytes 2-9/10", "cdefghij", 2, -1, 0},
		{"cut at the end", 206, "bytes 8-9/10", "ij", 8, 5, 0},
		{"whole as 200", 200, "", "abc", 0, 5, 0},
		{"later", 206, "bytes 3-4/10", "de", 2, 3, backends.Corrupt},
		{"not called part", 200, "bytes 2-4/10", "cde", 2, 3, backends.Corrupt},
		{"elsewhere", 206, "bytes 3-5/10", "def", 2, 3, backends.Corrupt},
		{"shorter", 206, "bytes 2-3/10", "cd", 2, 3, backends.Corrupt},
		{"longer", 206, "bytes 2-5/10", "cdef", 2, 3, backends.Corrupt},
		{"length and range differ", 206, "bytes 2-4/10", "cdefgh", 2, 3, backends.Corrupt},
		{"ignored", 200, "", "abcdefghij", 2, 3, backends.Corrupt},
		{"ignored from the start", 200, "", "abcdefghij", 0, 3, backends.Corrupt},
		{"no range", 206, "", "cde", 2, 3, backends.Corrupt},
		{"unknown size", 206, "bytes 2-4/*", "cde", 2, 3, backends.Corrupt},
		{"beyond the size", 206, "bytes 2-4/4", "cde", 2, 3, backends.Corrupt},
		{"signed", 206, "bytes +2-4/10", "cde", 2, 3, backends.Corrupt},
		{"overflow", 206, "bytes 2-4/99999999999999999999", "cde", 2, 3, backends.Corrupt},
		{"part of the whole", 206, "bytes 0-2/10", "abc", 0, -1, backends.Corrupt},
	} {
		s := open(t, roundTrip(func(*http.Request) (*http.Response, error) {
			return answerWith(test.status, http.Header{"Content-Range": {test.ranges}}, test.body), nil
		}))
		r, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, test.off, test.n)
		if backends.KindOf(err) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil {
			if got, err := io.ReadAll(r); string(got) != test.body || err != nil {
				t.Errorf("%s: %q, %v", test.name, got, err)
			}
			r.Close()
		}
	}
}

func TestGetWithoutLength(t *testing.T) {
	s := open(t, roundTrip(func(*http.Request) (*http.Response, error) {
		resp := answerWith(200, nil, "endless")
		resp.ContentLength = -1
		return resp, nil
	}))
	if _, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1); backends.KindOf(err) != backends.Corrupt {
		t.Error(err)
	}
}

// The answer to a HEAD tells the length of a body that does not come.
func TestHeadHasNoBody(t *testing.T) {
	s := open(t, roundTrip(func(*http.Request) (*http.Response, error) {
		resp := answerWith(404, nil, "")
		resp.ContentLength = 100
		return resp, nil
	}))
	_, _, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, 0)
	if !errors.Is(err, backends.NotExist) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// A body that ends early ends in an error, one that goes on is cut.
func TestGetBodyLength(t *testing.T) {
	for said, want := range map[int64]string{3: "abc", 5: "abcde", 9: "abcde"} {
		s := open(t, roundTrip(func(*http.Request) (*http.Response, error) {
			resp := answerWith(200, nil, "abcde")
			resp.ContentLength = said
			return resp, nil
		}))
		r, in, err := s.Get(t.Context(), backends.Ref{Key: "k"}, 0, -1)
		if err != nil || in.Size != said {
			t.Fatalf("%+v, %v", in, err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if string(got) != want || (err == nil) != (said <= 5) {
			t.Errorf("announced %d: %q, %v", said, got, err)
		}
		if err != nil && (!errors.Is(err, io.ErrUnexpectedEOF) || backends.KindOf(err) != backends.Unavailable) {
			t.Errorf("announced %d: %v", said, err)
		}
		if n, again := r.Read(make([]byte, 1)); said == 9 && (n != 0 || again != err) {
			t.Errorf("a second read gave %d, %v", n, again)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-1/2")
	f.Add("bytes 5-4/9")
	f.Add("bytes 2-4/4")
	f.Fuzz(func(t *testing.T, text string) {
		from, to, size, err := parseContentRange(text)
		if err == nil && (from < 0 || to < from || size <= to || !strings.HasPrefix(text, "bytes ")) {
			t.Fatalf("%q: %d-%d/%d", text, from, to, size)
		}
	})
}

// Listings from a store that is wrong or hostile.
func TestListRefuses(t *testing.T) {
	entry := func(keys ...string) string {
		var b strings.Builder
		for _, k := range keys {
			b.WriteString("<Contents><Key>p/" + k + "</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>")
		}
		return b.String()
	}
	version := strings.NewReplacer("Contents>", "Version>", "<Size>", "<VersionId>v</VersionId><Size>")
	result := func(inner string) string { return "<ListBucketResult>" + inner + "</ListBucketResult>" }
	versions := func(inner string) string { return "<ListVersionsResult>" + inner + "</ListVersionsResult>" }
	const more = "<IsTruncated>true</IsTruncated>"
	for _, test := range []struct {
		name    string
		page    string // the same again and again
		options backends.ListOptions
		prefix  string
		most    int // requests
	}{
		{"out of order", result(entry("b", "a")), backends.ListOptions{}, "", 1},
		{"twice", result(entry("a", "a")), backends.ListOptions{}, "", 1},
		{"another prefix", result(entry("a")), backends.ListOptions{}, "b", 1},
		{"above the store", result(strings.ReplaceAll(entry("a"), "p/a", "a")), backends.ListOptions{}, "", 1},
		{"page again", result(entry("a") + more + "<NextContinuationToken>t</NextContinuationToken>"), backends.ListOptions{}, "", 2},
		{"empty page again", result(more + "<NextContinuationToken>t</NextContinuationToken>"), backends.ListOptions{}, "", 2},
		{"no token", result(entry("a") + more), backends.ListOptions{}, "", 1},
		{"empty without end", result(more + "<NextContinuationToken>REQUEST</NextContinuationToken>"), backends.ListOptions{}, "", emptyPages + 1},
		{"empty versions again", versions(more + "<NextKeyMarker>p/b</NextKeyMarker>"), backends.ListOptions{Versions: true}, "", 2},
		{"empty versions without end", versions(more + "<NextKeyMarker>p/b</NextKeyMarker><NextVersionIdMarker>REQUEST</NextVersionIdMarker>"), backends.ListOptions{Versions: true}, "", emptyPages + 1},
		{"no document", "", backends.ListOptions{}, "", 1},
		{"half a document", result(entry("a"))[:80], backends.ListOptions{}, "", 1},
		{"another document", "<html/>", backends.ListOptions{}, "", 1},
		{"no time", result(strings.ReplaceAll(entry("a"), "2026-01-01T00:00:00.000Z", "yesterday")), backends.ListOptions{}, "", 1},
		{"negative size", result(strings.ReplaceAll(entry("a"), ">1<", ">-1<")), backends.ListOptions{}, "", 1},
		{"bad escape", result("<EncodingType>url</EncodingType>" + entry("a%zz")), backends.ListOptions{}, "", 1},
		{"prefixes unasked", result("<CommonPrefixes><Prefix>p/a/</Prefix></CommonPrefixes>"), backends.ListOptions{}, "", 1},
		{"prefix without slash", result("<CommonPrefixes><Prefix>p/a</Prefix></CommonPrefixes>"), backends.ListOptions{OneLevel: true}, "", 1},
		{"prefix twice", result("<CommonPrefixes><Prefix>p/a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>p/a/</Prefix></CommonPrefixes>"), backends.ListOptions{OneLevel: true}, "", 1},
		{"too long", result(strings.Repeat(" ", maxAnswer)), backends.ListOptions{}, "", 1},
		{"versions out of order", versions(version.Replace(entry("b", "a"))), backends.ListOptions{Versions: true}, "", 1},
		{"versions without marker", versions(version.Replace(entry("a")) + more), backends.ListOptions{Versions: true}, "", 1},
		{"versions again", versions(version.Replace(entry("a", "b")) + more + "<NextKeyMarker>p/b</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"), backends.ListOptions{Versions: true}, "", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := 0
			s := open(t, roundTrip(func(*http.Request) (*http.Response, error) {
				n++
				return answerWith(200, nil, strings.ReplaceAll(test.page, "REQUEST", strconv.Itoa(n))), nil
			}))
			var last error
			results := 0
			for _, err := range s.List(t.Context(), test.prefix, test.options) {
				if last = err; err == nil {
					results++
				}
			}
			if backends.KindOf(last) != backends.Corrupt || results > 2 || n > test.most {
				t.Errorf("%d results, %d requests, %v", results, n, last)
			}
		})
	}
}

// An answer that breaks off is asked for again.
func TestListRepeatsAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{page: 1000}
		if _, err := open(t, f).Put(t.Context(), "k", nil); err != nil {
			t.Fatal(err)
		}
		n := 0
		s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := f.RoundTrip(r)
			if n++; n < 3 {
				resp.ContentLength++ // more than comes
			}
			return resp, err
		}))
		var got []string
		for in, err := range s.List(t.Context(), "", backends.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, in.Key)
		}
		if len(got) != 1 || n != 3 {
			t.Errorf("%q after %d requests", got, n)
		}
	})
}

func TestDiscoverRegion(t *testing.T) {
	for _, test := range []struct {
		status int
		region string
		want   string
		err    string
	}{
		{200, "eu-west-1", "https://bucket.s3.eu-west-1.amazonaws.com", ""},
		{301, "cn-north-1", "https://bucket.s3.cn-north-1.amazonaws.com.cn", ""},
		{403, "us-gov-west-1", "https://bucket.s3.us-gov-west-1.amazonaws.com", ""},
		{404, "", "", ErrNoBucket.Error()},
		{403, "", "", "region="},
		{403, "evil.example/", "", "region="},
	} {
		var asked *http.Request
		c := Config{Bucket: "bucket", Credentials: open(t, nil).c.Credentials, Wrap: func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				asked = r
				return answerWith(test.status, http.Header{"X-Amz-Bucket-Region": {test.region}}, ""), nil
			})
		}}
		s, err := Open(t.Context(), c)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%d %q: %v", test.status, test.region, err)
			}
			continue
		}
		if err != nil || s.base != test.want {
			t.Errorf("%d %q: %v", test.status, test.region, err)
		}
		if asked.Header.Get("Authorization") != "" || asked.URL.String() != "https://s3.amazonaws.com/bucket" {
			t.Errorf("asked %s with %v", asked.URL, asked.Header)
		}
		s.Close()
	}
}
