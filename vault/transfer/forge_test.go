package transfer_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/transfer"
)

// forger stores manifests that a push would not make.
type forger struct {
	*vault
	sealer  chunk.Sealer
	id      *seal.Identity
	root    *manifest.Root
	objects []manifest.Reference
	hash    *manifest.VersionHash
}

// The key of the cuts is fixed: a random one would, now and then, end a part
// between the few entries that the tests give [forger.part] and [forger.node].
func newForger(v *vault) *forger {
	f := &forger{vault: v, id: identity(v.t), sealer: chunk.Sealer{Version: canonical.NewID(), Secret: manifest.NewSecret()}}
	f.root = &manifest.Root{Artefact: v.aid, Version: f.sealer.Version, Salt: manifest.NewSecret(), Cut: manifest.SecretFrom([manifest.SecretSize]byte{1}), Depth: 1}
	f.hash = manifest.NewVersionHash(f.root.Salt)
	return f
}

// chunk stores a plaintext.
func (f *forger) chunk(plain []byte) manifest.Chunk {
	f.t.Helper()
	sealed, c, err := f.sealer.Seal(nil, chunk.Plain(plain, manifest.Sum(plain)), 1)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := chunk.Put(f.t.Context(), f.mem, c.Key(f.aid), sealed, 0); err != nil {
		f.t.Fatal(err)
	}
	f.objects = append(f.objects, manifest.Reference{Creator: c.Creator, Name: c.Name, Size: c.SealedSize})
	return c
}

// file makes a file of one chunk, and counts it.
func (f *forger) file(path, content string) manifest.File {
	c := f.chunk([]byte(content))
	file := manifest.File{Path: path, Mode: manifest.Regular, Size: c.Length, SHA256: canonical.Sum([]byte(content)), Pieces: []manifest.Piece{{Chunk: &c, Length: c.Length}}}
	f.count(file)
	return file
}

func (f *forger) count(file manifest.File) {
	f.root.Files++
	f.root.Bytes += file.Size
	f.hash.Add(file.Path, file.Mode, file.Size, file.SHA256)
}

// tree stores a manifest of files and tensors.
func (f *forger) tree(files []manifest.File, tensors []manifest.Tensor) transfer.Source {
	f.t.Helper()
	var parts []manifest.Ref
	for part, err := range manifest.Parts(f.root.Cut, slices.Values(files)) {
		if err != nil {
			f.t.Fatal(err)
		}
		parts = append(parts, manifest.Ref{First: part.First, At: part.At, Chunk: f.chunk(part.Plain)})
	}
	for part, err := range manifest.TensorParts(f.root.Cut, tensors) {
		if err != nil {
			f.t.Fatal(err)
		}
		f.root.Tensors = append(f.root.Tensors, manifest.Ref{First: part.First, At: part.At, Chunk: f.chunk(part.Plain)})
	}
	return f.source(parts...)
}

// part stores a part, after change.
func (f *forger) part(change func(string) string, files ...manifest.File) manifest.Ref {
	f.t.Helper()
	for part, err := range manifest.Parts(f.root.Cut, slices.Values(files)) {
		if err != nil {
			f.t.Fatal(err)
		}
		plain := string(part.Plain)
		if change != nil {
			if plain = change(plain); plain == string(part.Plain) {
				f.t.Fatal("the change changed nothing")
			}
		}
		return manifest.Ref{First: part.First, At: part.At, Chunk: f.chunk([]byte(plain))}
	}
	panic("no part")
}

func (f *forger) node(parts ...manifest.Ref) manifest.Ref {
	f.t.Helper()
	for node, err := range manifest.Nodes(f.root.Cut, parts) {
		if err != nil {
			f.t.Fatal(err)
		}
		return manifest.Ref{First: node.First, At: node.At, Chunk: f.chunk(node.Plain)}
	}
	panic("no node")
}

