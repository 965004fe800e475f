package s3

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The suite against smaller pages than a real server's, in a bucket with versions.
func TestConformance(t *testing.T) {
	s := open(t, &fake{page: 100, versioned: true, checksums: true})
	for _, c := range backendtest.Checks() {
		if strings.HasPrefix(c.Name, "probe-") {
			continue // the fake checks no signatures
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), s); err != nil {
				t.Errorf("%v\nrule: %s", err, c.Rule)
			}
		})
	}
}

// Erase finds all versions of exactly its keys, however they lie between others
// and across pages.
func TestEraseExactly(t *testing.T) {
	segment := rapid.StringMatching(`[ab.0-]{1,3}`).Filter(func(s string) bool { return strings.Trim(s, ".") != "" })
	keyGen := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
	})
	rapid.Check(t, func(rt *rapid.T) {
		f := &fake{page: rapid.IntRange(1, 5).Draw(rt, "page"), versioned: rapid.Bool().Draw(rt, "versioned")}
		want := map[string]int{}
		for _, key := range rapid.SliceOfNDistinct(keyGen, 0, 30, rapid.ID).Draw(rt, "there") {
			n := 1
			if f.versioned {
				n = rapid.IntRange(1, 4).Draw(rt, "versions")
			}
			want[key] = n
			for v := range n {
				f.objects = append(f.objects, fakeObject{
					key: "p/" + key, version: map[bool]string{true: fmt.Sprint("v", 9-v), false: "null"}[f.versioned],
					marker: f.versioned && rapid.Bool().Draw(rt, "marker"), at: time.Unix(1e9, 0),
				})
			}
		}
		slices.SortStableFunc(f.objects, func(a, b fakeObject) int { return strings.Compare(a.key, b.key) })
		keys := rapid.SliceOfN(keyGen, 0, 30).Draw(rt, "erased")
		for key := range want {
			if rapid.Bool().Draw(rt, "erase "+key) {
				keys = append(keys, key)
			}
		}
		s := open(t, f)
		kept, err := s.Erase(t.Context(), keys...)
		if err != nil || len(kept) > 0 {
			rt.Fatalf("erase: %v, %v", kept, err)
		}
		for _, key := range keys {
			delete(want, key)
		}
		got := map[string]int{}
		for _, o := range f.objects {
			got[strings.TrimPrefix(o.key, "p/")]++
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("left: %v, want %v", got, want)
		}
	})
}

// Keys that lie close together cost a request a page, not a request a key; keys
// far apart cost one each, not a page for all that lies between.
func TestEraseRequests(t *testing.T) {
	for _, test := range []struct {
		name  string
		every int // erase each so many-th key
		most  int
	}{
		{"all", 1, 10_000 / 1000 * 3},
		{"few", 2500, 4 + 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fake{page: 1000, versioned: true}
			var keys []string
			for i := range 10_000 {
				key := fmt.Sprintf("a/%04d", i)
				f.objects = append(f.objects, fakeObject{key: "p/" + key, version: "v1", at: time.Unix(1e9, 0)})
				if i%test.every == 0 {
					keys = append(keys, key)
				}
			}
			s := open(t, f)
			if _, err := s.Erase(t.Context(), keys...); err != nil {
				t.Fatal(err)
			}
			if len(f.objects) != 10_000-len(keys) || len(f.requests) > test.most {
				t.Errorf("%d objects left, %d requests, want at most %d", len(f.objects), len(f.requests), test.most)
			}
		})
	}
}

// A store that knows no versions, says so or ignores the question.
func TestNoVersions(t *testing.T) {
	for name, status := range map[string]int{"not implemented": 501, "not allowed": 405, "ignored": 0} {
		t.Run(name, func(t *testing.T) {
			f := &fake{page: 3}
			var want, erased, left []string
			for i := range 20 {
				key := fmt.Sprintf("k%02d", i)
				f.objects = append(f.objects, fakeObject{key: "p/" + key, at: time.Unix(1e9, 0)})
				// Far apart, then the last of a page of three.
				if want = append(want, key); i == 0 || i == 15 || i == 17 || i == 18 {
					erased = append(erased, key)
				} else {
					left = append(left, "p/"+key)
				}
			}
			s := open(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				q := r.URL.Query()
				if !q.Has("versions") {
					return f.RoundTrip(r)
				}
				if status != 0 {
					return answerWith(status, nil, "<Error/>"), nil
				}
				q.Del("versions")
				q.Set("list-type", "2")
				r.URL.RawQuery = q.Encode()
				return f.RoundTrip(r)
			}))
			var got []string
			for in, err := range s.List(t.Context(), "", backends.ListOptions{Versions: true}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, in.Key)
			}
			if !slices.Equal(got, want) {
				t.Errorf("listed %q", got)
			}
			if kept, err := s.Erase(t.Context(), erased...); err != nil || len(kept) > 0 {
				t.Fatalf("erase: %v, %v", kept, err)
			}
			got = nil
			for _, o := range f.objects {
				got = append(got, o.key)
			}
			if !slices.Equal(got, left) {
				t.Errorf("left %q, want %q", got, left)
			}
		})
	}
}

// What a listing of versions yields, by pages of any size, is every version in
// order, newest first.
func TestListVersionsPages(t *testing.T) {
	for page := 1; page < 9; page++ {
		f := &fake{page: page, versioned: true}
		var want []string
		for _, key := range []string{"a", "a-b", "b/c", "b/d"} {
			for v := range 4 {
				version := fmt.Sprint("v", 9-v)
				f.objects = append(f.objects, fakeObject{key: "p/" + key, version: version, marker: v == 1, at: time.Unix(1e9, 0)})
				want = append(want, fmt.Sprint(key, version, v == 1))
			}
		}
		var got []string
		for in, err := range open(t, f).List(t.Context(), "", backends.ListOptions{Versions: true}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(in.Key, in.Version, in.Marker))
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q, want %q", page, got, want)
		}
	}
}
