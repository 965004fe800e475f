package manifest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/seal"
)

func TestCheckPath(t *testing.T) {
	for _, p := range []string{"a", "a/b", "...", "a/..b", "\xff/\x01", "a\\b", "C:", strings.Repeat("x", MaxPath)} {
		if err := CheckPath(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/..", "a/../b", "../a", "a\x00b", strings.Repeat("x", MaxPath+1)} {
		if err := CheckPath(p); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// hostilePart builds a part from a template in which the test changes one thing.
type hostilePart struct {
	chunks  []*Chunk
	entries []Entry
}

func (h *hostilePart) decode() error {
	var chunks, entries []string
	for _, c := range h.chunks {
		chunks = append(chunks, marshal(c.wire()))
	}
	for i := range h.entries {
		entries = append(entries, marshal(h.entries[i].wire()))
	}
	first := ""
	if len(h.entries) > 0 {
		first = h.entries[0].Path
	}
	_, err := DecodePart(first, 0, []byte(fmt.Sprintf(`{"format":"%s","chunks":[%s],"entries":[%s]}`, partFormat, strings.Join(chunks, ","), strings.Join(entries, ","))))
	return err
}

func template() *hostilePart {
	return &hostilePart{
		chunks: []*Chunk{fixedChunk(1, 100), fixedChunk(2, 200)},
		entries: []Entry{
			{Path: "a", Mode: Regular, Size: 250, SHA256: fixed(1, "f"), Extents: []Extent{{0, 50, 50}, {1, 0, 200}}},
			{Path: "b", Mode: Directory, SHA256: nothing},
			{Path: "c/d", Mode: Executable, Size: 50, SHA256: fixed(2, "f"), Extents: []Extent{{0, 0, 50}}},
		},
	}
}

func TestHostileParts(t *testing.T) {
	if err := template().decode(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*hostilePart){
		"no entries":           func(h *hostilePart) { h.entries, h.chunks = nil, nil },
		"unsorted":             func(h *hostilePart) { h.entries[0], h.entries[2] = h.entries[2], h.entries[0] },
		"duplicate path":       func(h *hostilePart) { h.entries[1].Path = "a" },
		"below a file":         func(h *hostilePart) { h.entries[1].Path = "a/b" },
		"far below a file":     func(h *hostilePart) { h.entries[1].Path, h.entries[2].Path = "a-b", "a/b/c" },
		"below an empty dir":   func(h *hostilePart) { h.entries[2].Path = "b/d" },
		"traversal":            func(h *hostilePart) { h.entries[2].Path = "c/../../d" },
		"absolute":             func(h *hostilePart) { h.entries[0].Path = "/a" },
		"empty path":           func(h *hostilePart) { h.entries[0].Path = "" },
		"setuid":               func(h *hostilePart) { h.entries[0].Mode = "4755" },
		"symlink":              func(h *hostilePart) { h.entries[0].Mode = "link" },
		"negative size":        func(h *hostilePart) { h.entries[0].Size = -1 },
		"huge size":            func(h *hostilePart) { h.entries[2].Size = MaxBytes + 1 },
		"dir with bytes":       func(h *hostilePart) { h.entries[1].Size = 1 },
		"dir with extents":     func(h *hostilePart) { h.entries[1].Extents = []Extent{{0, 0, 1}} },
		"hash of nothing":      func(h *hostilePart) { h.entries[1].SHA256 = fixed(1, "f") },
		"too short":            func(h *hostilePart) { h.entries[0].Size = 251 },
		"too long":             func(h *hostilePart) { h.entries[0].Size = 249 },
		"no extents":           func(h *hostilePart) { h.entries[2].Extents = nil },
		"empty extent":         func(h *hostilePart) { h.entries[0].Extents[1].Length = 0 },
		"negative extent":      func(h *hostilePart) { h.entries[0].Extents[1].Length = -200 },
		"negative offset":      func(h *hostilePart) { h.entries[0].Extents[1].Offset = -1 },
		"beyond the chunk":     func(h *hostilePart) { h.entries[0].Extents[0].Offset = 51 },
		"far beyond the chunk": func(h *hostilePart) { h.entries[0].Extents[0].Offset = 1 << 62 },
		"overflowing extent":   func(h *hostilePart) { h.entries[0].Extents[0] = Extent{0, 1, 1<<63 - 1} },
		"unknown chunk":        func(h *hostilePart) { h.entries[0].Extents[1].Chunk = 2 },
		"negative chunk":       func(h *hostilePart) { h.entries[0].Extents[0].Chunk = -1 },
		"chunks out of order": func(h *hostilePart) {
			h.chunks = []*Chunk{fixedChunk(1, 200), fixedChunk(2, 200)}
			h.entries[0].Extents[0].Chunk, h.entries[0].Extents[1].Chunk = 1, 0
		},
		"unused chunk":           func(h *hostilePart) { h.chunks = append(h.chunks, fixedChunk(3, 1)) },
		"chunk twice":            func(h *hostilePart) { h.chunks[1].Creator, h.chunks[1].Name = h.chunks[0].Creator, h.chunks[0].Name },
		"starts at an offset":    func(h *hostilePart) { h.entries[2].At = 10 },
		"negative at":            func(h *hostilePart) { h.entries[0].At = -1 },
		"continues past the end": func(h *hostilePart) { h.entries[0].At = 1 },
		"too many extents": func(h *hostilePart) {
			h.chunks, h.entries = h.chunks[:1], h.entries[:1]
			h.entries[0].Size, h.entries[0].Extents = 4097, slices.Repeat([]Extent{{0, 0, 1}}, 4097)
		},
		"too many entries and extents": func(h *hostilePart) {
			h.entries[0].Extents = slices.Repeat([]Extent{{0, 0, 1}}, 4095)
			h.entries[0].Extents[1] = Extent{1, 0, 200}
			h.entries[0].Size = 4094 + 200
		},
		"chunk of nothing": func(h *hostilePart) { h.chunks[0].Length = 0 },
		"huge chunk": func(h *hostilePart) {
			h.chunks[0].Length = MaxChunk + 1
			h.chunks[0].SealedSize = seal.SealedSize(MaxChunk+1, 1)
		},
		"sealed size":             func(h *hostilePart) { h.chunks[0].SealedSize++ },
		"chunk name":              func(h *hostilePart) { h.chunks[0].Name = "../" + h.chunks[0].Name[3:] },
		"encoded as it is":        func(h *hostilePart) { h.chunks[0].Encoded, h.chunks[0].SealedSize = 50, seal.SealedSize(50, 1) },
		"upper case chunk name":   func(h *hostilePart) { h.chunks[0].Name = strings.ToUpper(h.chunks[0].Name) },
		"chunk without a creator": func(h *hostilePart) { h.chunks[0].Creator = [16]byte{} },
	} {
		h := template()
		change(h)
		if err := h.decode(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHostileSpellings(t *testing.T) {
	good := build(t, NewSecret(), []File{{Path: "a", Mode: Regular, SHA256: nothing}})[0]
	for name, plain := range map[string]string{
		"white space":      strings.Replace(string(good.Plain), `:[`, `: [`, 1),
		"trailing byte":    string(good.Plain) + "\n",
		"null entries":     fmt.Sprintf(`{"format":"%s","chunks":[],"entries":null}`, partFormat),
		"null extents":     strings.Replace(string(good.Plain), `"extents":[]`, `"extents":null`, 1),
		"no chunks":        strings.Replace(string(good.Plain), `"chunks":[],`, "", 1),
		"unknown member":   strings.Replace(string(good.Plain), `"chunks"`, `"x":1,"chunks"`, 1),
		"member case":      strings.Replace(string(good.Plain), `"size"`, `"Size"`, 1),
		"text as bytes":    strings.Replace(string(good.Plain), `"path":"a"`, `"path_base64":"YQ=="`, 1),
		"two paths":        strings.Replace(string(good.Plain), `"path":"a"`, `"path":"a","path_base64":"/w=="`, 1),
		"lone surrogate":   strings.Replace(string(good.Plain), `"path":"a"`, `"path":"\ud800"`, 1),
		"extent of two":    strings.Replace(string(good.Plain), `"extents":[]`, `"extents":[[0,0]]`, 1),
		"extent of four":   strings.Replace(string(good.Plain), `"extents":[]`, `"extents":[[0,0,1,0]]`, 1),
		"fraction":         strings.Replace(string(good.Plain), `"size":0`, `"size":0.0`, 1),
		"not JSON":         "PK\x03\x04",
		"nothing":          "",
		"format alone":     `{"format":"aivault-manifest-part/1"`,
		"version of words": strings.Replace(string(good.Plain), "part/1", "part/one", 1),
		"version 01":       strings.Replace(string(good.Plain), "part/1", "part/01", 1),
		"endless version":  `{"format":"aivault-manifest-part/` + strings.Repeat("1", 100),
		"too many entries": fmt.Sprintf(`{"format":"%s","chunks":[],"entries":[%s{}]}`, partFormat, strings.Repeat("{},", 1<<20)),
		"too long":         fmt.Sprintf(`{"format":"%s","chunks":[],"entries":[%s]}`, partFormat, strings.Repeat(" ", MaxPart)),
	} {
		if name != "format alone" && plain == string(good.Plain) {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := DecodePart("a", 0, []byte(plain)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One element more than the limit must stop decoding before the rest is allocated.
func TestManyElementsDoNotAmplify(t *testing.T) {
	plain := []byte(fmt.Sprintf(`{"format":"%s","chunks":[],"entries":[%s{}]}`, partFormat, strings.Repeat("{},", 1<<20)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := DecodePart("", 0, plain); err == nil {
		t.Fatal("it was accepted")
	}
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	if limit := uint64(8 * len(plain)); allocated > limit {
		t.Errorf("decoding %d hostile bytes allocated %d", len(plain), allocated)
	}
}

func TestHostileRoots(t *testing.T) {
	files := smallFiles(3)
	base := func() *Root { return rootOf(files, refs(build(t, NewSecret(), files))) }
	for name, change := range map[string]func(*Root){
		"no artefact":      func(r *Root) { r.Artefact = [32]byte{} },
		"no version":       func(r *Root) { r.Version = [16]byte{} },
		"depth 0":          func(r *Root) { r.Depth = 0 },
		"depth 3":          func(r *Root) { r.Depth = 3 },
		"negative files":   func(r *Root) { r.Files = -3 },
		"negative bytes":   func(r *Root) { r.Bytes = -1 },
		"too many bytes":   func(r *Root) { r.Bytes = MaxBytes + 1 },
		"files nowhere":    func(r *Root) { r.Parts = nil },
		"parts of nothing": func(r *Root) { r.Files = 0 },
		"bad first path":   func(r *Root) { r.Parts[0].First = "../x" },
		"parts out of order": func(r *Root) {
			r.Parts = append(r.Parts, r.Parts[0])
			r.Parts[1].First = "a"
		},
		"bad tensors": func(r *Root) { r.Tensors = []Ref{{First: "x", At: -1, Chunk: r.Parts[0].Chunk}} },
		"bad part":    func(r *Root) { r.Parts[0].Length = 0 },
	} {
		r := base()
		change(r)
		plain, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeRoot(plain); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnfinishedFile(t *testing.T) {
	files := []File{largeFile("x", 5000)}
	parts := build(t, NewSecret(), files)
	if len(parts) != 2 {
		t.Fatalf("%d parts", len(parts))
	}
	if _, err := read(rootOf(files, refs(parts)), parts[:1]); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func TestSequenceComparesWithTheRoot(t *testing.T) {
	files := smallFiles(3)
	parts := build(t, NewSecret(), files)
	for name, change := range map[string]func(*Root){
		"files":       func(r *Root) { r.Files++ },
		"directories": func(r *Root) { r.Directories++ },
		"bytes":       func(r *Root) { r.Bytes-- },
	} {
		root := rootOf(files, refs(parts))
		change(root)
		if _, err := read(root, parts); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	parts[0].First = "another"
	if _, err := read(rootOf(files, refs(parts)), parts); !errors.Is(err, ErrMalformed) {
		t.Errorf("first path of a part: %v", err)
	}
	node := collect(t, Nodes(NewSecret(), refs(parts)))[0]
	if _, err := DecodeNode(Files, "d", 0, node.Plain); !errors.Is(err, ErrMalformed) {
		t.Errorf("first path of a node: %v", err)
	}
}
