package manifest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
)

// fixed returns a secret, id or digest that is the same in every run.
func fixed(n int, label string) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte(label), uint64(n)))
}

func fixedID(n int) (id canonical.ID) {
	d := fixed(n, "id")
	copy(id[:], d[:])
	return id
}

// fixedChunk returns a well-formed chunk; what it seals does not exist.
func fixedChunk(n int, length int64) *Chunk {
	cid := fixed(n, "cid")
	return &Chunk{
		Creator: fixedID(n % 3), Name: fmt.Sprintf("%x-%016x", cid, n), Seed: SecretFrom(fixed(n, "seed")),
		Sealed: fixed(n, "sealed"), SealedSize: seal.SealedSize(length, 1), Digest: fixed(n, "digest"),
		Length: length, Encoding: EncodingNone,
	}
}

var nothing = canonical.Digest(sha256.Sum256(nil))

// smallFiles returns n files of so many bytes in groups of 100.
func smallFiles(n int) []File {
	files := make([]File, n)
	for i := range files {
		files[i] = File{Path: fmt.Sprintf("d%03d/f%06d", i/1000, i), Mode: Regular, Size: 10, SHA256: fixed(i, "file")}
	}
	for group := range slices.Chunk(files, 100) {
		c := fixedChunk(int(group[0].SHA256[0])<<16+int(group[0].SHA256[1]), int64(10*len(group)))
		for i := range group {
			group[i].Pieces = []Piece{{c, int64(10 * i), 10}}
		}
	}
	return files
}

// largeFile returns a file of n whole chunks.
func largeFile(path string, n int) File {
	f := File{Path: path, Mode: Regular, Size: int64(n) * 1000, SHA256: fixed(n, "large")}
	for i := range n {
		f.Pieces = append(f.Pieces, Piece{fixedChunk(1<<20+i, 1000), 0, 1000})
	}
	return f
}

// someTensors returns n tensors in order, of three files.
func someTensors(n int) []Tensor {
	out := make([]Tensor, n)
	for i := range out {
		out[i] = Tensor{Name: fmt.Sprintf("layer.%06d", i), DType: "bf16", Shape: []int64{int64(i), 2}, File: fmt.Sprintf("m%d", i%3), At: int64(4 * i), Size: int64(4 * i)}
	}
	out[0].Shape, out[0].File = nil, "\xff"
	return out
}

// build returns the plaintexts of the parts of files.
func build(t testing.TB, key Secret, files []File) []Encoded {
	t.Helper()
	return collect(t, Parts(key, slices.Values(files)))
}

func collect(t testing.TB, seq iter.Seq2[Encoded, error]) []Encoded {
	t.Helper()
	var out []Encoded
	for p, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// refs returns references to parts that were not stored.
func refs(parts []Encoded) []Ref {
	out := make([]Ref, len(parts))
	for i, p := range parts {
		out[i] = Ref{p.First, p.At, *fixedChunk(i, int64(len(p.Plain)))}
	}
	return out
}

// rootOf returns a root that announces files.
func rootOf(files []File, parts []Ref) *Root {
	r := &Root{Artefact: fixed(0, "aid"), Version: fixedID(9), Salt: SecretFrom(fixed(0, "salt")), Cut: SecretFrom(fixed(0, "cut")), Depth: 1, Parts: parts}
	for _, f := range files {
		if f.Mode == Directory {
			r.Directories++
		} else {
			r.Files++
		}
		r.Bytes += f.Size
	}
	return r
}

// anyFiles draws files in order: empty, small, of several chunks, directories;
// under paths of any bytes.
func anyFiles(t *rapid.T) []File {
	segment := rapid.Custom(func(t *rapid.T) string {
		b := rapid.SliceOfN(rapid.Byte(), 1, 6).Draw(t, "segment")
		s := strings.NewReplacer("\x00", "0", "/", "-").Replace(string(b))
		if s == "." || s == ".." {
			return "dots"
		}
		return s
	})
	paths := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
	}), rapid.ID).Draw(t, "paths")
	slices.Sort(paths)
	var files []File
	var o order
	shared := fixedChunk(7, 5000)
	for i, p := range paths {
		f := File{Path: p, Mode: rapid.SampledFrom([]Mode{Regular, Executable, Directory}).Draw(t, "mode"), SHA256: nothing}
		if o.next(&Entry{Path: p}) != nil {
			continue // it would stand below a file
		}
		pieces := rapid.IntRange(0, 5).Draw(t, "pieces")
		if f.Mode == Directory {
			pieces = 0
		}
		for j := range pieces {
			piece := Piece{fixedChunk(100*i+j, 1000), 0, 1000}
			if rapid.Bool().Draw(t, "shared") {
				piece = Piece{shared, int64(10 * i), 10}
			}
			f.Pieces = append(f.Pieces, piece)
			f.Size += piece.Length
			f.SHA256 = fixed(i, "file")
		}
		files = append(files, f)
	}
	return files
}