// source stores root and references.
func (f *forger) source(refs ...manifest.Ref) transfer.Source {
	f.t.Helper()
	f.root.Parts = refs
	plain, err := f.root.Encode()
	if err != nil {
		f.t.Fatal(err)
	}
	name := "m-" + canonical.NewID().String()
	done := &transfer.Pushed{Digest: f.hash.Sum()}
	prefix := manifest.VersionPrefix(f.aid, f.sealer.Version)
	put := func(key string, plain []byte, to *seal.Recipient) (canonical.Digest, int64) {
		sealed, err := seal.Seal(plain, to)
		if err != nil {
			f.t.Fatal(err)
		}
		if err := chunk.Put(f.t.Context(), f.mem, key, sealed, 0); err != nil {
			f.t.Fatal(err)
		}
		return canonical.Sum(sealed), int64(len(sealed))
	}
	list := manifest.References{Artefact: f.aid, Version: f.sealer.Version, Root: name, Objects: f.objects}
	done.Manifest.Key, done.References.Key = prefix+name, prefix+"r-"+canonical.NewID().String()
	done.Manifest.SHA256, list.RootSize = put(done.Manifest.Key, plain, f.id.Recipient())
	if plain, err = list.Encode(); err != nil {
		f.t.Fatal(err)
	}
	done.References.SHA256, _ = put(done.References.Key, plain, f.metadata.Recipient())
	return f.vault.source(&transfer.Push{Version: f.sealer.Version}, done, f.id)
}

func TestManifestWithNodes(t *testing.T) {
	v := newVault(t)
	f := newForger(v)
	f.root.Depth = 2
	var nodes []manifest.Ref
	for i := range 3 {
		var parts []manifest.Ref
		for j := range 3 {
			var files []manifest.File
			for k := range 2 {
				path := fmt.Sprintf("f%d%d%d", i, j, k)
				files = append(files, f.file(path, "content of "+path))
			}
			parts = append(parts, f.part(nil, files...))
		}
		nodes = append(nodes, f.node(parts...))
	}
	s := f.source(nodes...)
	dest := t.TempDir()
	if done := mustPull(t, s, dest, transfer.PullOptions{}); done.Files != 18 {
		t.Errorf("%+v", done)
	}
	if b, err := os.ReadFile(filepath.Join(dest, "f120")); err != nil || string(b) != "content of f120" {
		t.Errorf("%q, %v", b, err)
	}
	if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) > 0 || report.Files != 18 || len(report.Keys) != 18+9+3+2 {
		t.Errorf("%+v, %v", report, err)
	}
	v.base(s)
	// One file costs the root, a node, a part and its chunk.
	counting := backendtest.NewCounting(v.mem)
	s.Store = counting
	if done := mustPull(t, s, t.TempDir(), transfer.PullOptions{Include: []string{"/f111"}}); done.Files != 1 {
		t.Errorf("%+v", done)
	}
	if n := len(counting.Requests()); n != 4 {
		t.Errorf("one file took %d requests", n)
	}
	// A node that does not verify is a problem, and the rest is still read.
	v.mem.Tamper(nodes[1].Key(v.aid), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	report, err := transfer.Check(t.Context(), s, true, nil)
	if err != nil || len(report.Problems) != 1 || report.Problems[0].Key != nodes[1].Key(v.aid) || report.Files != 12 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := pull(t.Context(), s, t.TempDir(), transfer.PullOptions{}); !errors.Is(err, transfer.ErrIntegrity) {
		t.Errorf("pull: %v", err)
	}
}

