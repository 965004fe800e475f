// Package manifest defines the documents that say what a version consists of
// (vault/FORMAT.md §7): the manifest, a tree of a root, nodes and parts that
// names every file, every tensor and every chunk; the references, which name the stored
// objects to those who may not read; the cuts that decide where chunks and
// parts end; and the version digest. It is pure: it reads no storage.
//
// All decoders take hostile input: they check every bound before anything is
// used, and accept one spelling only.
package manifest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/entry"
)

const (
	// MaxChunk is the longest plaintext of a chunk, in bytes.
	MaxChunk = 16 << 20
	// MaxRoot is the longest encoding of a root, in bytes.
	MaxRoot = 64 << 10
	// MaxPart is the longest encoding of a part or a node, in bytes.
	MaxPart = 4 << 20
	// MaxExtents bounds the extents of a part, where an entry without any counts
	// as one, and the references of a root or a node.
	MaxExtents = 4096
	// MaxPath is the length of the longest path, in bytes.
	MaxPath = 4096
	// MaxBytes bounds every size: integers stay exact in every JSON reader.
	MaxBytes = 1<<53 - 1
)

var (
	// ErrMalformed marks bytes that are not the document they should be.
	ErrMalformed = errors.New("malformed manifest")
	// ErrTooLarge means that a version has too many files or objects for a
	// document's limit.
	ErrTooLarge = errors.New("too large for a manifest")
)

// EncodingNone is the encoding of a chunk that is sealed as it is.
const EncodingNone = codec.None

// Mode is all that is kept of a file's mode.
type Mode string

const (
	Regular    Mode = "0644"
	Executable Mode = "0755"
	Directory  Mode = "dir" // an empty directory
)

// Chunk says where a chunk stands, how to open it and what must come out. A
// part or node of a manifest is stored as a chunk as well. Seed opens it, so a
// Chunk must not leave the reach of the manifest's readers.
type Chunk struct {
	Creator    canonical.ID     // the version that put it
	Name       string           // see [ChunkName]
	Seed       Secret           // of its identity
	Sealed     canonical.Digest // of the object's bytes
	SealedSize int64            // of the object, in bytes
	Digest     Digest           // of the plaintext
	Length     int64            // of the plaintext, in bytes: 1 to MaxChunk
	Encoding   string           // of what is sealed
	Encoded    int64            // length of that, in bytes, less than Length; 0: the plaintext itself is sealed
}

// Inner returns the length of what is sealed, without padding.
func (c *Chunk) Inner() int64 {
	if c.Encoded > 0 {
		return c.Encoded
	}
	return c.Length
}

// Key returns the chunk's key in a store.
func (c *Chunk) Key(aid canonical.Digest) string {
	return VersionPrefix(aid, c.Creator) + "c/" + c.Name
}

// VersionPrefix is what the keys of all objects of a version start with.
func VersionPrefix(aid canonical.Digest, vid canonical.ID) string {
	return "a/" + aid.String() + "/v/" + vid.String() + "/"
}

// Extent is a range of a chunk's plaintext.
type Extent struct {
	Chunk  int // index into the part's chunks
	Offset int64
	Length int64 // at least 1
}

// Entry is a file, a piece of a file, or an empty directory.
type Entry struct {
	Path    string // see [CheckPath]
	Mode    Mode
	Size    int64            // of the whole file, in bytes
	SHA256  canonical.Digest // of the whole file; of nothing for a directory
	At      int64            // where in the file the extents begin; above 0: it continues the last entry of the part before
	Extents []Extent         // the file's bytes, in order
}

// End returns where in the file the extents end.
func (e *Entry) End() int64 {
	end := e.At
	for _, x := range e.Extents {
		end += x.Length
	}
	return end
}

// Part lists entries, in bytewise order of their paths, and the chunks that hold
// them, in the order of first use.
type Part struct {
	Chunks  []Chunk
	Entries []Entry
}

// Ref names a part or a node and what comes first below it.
type Ref struct {
	First string // the first path; of tensors the first name
	At    int64  // where in the file First the part begins; how many tensors named First come before it
	Chunk
}

// Node lists parts.
type Node struct {
	Parts []Ref
}

// Root is the top of a manifest.
type Root struct {
	Artefact    canonical.Digest
	Version     canonical.ID
	Salt        Secret // of the version digest
	Cut         Secret // key of the cuts; versions that are to share chunks share it
	Files       int64
	Directories int64 // empty ones
	Bytes       int64 // of all files
	Depth       int   // 1: the lists name parts; 2: they name nodes
	Parts       []Ref // of files
	Tensors     []Ref // of tensors; none if no file has any
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// check checks a chunk as far as it says something about itself.
func (c *Chunk) check() error {
	inner := c.Inner()
	switch {
	case !codec.Known(c.Encoding):
		return fmt.Errorf("chunk encoding %q: %w", c.Encoding, entry.ErrUpgrade)
	case c.Creator.IsZero():
		return malformed("a chunk without a creator")
	case !validChunkName(c.Name):
		return malformed("chunk name %q", c.Name)
	case c.Length < 1 || c.Length > MaxChunk:
		return malformed("chunk %s: %d bytes of plaintext", c.Name, c.Length)
	case c.Encoded < 0 || c.Encoded >= c.Length || (c.Encoded == 0) != (c.Encoding == EncodingNone):
		return malformed("chunk %s: %d bytes as %s in %d", c.Name, c.Length, c.Encoding, c.Encoded)
	case c.SealedSize != seal.SealedSize(inner, 1) && c.SealedSize != seal.SealedSize(PaddedSize(inner), 1):
		return malformed("chunk %s: %d bytes do not seal to %d", c.Name, inner, c.SealedSize)
	}
	return nil
}

// PaddedSize returns the length to which n bytes of a confidential artefact are
// padded before sealing: 64 KiB, 1 MiB, 4 MiB or 16 MiB; n itself above that.
func PaddedSize(n int64) int64 {
	for _, size := range []int64{64 << 10, 1 << 20, 4 << 20, 16 << 20} {
		if n <= size {
			return size
		}
	}
	return n
}

// Pad appends zeros to b up to its padded size, in place if there is room.
func Pad(b []byte) []byte {
	n := len(b)
	b = slices.Grow(b, int(PaddedSize(int64(n)))-n)[:PaddedSize(int64(n))]
	clear(b[n:])
	return b
}

// unpad takes the zeros that Pad appended off a document that ends in another byte.
func unpad(b []byte) ([]byte, error) {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	if n != len(b) && PaddedSize(int64(n)) != int64(len(b)) {
		return nil, malformed("%d bytes of padding after %d bytes", len(b)-n, n)
	}
	return b[:n], nil
}
