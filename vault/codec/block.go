package codec

import "math/bits"

// Plaintext bytes of a block, of which the last one of a chunk may have fewer.
// Statistics adapt from one to the next; what each costs speaks for large ones,
// tensors of a few KiB for small ones.
const (
	largeBlock = 128 << 10
	smallBlock = 16 << 10
)

// The first byte of a block: log2 of the width, then rotation, phase and size; or
// that it is a zstd frame.
const (
	rotateBit  = 1 << 2
	phaseShift = 3
	smallBit   = 1 << 6
	zstdBit    = 1 << 7
)

func (t transform) header(size int) byte {
	b := byte(bits.TrailingZeros8(uint8(t.width))) | byte(t.phase)<<phaseShift
	if t.rotate {
		b |= rotateBit
	}
	return b | sizeBit(size)
}

func sizeBit(size int) byte {
	if size == smallBlock {
		return smallBit
	}
	return 0
}

// parseHeader returns the block's size, and its transform unless it is a frame.
func parseHeader(b byte) (t transform, size int, frame, ok bool) {
	size = largeBlock
	if b&smallBit != 0 {
		size = smallBlock
	}
	if b&zstdBit != 0 {
		return t, size, true, b&^smallBit == zstdBit
	}
	t = transform{width: 1 << (b & 3), rotate: b&rotateBit != 0, phase: int(b >> phaseShift & 7)}
	return t, size, false, t.phase < t.width && (t.width > 1 || !t.rotate)
}

// Modes of a plane.
const (
	modeRaw      = 0 // its bytes
	modeConstant = 1 // one byte, which all of them are
	modeHuffman  = 2
)

const (
	streamHeader = 3 * streams                  // bytes that give the lengths of all streams
	planeHeader  = 1 + 2 + 256/2 + streamHeader // the most that stands before them
	touched      = 8                            // by a stream beyond its end
)

// blockEncoder encodes blocks. It takes 0.5 MiB.
type blockEncoder struct {
	coder   coder
	top     [largeBlock]byte // the plane that is expected to gain
	scratch [largeBlock]byte
}

// room is what encode may touch of dst for a block of n bytes: planes that turn
// out longer than raw ones included.
func room(n int) int { return n + n/2 + 1024 }

// encode writes the encoding of a block of that size, the last of which may be
// shorter, to dst, which is room(len(src)) long, and returns its length.
func (e *blockEncoder) encode(dst, src []byte, t transform, size int) int {
	head, elements, tail := t.parts(len(src))
	dst[0] = t.header(size)
	pos := 1 + copy(dst[1:], src[:head])
	pos += copy(dst[pos:], src[len(src)-tail:])
	// All planes but the top one are split to where they stand if they, and those
	// before them, are raw: usually they are.
	var p [8][]byte
	for k := range t.width - 1 {
		p[k] = dst[pos+k*(elements+1)+1:][:elements]
	}
	p[t.width-1] = e.top[:elements]
	body := src[head : len(src)-tail]
	if t.width == 1 {
		p[0] = body
	}
	if elements == 0 {
		return pos
	}
	if t.width > 1 {
		t.split(&p, body)
	}
	for k := range t.width {
		pos += e.plane(dst[pos:], p[k], k == t.width-1)
	}
	return pos
}

// plane writes a plane, which may stand in dst already, with others after it,
// unless it is the top one.
func (e *blockEncoder) plane(dst, p []byte, top bool) int {
	h := sample(p)
	if entropy(&h) > 8*(1-gain) {
		return raw(dst, p)
	}
	whole := !top || !spread(&h, p)
	if whole {
		h = histogram(p)
	}
	if int(h[p[0]]) == len(p) {
		dst[0], dst[1] = modeConstant, p[0]
		return 2
	}
	l := optimal(&h)
	if best, last := l.cost(&h), e.coder.lengths.cost(&h); last != noCode && last-best <= best/256 {
		l = e.coder.lengths // nearly as good, and neither side builds another
	}
	if whole && planeHeader+l.cost(&h)/8+streams+touched > worth(len(p)) {
		return raw(dst, p)
	}
	if !top {
		p = e.scratch[:copy(e.scratch[:], p)]
	}
	e.coder.use(&l)
	dst[0] = modeHuffman
	pos := 1 + putLengths(dst[1:], &l)
	sizes := pos
	pos += streamHeader
	q := len(p) / streams
	for k := range streams {
		n := e.coder.stream(dst[pos:], p[k*q:(k+1)*q])
		dst[sizes], dst[sizes+1], dst[sizes+2] = byte(n), byte(n>>8), byte(n>>16)
		sizes += 3
		pos += n
	}
	if pos > worth(len(p)) {
		return raw(dst, p)
	}
	return pos
}

func raw(dst, p []byte) int {
	dst[0] = modeRaw
	return 1 + copy(dst[1:], p)
}

// putLengths writes the first and the last symbol, then the lengths of their
// codes and of those between them, two in a byte.
func putLengths(dst []byte, l *lengths) int {
	first, last := 0, 255
	for l[first] == 0 {
		first++
	}
	for l[last] == 0 {
		last--
	}
	dst[0], dst[1] = byte(first), byte(last)
	pos := 2
	for s := first; s <= last; s += 2 {
		b := l[s]
		if s < last {
			b |= l[s+1] << 4
		}
		dst[pos] = b
		pos++
	}
	return pos
}
