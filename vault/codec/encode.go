package codec

import (
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Spare is how many bytes more than src dst must have room for, so that Encode
// allocates nothing for planes.
const Spare = blockSize

// Encoder encodes chunks. It takes at most 16 MiB, and 1 MiB as long as it meets
// no text. It is not safe for concurrent use.
type Encoder struct {
	block blockEncoder
	zstd  *zstd.Encoder // made when first needed
	buf   []byte        // what a sample encodes to
}

// NewEncoder returns an encoder.
func NewEncoder() *Encoder { return new(Encoder) }

// Encode appends to dst the encoding of src, of at most MaxLength bytes, and
// returns its name; None, and dst as it was, where less than about 3 % would be
// gained, or a sample of at most 64 KiB says so.
func (e *Encoder) Encode(dst, src []byte, kind Kind) (name string, out []byte) {
	if kind == Opaque || len(src) > MaxLength || worth(len(src)) <= 0 {
		return None, dst
	}
	name, t := e.choose(src, kind)
	switch name {
	case zstd1:
		out = e.compress(dst, src)
	case planes:
		out = e.planes(dst, src, t)
	default:
		return None, dst
	}
	if len(out)-len(dst) > worth(len(src)) {
		return None, dst
	}
	return name, out
}

// planes encodes src block by block, under t or, if that is nil, under what
// looks best for each block.
func (e *Encoder) planes(dst, src []byte, t *transform) []byte {
	start := len(dst)
	dst = slices.Grow(dst, len(src)+Spare)
	out := dst[:cap(dst)]
	var g guesser
	for len(src) > 0 {
		block := src[:min(len(src), blockSize)]
		src = src[len(block):]
		by := t
		if by == nil {
			by = g.guess(block)
		}
		start += e.block.encode(out[start:], block, *by)
	}
	return out[:start]
}
