package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
)

// read decodes parts, checks them against the root, and returns the files they list.
func read(root *Root, parts []Encoded) ([]File, error) {
	var files []File
	seq := NewSequence(root)
	for i, enc := range parts {
		p, err := DecodePart(enc.First, enc.At, enc.Plain)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", i, err)
		}
		if err := seq.Add(p); err != nil {
			return nil, fmt.Errorf("part %d: %w", i, err)
		}
		for _, e := range p.Entries {
			if e.At == 0 {
				files = append(files, File{Path: e.Path, Mode: e.Mode, Size: e.Size, SHA256: e.SHA256})
			}
			f := &files[len(files)-1]
			for _, x := range e.Extents {
				f.Pieces = append(f.Pieces, Piece{&p.Chunks[x.Chunk], x.Offset, x.Length})
			}
		}
	}
	_, err := seq.Finish(root)
	return files, err
}

// same compares files by what their chunks say.
func same(a, b File) bool {
	piece := func(p, q Piece) bool {
		c, d := *p.Chunk, *q.Chunk
		equal := p.Offset == q.Offset && p.Length == q.Length && c.Seed.Equal(d.Seed)
		c.Seed, d.Seed = Secret{}, Secret{}
		return equal && reflect.DeepEqual(c, d)
	}
	return a.Path == b.Path && a.Mode == b.Mode && a.Size == b.Size && a.SHA256 == b.SHA256 && slices.EqualFunc(a.Pieces, b.Pieces, piece)
}

func TestPartsRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		files := anyFiles(rt)
		key := SecretFrom(fixed(rapid.IntRange(0, 99).Draw(rt, "key"), "key"))
		parts := build(t, key, files)
		got, err := read(rootOf(files, refs(parts)), parts)
		if err != nil {
			rt.Fatal(err)
		}
		if !slices.EqualFunc(got, files, same) {
			rt.Fatalf("got %v, want %v", got, files)
		}
	})
}

func TestPartsOfManyFiles(t *testing.T) {
	files := append([]File{largeFile("big", 9000)}, smallFiles(4000)...)
	files = append(files, largeFile("e", 4000), largeFile("f", 200))
	parts := build(t, NewSecret(), files)
	if len(parts) < 5 || len(parts) > 30 {
		t.Errorf("%d parts for some 17,000 extents", len(parts))
	}
	root := rootOf(files, refs(parts))
	got, err := read(root, parts)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, files, same) {
		t.Error("files differ")
	}
	for _, i := range []int{0, len(parts) / 2, len(parts) - 1} {
		less := slices.Delete(slices.Clone(parts), i, i+1)
		if _, err := read(root, less); !errors.Is(err, ErrMalformed) {
			t.Errorf("without part %d: %v", i, err)
		}
		twice := slices.Insert(slices.Clone(parts), i, parts[i])
		if _, err := read(root, twice); !errors.Is(err, ErrMalformed) {
			t.Errorf("with part %d twice: %v", i, err)
		}
	}
}

// An inserted file must not move more than the parts around it.
func TestInsertedFileMovesFewParts(t *testing.T) {
	key := NewSecret()
	files := smallFiles(50_000)
	old := make(map[string]bool)
	for _, p := range build(t, key, files) {
		old[string(p.Plain)] = true
	}
	for i := 0; i < len(files); i += 24_999 {
		f := File{Path: files[i].Path + "-inserted", Mode: Regular, SHA256: nothing}
		fresh := 0
		for _, p := range build(t, key, slices.Insert(slices.Clone(files), i+1, f)) {
			if !old[string(p.Plain)] {
				fresh++
			}
		}
		if fresh > 4 {
			t.Errorf("a file inserted at %d changed %d of %d parts", i, fresh, len(old))
		}
	}
}

// Ten changed files among 100,000, each in a group of 100 that is stored anew,
// rewrite about ten parts, and nothing else of the manifest.
func TestTenChangedFilesRewriteAboutTenParts(t *testing.T) {
	key, files := NewSecret(), smallFiles(100_000)
	old, all := make(map[string]bool), build(t, key, files)
	for _, p := range all {
		old[string(p.Plain)] = true
	}
	for i := range 10 {
		at := i*9_973 + 17
		files[at].SHA256 = fixed(at, "changed")
		c := fixedChunk(1<<30+i, 1000)
		for j := at / 100 * 100; j < at/100*100+100; j++ {
			files[j].Pieces = []Piece{{c, files[j].Pieces[0].Offset, 10}}
		}
	}
	fresh, size := 0, 0
	for _, p := range build(t, key, files) {
		if !old[string(p.Plain)] {
			fresh++
			size += len(p.Plain)
		}
	}
	t.Logf("%d of %d parts, %d bytes", fresh, len(all), size)
	if fresh < 5 || fresh > 15 {
		t.Errorf("%d of %d parts were rewritten", fresh, len(all))
	}
}

func TestLongPathsFillParts(t *testing.T) {
	var files []File
	for i := range 1000 {
		// Every byte of such a path takes six in JSON.
		files = append(files, File{Path: fmt.Sprintf("%04d", i) + strings.Repeat("\x01", MaxPath-4), Mode: Regular, SHA256: nothing})
	}
	parts := build(t, NewSecret(), files)
	if _, err := read(rootOf(files, nil), parts); err != nil {
		t.Error(err)
	}
	for _, p := range parts {
		if len(p.Plain) > MaxPart {
			t.Errorf("a part of %d bytes", len(p.Plain))
		}
	}
}