// What an authorised, hostile pusher can put into a manifest.
func TestHostileManifests(t *testing.T) {
	parent := t.TempDir()
	replace := func(old, with string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, with, 1) }
	}
	for name, forge := range map[string]func(f *forger) transfer.Source{
		"traversal": func(f *forger) transfer.Source {
			return f.source(f.part(replace(`"path":"bbbb"`, `"path":"b/../../evil"`), f.file("aaaa", "1"), f.file("bbbb", "2")))
		},
		"absolute": func(f *forger) transfer.Source {
			return f.source(f.part(replace(`"path":"bbbb"`, `"path":"/tmp/evil"`), f.file("aaaa", "1"), f.file("bbbb", "2")))
		},
		"longer than its chunks": func(f *forger) transfer.Source {
			return f.source(f.part(replace(`"size":1`, `"size":9007199254740991`), f.file("aaaa", "1")))
		},
		"digest of the manifest": func(f *forger) transfer.Source {
			f.hash.Add("more", manifest.Regular, 0, canonical.Sum(nil))
			return f.source(f.part(nil, f.file("aaaa", "1")))
		},
		"fewer files than announced": func(f *forger) transfer.Source {
			a := f.file("aaaa", "1")
			f.root.Files++
			return f.source(f.part(nil, a))
		},
		"parts out of order": func(f *forger) transfer.Source {
			a, b := f.file("aaaa", "1"), f.file("bbbb", "2")
			p, q := f.part(nil, b), f.part(nil, a)
			p.First, q.First = "aaaa", "bbbb"
			return f.source(p, q)
		},
		"a chunk of which nobody has all": func(f *forger) transfer.Source {
			a := f.file("aaaa", "1234")
			c := f.chunk([]byte("1234 and what is another version's"))
			a.Pieces[0].Chunk = &c
			return f.source(f.part(nil, a))
		},
		"another chunk's length": func(f *forger) transfer.Source {
			a := f.file("aaaa", "1234")
			a.Pieces[0].Chunk.Length, a.Pieces[0].Chunk.SealedSize = 5, seal.SealedSize(5, 1)
			a.Size, a.Pieces[0].Length = 5, 5
			return f.source(f.part(nil, a))
		},
		"another chunk's seed": func(f *forger) transfer.Source {
			a := f.file("aaaa", "1234")
			a.Pieces[0].Chunk.Seed = manifest.NewSecret()
			return f.source(f.part(nil, a))
		},
		"another file's hash": func(f *forger) transfer.Source {
			a := f.file("aaaa", "1234")
			a.SHA256 = canonical.Sum([]byte("4321"))
			f.hash = manifest.NewVersionHash(f.root.Salt)
			f.hash.Add(a.Path, a.Mode, a.Size, a.SHA256)
			return f.source(f.part(nil, a))
		},
	} {
		f := newForger(newVault(t))
		s := forge(f)
		dest := filepath.Join(parent, name)
		if _, err := pull(t.Context(), s, dest, transfer.PullOptions{}); !errors.Is(err, transfer.ErrIntegrity) {
			t.Errorf("%s: pull: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(parent, "evil")); err == nil {
			t.Errorf("%s: pull wrote outside of its destination", name)
		}
		if got := contents(t, dest); len(got) > 0 {
			t.Errorf("%s: pull left %q", name, got)
		}
		if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) == 0 {
			t.Errorf("%s: check: %+v, %v", name, report, err)
		}
	}
}

// Where only some parts are looked at, a file's pieces must still join.
func TestPiecesMustJoinInAPartOfAManifest(t *testing.T) {
	f := newForger(newVault(t))
	large := f.file("large", "0123456789")
	one := f.part(func(s string) string { return strings.Replace(s, `[0,0,10]`, `[0,0,4]`, 1) }, large)
	two := f.part(func(s string) string {
		s = strings.Replace(s, `[0,0,10]`, `[0,4,6]`, 1)
		return strings.Replace(s, `"extents"`, `"at":4,"extents"`, 1)
	}, large)
	two.At = 4
	for name, c := range map[string]struct {
		refs []manifest.Ref
		ok   bool
	}{
		"both": {[]manifest.Ref{one, two}, true}, "first": {[]manifest.Ref{one}, false}, "second": {[]manifest.Ref{two}, false}, "second twice": {[]manifest.Ref{one, two, two}, false},
	} {
		for _, include := range [][]string{nil, {"large"}} {
			dest := t.TempDir()
			_, err := pull(t.Context(), f.source(c.refs...), dest, transfer.PullOptions{Include: include})
			if c.ok != (err == nil) || err != nil && !errors.Is(err, transfer.ErrIntegrity) {
				t.Errorf("%s, include %q: %v", name, include, err)
			}
			if got := contents(t, dest); len(got) > 0 != c.ok {
				t.Errorf("%s, include %q: %q", name, include, got)
			}
		}
	}
}

func TestNewerManifestsAskForAnUpgrade(t *testing.T) {
	f := newForger(newVault(t))
	s := f.source(f.part(func(s string) string { return strings.Replace(s, `"none"`, `"zstd"`, 1) }, f.file("a", "1")))
	_, err := pull(t.Context(), s, t.TempDir(), transfer.PullOptions{})
	if err == nil || errors.Is(err, transfer.ErrIntegrity) {
		t.Errorf("pull: %v", err)
	}
	if report, err := transfer.Check(t.Context(), s, true, nil); err == nil || errors.Is(err, transfer.ErrIntegrity) {
		t.Errorf("check: %+v, %v", report, err)
	}
}
