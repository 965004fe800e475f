package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/backends/s3/credential"
)

// fake is a bucket as AWS describes it, in memory, with pages as small as a
// test wants. It checks conditions and hashes, and no signatures: real servers
// do that.
type fake struct {
	page      int  // results a page, at most
	versioned bool // keep versions; else each is "null"
	checksums bool // check and echo CRC32C

	mu       sync.Mutex
	objects  []fakeObject // by key, newest first
	next     int
	requests []*http.Request
}

type fakeObject struct {
	key, version string
	body         []byte
	marker       bool
	at           time.Time
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	resp.ContentLength = int64(w.Body.Len())
	if n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	}
	return resp, nil
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r)
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	key, _ := strings.CutPrefix(r.URL.Path, "/bucket/")
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPut && key != "" && len(q) == 0:
		f.put(w, r, key, body)
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && key != "" && !q.Has("legal-hold") && !q.Has("retention"):
		f.get(w, r, key, q)
	case r.Method == http.MethodGet && q.Has("versions"):
		f.listVersions(w, q)
	case r.Method == http.MethodGet && q.Has("list-type"):
		f.list(w, q)
	case r.Method == http.MethodPost && q.Has("delete"):
		f.delete(w, body)
	default:
		fakeError(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func fakeError(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>of the fake</Message><RequestId>42</RequestId></Error>", code)
}

// find is where the versions of key begin.
func (f *fake) find(key string) (int, bool) {
	return slices.BinarySearchFunc(f.objects, key, func(o fakeObject, key string) int { return strings.Compare(o.key, key) })
}

func (f *fake) put(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	i, found := f.find(key)
	if r.Header.Get("If-None-Match") == "*" && found && !f.objects[i].marker {
		fakeError(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	sum := sha256.Sum256(body)
	if said := r.Header.Get("X-Amz-Content-Sha256"); said != unsignedPayload && said != hex.EncodeToString(sum[:]) {
		fakeError(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		return
	}
	if said := r.Header.Get(checksumHeader); f.checksums && said != "" {
		if said != checksum(body) {
			fakeError(w, http.StatusBadRequest, "BadDigest")
			return
		}
		w.Header().Set(checksumHeader, said)
	}
	o := fakeObject{key: key, version: "null", body: body, at: time.Now()}
	if f.versioned {
		f.next++
		o.version = fmt.Sprintf("v%06d", f.next)
		w.Header().Set("X-Amz-Version-Id", o.version)
	} else if found {
		f.objects = slices.Delete(f.objects, i, i+1)
	}
	f.objects = slices.Insert(f.objects, i, o)
}

func (f *fake) get(w http.ResponseWriter, r *http.Request, key string, q url.Values) {
	i, found := f.find(key)
	if v := q.Get("versionId"); found && v != "" {
		for found = false; i < len(f.objects) && f.objects[i].key == key; i++ {
			if found = f.objects[i].version == v; found {
				break
			}
		}
	}
	if !found || f.objects[i].marker {
		if found {
			w.Header().Set("X-Amz-Delete-Marker", "true")
		}
		fakeError(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	if f.versioned {
		w.Header().Set("X-Amz-Version-Id", f.objects[i].version)
	}
	http.ServeContent(w, r, "", f.objects[i].at, bytes.NewReader(f.objects[i].body))
}

func fakeTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type fakeEntry struct {
	XMLName      xml.Name
	Key          string
	VersionId    string `xml:",omitempty"`
	LastModified string
	Size         int
}

func (f *fake) entry(o fakeObject, name string) fakeEntry {
	e := fakeEntry{XMLName: xml.Name{Local: name}, Key: url.QueryEscape(o.key), LastModified: fakeTime(o.at), Size: len(o.body)}
	if name != "Contents" {
		e.VersionId = o.version
	}
	return e
}

func (f *fake) pageSize(q url.Values) int {
	n, _ := strconv.Atoi(q.Get("max-keys"))
	return min(n, f.page)
}

type fakePrefix struct{ Prefix string }

func (f *fake) list(w http.ResponseWriter, q url.Values) {
	after := max(q.Get("start-after"), q.Get("continuation-token"))
	page := struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		EncodingType          string
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []fakeEntry
		CommonPrefixes        []fakePrefix
	}{EncodingType: "url"}
	last, n := "", 0
	for i, o := range f.objects {
		if i > 0 && f.objects[i-1].key == o.key || o.marker || !strings.HasPrefix(o.key, q.Get("prefix")) {
			continue
		}
		name, dir := o.key, false
		if q.Get("delimiter") != "" {
			if at := strings.IndexByte(o.key[len(q.Get("prefix")):], '/'); at >= 0 {
				name, dir = o.key[:len(q.Get("prefix"))+at+1], true
			}
		}
		if name <= after || name == last {
			continue
		}
		if n++; n > f.pageSize(q) {
			page.IsTruncated, page.NextContinuationToken = true, last
			break
		}
		if last = name; dir {
			page.CommonPrefixes = append(page.CommonPrefixes, fakePrefix{url.QueryEscape(name)})
		} else {
			page.Contents = append(page.Contents, f.entry(o, "Contents"))
		}
	}
	_ = xml.NewEncoder(w).Encode(page)
}

func (f *fake) listVersions(w http.ResponseWriter, q url.Values) {
	page := struct {
		XMLName             xml.Name `xml:"ListVersionsResult"`
		EncodingType        string
		IsTruncated         bool
		NextKeyMarker       string `xml:",omitempty"`
		NextVersionIdMarker string `xml:",omitempty"`
		Entries             []fakeEntry
	}{EncodingType: "url"}
	passed := q.Get("version-id-marker") == "" // of the marker's key
	var last fakeObject
	for _, o := range f.objects {
		if o.key == q.Get("key-marker") && q.Get("version-id-marker") != "" && !passed {
			passed = o.version == q.Get("version-id-marker")
			continue
		}
		if !strings.HasPrefix(o.key, q.Get("prefix")) || o.key < q.Get("key-marker") || o.key == q.Get("key-marker") && q.Get("version-id-marker") == "" {
			continue
		}
		if len(page.Entries) == f.pageSize(q) {
			page.IsTruncated, page.NextKeyMarker, page.NextVersionIdMarker = true, url.QueryEscape(last.key), last.version
			break
		}
		name := "Version"
		if o.marker {
			name = "DeleteMarker"
		}
		page.Entries = append(page.Entries, f.entry(o, name))
		last = o
	}
	_ = xml.NewEncoder(w).Encode(page)
}

func (f *fake) delete(w http.ResponseWriter, body []byte) {
	var ask struct {
		Object []struct{ Key, VersionId string }
	}
	if err := xml.Unmarshal(body, &ask); err != nil || len(ask.Object) > 1000 {
		fakeError(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	fmt.Fprint(w, "<DeleteResult>")
	gone := map[[2]string]bool{}
	for _, d := range ask.Object {
		gone[[2]string{d.Key, d.VersionId}] = true
		fmt.Fprintf(w, "<Deleted><Key>%s</Key><VersionId>%s</VersionId></Deleted>", d.Key, d.VersionId)
	}
	fmt.Fprint(w, "</DeleteResult>")
	f.objects = slices.DeleteFunc(f.objects, func(o fakeObject) bool { return gone[[2]string{o.key, o.version}] })
}

// roundTrip is a server in a function.
type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answerWith is an answer that a roundTrip gives.
func answerWith(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// open opens a store whose network is rt.
func open(t testing.TB, rt http.RoundTripper, change ...func(*Config)) *Store {
	t.Helper()
	c := Config{
		Bucket: "bucket", Prefix: "p", Endpoint: "s3.test", Region: "us-east-1",
		Credentials: credential.Static("AKID", "secret", ""),
		Wrap:        func(http.RoundTripper) http.RoundTripper { return rt },
	}
	for _, f := range change {
		f(&c)
	}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
