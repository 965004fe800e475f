package dir

import (
	"bytes"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"pgregory.net/rapid"
)

// keyGen draws keys none of which is a path prefix of another: only the last
// segment has an "o".
func keyGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		key := ""
		for _, seg := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a-", "a.b", "a-b", "b", "b0", "-", ".a"}), 0, 3).Draw(t, "directories") {
			key += seg + "/"
		}
		return key + rapid.SampledFrom([]string{"o", "ao", "a-o", "a.o", "a0o", "bo", "-o", ".o"}).Draw(t, "name")
	})
}

type listed struct {
	key  string
	size int64
}

func listAll(t *rapid.T, s backends.Store, prefix string, o backends.ListOptions) (out []listed) {
	for in, err := range s.List(t.Context(), prefix, o) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, listed{in.Key, in.Size})
	}
	return out
}

func readAll(s backends.Store, t *rapid.T, key string, off, n int64) ([]byte, backends.Kind) {
	r, _, err := s.Get(t.Context(), backends.Ref{Key: key}, off, n)
	if err != nil {
		return nil, backends.KindOf(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return body, 0
}

// Whatever is done to it, a directory answers as a map in memory does.
func TestLikeMem(t *testing.T) {
	top := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path, err := os.MkdirTemp(top, "")
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.fsync = func(*os.File) error { return nil } // nothing here depends on it
		m := mem.New(mem.Options{})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				key, body := keyGen().Draw(t, "key"), rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "body")
				_, got := s.Put(t.Context(), key, body)
				_, want := m.Put(t.Context(), key, body)
				if backends.KindOf(got) != backends.KindOf(want) {
					t.Fatalf("put %s: %v, want %v", key, got, want)
				}
			},
			"erase": func(t *rapid.T) {
				keys := rapid.SliceOfN(keyGen(), 0, 4).Draw(t, "keys")
				if held := m.Keys(); len(held) > 0 {
					keys = append(keys, rapid.SampledFrom(held).Draw(t, "held"))
				}
				if _, err := s.Erase(t.Context(), keys...); err != nil {
					t.Fatal(err)
				}
				m.Erase(t.Context(), keys...)
			},
			"get": func(t *rapid.T) {
				key := keyGen().Draw(t, "key")
				off, n := rapid.Int64Range(0, 25).Draw(t, "off"), rapid.Int64Range(-1, 25).Draw(t, "n")
				got, gotKind := readAll(s, t, key, off, n)
				want, wantKind := readAll(m, t, key, off, n)
				if gotKind != wantKind || !bytes.Equal(got, want) {
					t.Fatalf("get %s: %q (%v), want %q (%v)", key, got, gotKind, want, wantKind)
				}
			},
			"list": func(t *rapid.T) {
				prefix := keyGen().Draw(t, "prefix")
				prefix = prefix[:rapid.IntRange(0, len(prefix)).Draw(t, "cut")]
				o := backends.ListOptions{Limit: rapid.IntRange(0, 5).Draw(t, "limit"), OneLevel: rapid.Bool().Draw(t, "one level")}
				if got, want := listAll(t, s, prefix, o), listAll(t, m, prefix, o); !slices.Equal(got, want) {
					t.Fatalf("list %q with %+v: %v, want %v", prefix, o, got, want)
				}
			},
			"": func(t *rapid.T) {
				all := backends.ListOptions{}
				if got, want := listAll(t, s, "", all), listAll(t, m, "", all); !slices.Equal(got, want) {
					t.Fatalf("holds %v, want %v", got, want)
				}
			},
		})
	})
}
