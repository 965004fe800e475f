// Package codec makes chunks smaller before they are sealed, and brings them
// back: floating-point and quantised weights split into planes of which those
// that gain are Huffman-coded, zstd for text. Its bytes are FORMAT.md §7.9.
//
// The idea is ZipNN's (arXiv 2411.05239): of a weight the exponent takes few
// values, sign and mantissa are noise, so that a general compressor, which sees
// them mixed, gains nothing.
package codec

import (
	"errors"
	"fmt"
)

// MaxLength is the longest plaintext of a chunk, in bytes.
const MaxLength = 16 << 20

// Names of encodings.
const (
	None   = "none"     // the plaintext itself
	planes = "planes-1" // §7.9.1
	zstd1  = "zstd-1"   // §7.9.2
)

// ErrCorrupt: the bytes are no encoding of a plaintext of that length.
var ErrCorrupt = errors.New("encoded bytes are corrupt")

// ErrUnknown: no encoding that this client knows has that name.
var ErrUnknown = errors.New("unknown encoding")

// Kind is what the caller knows of the elements of a chunk. It is a hint: any
// bytes can be encoded under any kind, only less well or not at all.
type Kind uint8

// Kinds of elements.
const (
	Unknown Kind = iota // judged by content
	Text                // text, JSON, source
	BF16
	F16
	F32
	F64
	Bytes  // elements of one byte: int8, uint8, fp8; quantised blocks
	Opaque // compressed or encrypted already: not tried
)

// Known reports whether Decode knows the encoding.
func Known(name string) bool {
	return name == None || name == planes || name == zstd1
}

// worth is the longest encoding of n bytes that is worth its decoding: 1/32,
// about 3 %, less than they take.
func worth(n int) int { return n - n/32 - 1 }

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrCorrupt)
}

func unknown(name string) error { return fmt.Errorf("%w: %q", ErrUnknown, name) }
