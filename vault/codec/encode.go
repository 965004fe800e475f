package codec

import (
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Spare is how many bytes more than src dst must have room for, so that Encode
// allocates nothing for planes.
const Spare = largeBlock

// Encoder encodes chunks. It takes at most 16 MiB, and 1 MiB as long as it meets
// no text. It is not safe for concurrent use.
type Encoder struct {
	block blockEncoder
	guess guesser
	spot  [pieces * pieceSize]byte
	zstd  *zstd.Encoder // made when first needed
	buf   []byte        // what a sample encodes to
}

// NewEncoder returns an encoder.
func NewEncoder() *Encoder { return new(Encoder) }

// minLength is what it takes to be worth the trouble, in bytes. (Shorter frames
// also need not declare how long they are.)
const minLength = 256

// Encode appends to dst the encoding of src, of at most MaxLength bytes, and
// returns its name; None, and dst as it was, where less than about 3 % would be
// gained, or a sample of at most 64 KiB says so.
func (e *Encoder) Encode(dst, src []byte, kind Kind) (name string, out []byte) {
	if kind == Opaque || len(src) > MaxLength || len(src) < minLength {
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

// planes encodes src block by block: under t or, if that is nil, under what looks
// best for each. Elements of one byte go in small blocks, and any of them may be
// better off as a frame: such are the tables and the constants between weights.
func (e *Encoder) planes(dst, src []byte, t *transform) []byte {
	pos := len(dst)
	dst = slices.Grow(dst, len(src)+Spare)
	out := dst[:cap(dst)]
	// Nothing is known of what came before: a chunk is encoded alike by whom ever,
	// so that a push that was broken off recognises what it sent.
	e.guess.lanes, e.guess.last, e.guess.ratio = [8]float64{}, transform{}, 0
	e.block.coder.lengths = lengths{}
	for len(src) > 0 {
		region := src[:min(len(src), largeBlock)]
		src = src[len(region):]
		by, size := t, largeBlock
		if by == nil {
			by = e.guess.guess(region)
		}
		if by.width == 1 {
			size = smallBlock
		}
		for len(region) > 0 {
			block := region[:min(len(region), size)]
			region = region[len(block):]
			n := e.block.encode(out[pos:], block, *by, size)
			if (t == nil || t.width == 1) && len(block) >= minLength {
				n = e.frame(out[pos:], block, n, size)
			}
			pos += n
		}
	}
	return out[:pos]
}

// frame replaces the n bytes at dst that encode a block by a frame, if that is
// shorter, as it is if the block repeats itself.
func (e *Encoder) frame(dst, block []byte, n, size int) int {
	if !repeats(block) {
		return n
	}
	e.buf = e.compress(e.buf[:0], block)
	if 1+frameHeader+len(e.buf) >= n {
		return n
	}
	f := len(e.buf)
	dst[0] = zstdBit | sizeBit(size)
	dst[1], dst[2], dst[3] = byte(f), byte(f>>8), byte(f>>16)
	return 1 + frameHeader + copy(dst[1+frameHeader:], e.buf)
}

// frameHeader is the number of bytes that give the length of a block's frame.
const frameHeader = 3
