package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/transfer"
)

// clone copies a store, so that each tampering starts afresh.
func clone(t *testing.T, s *mem.Store) *mem.Store {
	t.Helper()
	out := mem.New(mem.Options{})
	for _, key := range s.Keys() {
		if _, err := out.Put(t.Context(), key, get(t, s, key)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func get(t *testing.T, s backends.Store, key string) []byte {
	t.Helper()
	r, _, err := s.Get(t.Context(), backends.Ref{Key: key}, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every object of a version, tampered with in every way, must fail pull and check
// with an error that names the object and the file, and leave no file that does
// not verify.
func TestTampering(t *testing.T) {
	t.Run("one piece", func(t *testing.T) {
		testTampering(t, map[string]string{"large": cheap(1, 4*mib+1), "small": cheap(2, 3000), "other/small": cheap(3, 4000)},
			"removed", "emptied", "truncated", "extended", "header", "flipped", "swapped")
	})
	t.Run("two pieces", func(t *testing.T) {
		testTampering(t, map[string]string{"large": cheap(1, 16*mib+5000), "small": "1"}, "flipped", "removed")
	})
}

func testTampering(t *testing.T, files map[string]string, how ...string) {
	v := newVault(t)
	src := tree(t, files)
	s, _ := v.push(src, nil)
	keys := v.mem.Keys()
	want := make(map[string]bool)
	for _, line := range contents(t, src) {
		want[line] = true
	}
	tamperings := map[string]func(m *mem.Store, key string){
		"removed":   func(m *mem.Store, key string) { m.Remove(key) },
		"emptied":   func(m *mem.Store, key string) { m.Tamper(key, func([]byte) []byte { return nil }) },
		"truncated": func(m *mem.Store, key string) { m.Tamper(key, func(b []byte) []byte { return b[:len(b)-1] }) },
		"extended":  func(m *mem.Store, key string) { m.Tamper(key, func(b []byte) []byte { return append(b, 0) }) },
		"header":    func(m *mem.Store, key string) { m.Tamper(key, func(b []byte) []byte { b[5] ^= 1; return b }) },
		"flipped":   func(m *mem.Store, key string) { m.Tamper(key, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }) },
		"swapped": func(m *mem.Store, key string) {
			i := slices.Index(keys, key)
			other := get(t, m, keys[(i+1)%len(keys)])
			m.Tamper(key, func([]byte) []byte { return other })
		},
	}
	for _, how := range how {
		tamper := tamperings[how]
		for _, key := range keys {
			m := clone(t, v.mem)
			tamper(m, key)
			s.Store = m
			dest := t.TempDir()
			_, err := pull(t.Context(), s, dest, transfer.PullOptions{})
			if !errors.Is(err, transfer.ErrIntegrity) || !strings.Contains(err.Error(), key[len(key)-30:]) {
				t.Errorf("%s %s: pull: %v", how, key, err)
			}
			for _, line := range contents(t, dest) {
				if !want[line] {
					t.Errorf("%s %s: pull left %s", how, key, line)
				}
			}
			for _, full := range []bool{false, true} {
				report, err := transfer.Check(t.Context(), s, full, nil)
				if err != nil {
					t.Errorf("%s %s: check: %v", how, key, err)
					continue
				}
				// Without reading the payload nobody sees that a bit of it was flipped.
				if how == "flipped" && !full && strings.Contains(key, "/c/") && !isPart(t, s, key) {
					continue
				}
				found := slices.ContainsFunc(report.Problems, func(p transfer.Problem) bool {
					return p.Key == key && errors.Is(p.Err, transfer.ErrIntegrity)
				})
				if !found || len(report.Problems) > 1 {
					t.Errorf("%s %s: check, full=%v: %+v", how, key, full, report.Problems)
				}
			}
		}
	}
}

// isPart reports whether a chunk is a part of the manifest.
func isPart(t *testing.T, s transfer.Source, key string) bool {
	v, err := transfer.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(v.Root.Parts, func(r manifest.Ref) bool { return r.Key(s.Artefact) == key })
}

func TestCheckReportsEverythingAndNamesFiles(t *testing.T) {
	v := newVault(t)
	files := map[string]string{"x": cheap(1, 5*mib), "y": cheap(2, 5*mib), "z": cheap(3, 5*mib), "s1": "1", "s2": "2"}
	src := tree(t, files)
	s, _ := v.push(src, nil)
	opened, err := transfer.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	part, err := manifest.DecodePart(opened.Root.Parts[0].First, 0, openChunk(t, v, &opened.Root.Parts[0].Chunk))
	if err != nil {
		t.Fatal(err)
	}
	where := make(map[string]string) // file to key
	for _, e := range part.Entries {
		where[e.Path] = part.Chunks[e.Extents[0].Chunk].Key(v.aid)
	}
	small := []string{"s1"}
	if where["s1"] == where["s2"] { // nearly always: few groups end between two small files
		small = append(small, "s2")
	}
	v.mem.Remove(where["x"])
	v.mem.Tamper(where["s1"], func(b []byte) []byte { b[30] ^= 1; return b })
	v.mem.Tamper(where["y"], func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	v.mem.Remove(s.References.Key)
	for full, want := range map[bool][]string{
		false: {where["x"] + " [x]", fmt.Sprint(where["s1"], " ", small), s.References.Key + " []"},
		true:  {where["x"] + " [x]", fmt.Sprint(where["s1"], " ", small), s.References.Key + " []", where["y"] + " [y]"},
	} {
		report, err := transfer.Check(t.Context(), s, full, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range report.Problems {
			got = append(got, fmt.Sprint(p.Key, " ", p.Paths))
			if !errors.Is(p.Err, transfer.ErrIntegrity) || !strings.Contains(p.Err.Error(), p.Key[len(p.Key)-20:]) {
				t.Errorf("full=%v: %v", full, p.Err)
			}
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("full=%v: %q, want %q", full, got, want)
		}
		if full && (report.Files != int64(5-2-len(small)) || report.Bytes < 5*mib) {
			t.Errorf("full=%v: %+v", full, report)
		}
	}
}

func openChunk(t *testing.T, v *vault, c *manifest.Chunk) []byte {
	t.Helper()
	seed := c.Seed.Reveal()
	id, err := seal.IdentityFromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	plain, err := seal.Open(get(t, v.mem, c.Key(v.aid)), id)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// A reader of the manifest, who knows its chunks' identities, can seal other
// bytes to them. The digests must tell, and the file must not appear.
func TestSubstitutionByAReader(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"file": cheap(1, 5*mib), "small": "1"})
	s, _ := v.push(src, nil)
	opened, err := transfer.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	part, err := manifest.DecodePart(opened.Root.Parts[0].First, 0, openChunk(t, v, &opened.Root.Parts[0].Chunk))
	if err != nil {
		t.Fatal(err)
	}
	for i := range part.Chunks {
		c := &part.Chunks[i]
		seed := c.Seed.Reveal()
		id, err := seal.IdentityFromSeed(seed[:])
		if err != nil {
			t.Fatal(err)
		}
		forged, err := seal.Seal(random(int(c.Length)), id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		m := clone(t, v.mem)
		m.Tamper(c.Key(v.aid), func([]byte) []byte { return forged })
		s.Store = m
		dest := t.TempDir()
		_, err = pull(t.Context(), s, dest, transfer.PullOptions{})
		if !errors.Is(err, transfer.ErrIntegrity) || !strings.Contains(err.Error(), c.Name) {
			t.Errorf("pull: %v", err)
		}
		if n := len(contents(t, dest)); n > 1 {
			t.Errorf("%d files appeared", n)
		}
		report, err := transfer.Check(t.Context(), s, true, nil)
		if err != nil || len(report.Problems) != 1 || report.Problems[0].Key != c.Key(v.aid) {
			t.Errorf("check: %+v, %v", report, err)
		}
	}
}

// What the signed entry says must be what the manifest says.
func TestEntriesThatSayOtherwise(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"file": "1"})
	s, _ := v.push(src, nil)
	other, _ := v.push(src, nil)
	for name, change := range map[string]func(*transfer.Source){
		"digest":              func(s *transfer.Source) { s.Digest = other.Digest },
		"manifest":            func(s *transfer.Source) { s.Manifest = other.Manifest },
		"manifest's sha256":   func(s *transfer.Source) { s.Manifest.SHA256 = other.Manifest.SHA256 },
		"references":          func(s *transfer.Source) { s.References = other.References },
		"references' sha256":  func(s *transfer.Source) { s.References.SHA256 = other.References.SHA256 },
		"version":             func(s *transfer.Source) { s.Version = other.Version },
		"artefact":            func(s *transfer.Source) { s.Artefact = canonical.Sum([]byte("another")) },
		"identity":            func(s *transfer.Source) { s.Identity = other.Identity },
		"manifest elsewhere":  func(s *transfer.Source) { s.Manifest.Key = "doc/" + s.Manifest.SHA256.String() },
		"references and root": func(s *transfer.Source) { s.References.Key = s.Manifest.Key; s.References.SHA256 = s.Manifest.SHA256 },
		"unopened references": func(s *transfer.Source) {
			s.OpenMetadata = func([]byte) ([]byte, error) { return nil, seal.ErrNoMatch }
		},
	} {
		bad := s
		change(&bad)
		dest := t.TempDir()
		if _, err := pull(t.Context(), bad, dest, transfer.PullOptions{}); !errors.Is(err, transfer.ErrIntegrity) {
			t.Errorf("%s: pull: %v", name, err)
		}
		if got := contents(t, dest); len(got) > 0 {
			t.Errorf("%s: pull left %q", name, got)
		}
		report, err := transfer.Check(t.Context(), bad, false, nil)
		if err != nil || len(report.Problems) == 0 {
			t.Errorf("%s: check: %+v, %v", name, report, err)
		}
	}
}

// References that hide or invent an object must not pass: purge works from them.
func TestReferencesMustMatchTheManifest(t *testing.T) {
	v := newVault(t)
	s, _ := v.push(tree(t, map[string]string{"file": cheap(1, 5*mib), "small": "1"}), nil)
	plain, err := seal.Open(get(t, v.mem, s.References.Key), v.metadata)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*manifest.References){
		"hidden":   func(r *manifest.References) { r.Objects = r.Objects[1:] },
		"invented": func(r *manifest.References) { r.Objects = append(r.Objects, other(r.Objects[0])) },
		"replaced": func(r *manifest.References) { r.Objects[0] = other(r.Objects[0]) },
		"resized":  func(r *manifest.References) { r.Objects[0].Size++ },
		"root":     func(r *manifest.References) { r.Root = "m-" + canonical.NewID().String() },
		"rootSize": func(r *manifest.References) { r.RootSize++ },
		"version":  func(r *manifest.References) { r.Version = canonical.NewID() },
		"artefact": func(r *manifest.References) { r.Artefact = canonical.Sum(nil) },
	} {
		refs, err := manifest.DecodeReferences(plain)
		if err != nil {
			t.Fatal(err)
		}
		change(refs)
		b, err := refs.Encode()
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := seal.Seal(b, v.metadata.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		v.mem.Tamper(s.References.Key, func([]byte) []byte { return sealed })
		bad := s
		bad.References.SHA256 = canonical.Sum(sealed)
		if _, err := pull(t.Context(), bad, t.TempDir(), transfer.PullOptions{}); !errors.Is(err, transfer.ErrIntegrity) {
			t.Errorf("%s: pull: %v", name, err)
		}
		if report, err := transfer.Check(t.Context(), bad, false, nil); err != nil || len(report.Problems) == 0 {
			t.Errorf("%s: check: %+v, %v", name, report, err)
		}
	}
}

func other(r manifest.Reference) manifest.Reference {
	r.Name = strings.Repeat("0", 64) + r.Name[64:]
	return r
}

// A store that fails is no proof of anything.
func TestCheckIsInconclusiveWithoutTheStore(t *testing.T) {
	v := newVault(t)
	s, _ := v.push(tree(t, map[string]string{"file": cheap(1, 5*mib)}), nil)
	for _, key := range append(v.mem.Keys(), "list") {
		s.Store = denying{v.mem, key}
		if report, err := transfer.Check(t.Context(), s, true, nil); !errors.Is(err, backends.Denied) {
			t.Errorf("%s denied: %+v, %v", key, report, err)
		}
	}
}

// denying denies reading one key, or listing.
type denying struct {
	backends.Store
	what string
}

func (d denying) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if ref.Key == d.what {
		return nil, backends.Info{}, &backends.Error{Op: "get", Key: ref.Key, Kind: backends.Denied}
	}
	return d.Store.Get(ctx, ref, off, n)
}

func (d denying) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	if d.what != "list" {
		return d.Store.List(ctx, prefix, o)
	}
	return func(yield func(backends.Info, error) bool) {
		yield(backends.Info{}, &backends.Error{Op: "list", Key: prefix, Kind: backends.Denied})
	}
}

func TestNoPlaintextInTheStore(t *testing.T) {
	v := newVault(t)
	content := "a sentence that must not be found in any object"
	v.push(tree(t, map[string]string{"a-name-that-must-not-be-found": content}), nil)
	for _, key := range v.mem.Keys() {
		b := get(t, v.mem, key)
		if bytes.Contains(b, []byte(content)) || bytes.Contains(b, []byte("a-name-that-must")) {
			t.Errorf("%s tells", key)
		}
	}
}