func TestNodes(t *testing.T) {
	var list []Ref
	for i := range 20_000 {
		list = append(list, Ref{fmt.Sprintf("f%06d", i), 0, *fixedChunk(i, 1000)})
	}
	root := rootOf(nil, list)
	root.Files = 1
	if _, err := root.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("a root of %d parts: %v", len(list), err)
	}
	nodes := collect(t, Nodes(NewSecret(), list))
	var got []Ref
	for _, enc := range nodes {
		n, err := DecodeNode(Files, enc.First, 0, enc.Plain)
		if err != nil {
			t.Fatal(err)
		}
		if n.Parts[0].First != enc.First {
			t.Errorf("a node that begins with %q is announced with %q", n.Parts[0].First, enc.First)
		}
		got = append(got, n.Parts...)
	}
	if !slices.EqualFunc(got, list, func(a, b Ref) bool { return a.First == b.First && a.Name == b.Name && a.Seed.Equal(b.Seed) }) {
		t.Error("nodes list other parts")
	}
	root.Depth, root.Parts = 2, refs(nodes)
	if _, err := root.Encode(); err != nil {
		t.Errorf("a root of %d nodes: %v", len(nodes), err)
	}
}

func TestRootRoundTrip(t *testing.T) {
	files := smallFiles(5000)
	want := rootOf(files, refs(build(t, NewSecret(), files)))
	plain, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{plain, Pad(slices.Clone(plain))} {
		got, err := DecodeRoot(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := got.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(plain) || got.Files != 5000 || len(got.Parts) != len(want.Parts) {
			t.Error("the root came back different")
		}
	}
	for _, padding := range []int{1, 63, 64 << 10} {
		if _, err := DecodeRoot(append(slices.Clone(plain), make([]byte, padding)...)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes of padding: %v", padding, err)
		}
	}
}

func TestEmptyRoot(t *testing.T) {
	plain, err := rootOf(nil, nil).Encode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := DecodeRoot(plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSequence(r).Finish(r); err != nil {
		t.Error(err)
	}
}

func TestPadding(t *testing.T) {
	for n, want := range map[int64]int64{0: 64 << 10, 1: 64 << 10, 64 << 10: 64 << 10, 64<<10 + 1: 1 << 20, 4 << 20: 4 << 20, 4<<20 + 1: 16 << 20, MaxChunk: MaxChunk, MaxChunk + 1: MaxChunk + 1} {
		if got := PaddedSize(n); got != want {
			t.Errorf("%d is padded to %d, want %d", n, got, want)
		}
	}
	c := fixedChunk(1, 1000)
	c.SealedSize = seal.SealedSize(64<<10, 1)
	if err := c.check(); err != nil {
		t.Errorf("a padded chunk: %v", err)
	}
}

// A million files must be found with two references below the root.
func TestMillionFilesFitDepthTwo(t *testing.T) {
	key := NewSecret()
	n := 0
	var list []Ref
	cut := NewCutter(key)
	for i := range 1_000_000 {
		if n++; cut.endsPart(fmt.Sprintf("f%07d", i), 1) || n == MaxExtents {
			list = append(list, Ref{fmt.Sprintf("f%07d", i-n+1), 0, *fixedChunk(i, 1000)})
			n = 0
		}
	}
	root := rootOf(nil, refs(collect(t, Nodes(key, list))))
	root.Files, root.Depth = 1, 2
	if _, err := root.Encode(); err != nil {
		t.Errorf("%d parts: %v", len(list), err)
	}
}

func TestGroupsAreAboutTheirTarget(t *testing.T) {
	for _, size := range []int64{0, 1000, 100_000, 3 << 20} {
		cut := NewCutter(SecretFrom(fixed(1, "groups")))
		const files = 50_000
		groups := 1
		for i := range files {
			if cut.EndsGroup(fmt.Sprint("file", i), size) {
				groups++
			}
		}
		mean := files * (size + fileWeight) / int64(groups)
		if mean < groupTarget/2 || mean > groupTarget*2 {
			t.Errorf("files of %d bytes: groups of %d bytes", size, mean)
		}
	}
}

func TestUnknownVersionsAskForAnUpgrade(t *testing.T) {
	files := smallFiles(3)
	part := string(build(t, NewSecret(), files)[0].Plain)
	root, err := rootOf(files, refs(build(t, NewSecret(), files))).Encode()
	if err != nil {
		t.Fatal(err)
	}
	node := string(collect(t, Nodes(NewSecret(), refs(build(t, NewSecret(), files))))[0].Plain)
	references, err := sampleReferences().Encode()
	if err != nil {
		t.Fatal(err)
	}
	newer := func(s string) []byte { return []byte(strings.Replace(s, "/1", "/2", 1)) }
	for name, err := range map[string]error{
		"part":     second(DecodePart(files[0].Path, 0, newer(part))),
		"node":     second(DecodeNode(Files, files[0].Path, 0, newer(node))),
		"root":     second(DecodeRoot(newer(string(root)))),
		"r":        second(DecodeReferences(newer(string(references)))),
		"encoding": second(DecodePart(files[0].Path, 0, []byte(strings.Replace(part, `"none"`, `"zstd"`, 1)))),
	} {
		if !errors.Is(err, entry.ErrUpgrade) || errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestChunkNameAndSeedDependOnSecretAndDigest(t *testing.T) {
	s, d := SecretFrom(fixed(1, "s")), Sum([]byte("plain"))
	name := ChunkName(s, d, []byte("sealed"))
	if !validChunkName(name) {
		t.Errorf("name %q", name)
	}
	seen := map[string]bool{name: true, ChunkName(s, d, []byte("other")): true, ChunkName(s, Sum(nil), []byte("sealed")): true, ChunkName(SecretFrom(fixed(2, "s")), d, []byte("sealed")): true}
	if len(seen) != 4 {
		t.Error("names collide")
	}
	if ChunkSeed(s, d).Reveal() == derive(s, "id", d) {
		t.Error("the seed is the name")
	}
}
