package codec

import (
	"encoding/binary"
	"math/bits"
)

// A transform says how a block's bytes are seen as elements.
type transform struct {
	width  int  // bytes of an element: 1, 2, 4 or 8
	rotate bool // words are rotated left by one bit: what is left of an element begins with its exponent
	phase  int  // bytes before the first element, less than width
}

// group is the number of elements whose planes are interleaved together.
const group = 8

// parts are the lengths of what a block of n bytes consists of: bytes before
// the first element, elements in whole groups, bytes after them.
func (t transform) parts(n int) (head, elements, tail int) {
	head = min(t.phase, n)
	elements = (n - head) / (group * t.width) * group
	return head, elements, n - head - elements*t.width
}

const (
	bytes16 = 0x00ff00ff00ff00ff
	halves  = 0x0000ffff0000ffff
	words   = 0x00000000ffffffff
)

func load(b []byte) uint64     { return binary.LittleEndian.Uint64(b) }
func store(b []byte, x uint64) { binary.LittleEndian.PutUint64(b, x) }

// swap exchanges the high part of every lane of x with the low part of that of
// y; mask has the low parts, of n bits. It is its own inverse.
func swap(x, y, mask uint64, n uint) (lo, hi uint64) {
	return x&mask | y&mask<<n, x>>n&mask | y&^mask
}

// rotation is by how many bits each word of eight bytes is rotated to the left.
func (t transform) rotation() int {
	if t.rotate {
		return 1
	}
	return 0
}

// split writes the planes of src, whose length is a multiple of a group's. The
// order of elements within the planes of a group is the one that costs no
// packing: §7.9.1 has the table.
func (t transform) split(p *[8][]byte, src []byte) {
	switch t.width {
	case 1:
		copy(p[0], src)
	case 2:
		t.split2(p[0], p[1], src)
	case 4:
		t.split4(p, src)
	case 8:
		t.split8(p, src)
	}
}

// Loops index with x[i:i+8]: of the ways to say it this is the one that the
// compiler makes two instructions of.

func (t transform) split2(lo, hi, src []byte) {
	r := t.rotation()
	for i, j := 0, 0; i <= len(lo)-8 && i <= len(hi)-8 && j <= len(src)-16; i, j = i+8, j+16 {
		x, y := bits.RotateLeft64(load(src[j:j+8]), r), bits.RotateLeft64(load(src[j+8:j+16]), r)
		x, y = swap(x, y, bytes16, 8)
		store(lo[i:i+8], x)
		store(hi[i:i+8], y)
	}
}

func (t transform) split4(p *[8][]byte, src []byte) {
	r := t.rotation()
	p0, p1, p2, p3 := p[0], p[1], p[2], p[3]
	for i, j := 0, 0; j <= len(src)-32; i, j = i+8, j+32 {
		s := (*[32]byte)(src[j : j+32])
		a, b := bits.RotateLeft64(load(s[:8]), r), bits.RotateLeft64(load(s[8:16]), r)
		c, d := bits.RotateLeft64(load(s[16:24]), r), bits.RotateLeft64(load(s[24:]), r)
		a, b = swap(a, b, halves, 16)
		c, d = swap(c, d, halves, 16)
		a, c = swap(a, c, bytes16, 8)
		b, d = swap(b, d, bytes16, 8)
		store(p0[i:i+8], a)
		store(p1[i:i+8], c)
		store(p2[i:i+8], b)
		store(p3[i:i+8], d)
	}
}

func (t transform) split8(p *[8][]byte, src []byte) {
	for i := 0; i+64 <= len(src); i += 64 {
		var w [8]uint64
		for k := range w {
			w[k] = bits.RotateLeft64(load(src[i+8*k:i+8*k+8]), t.rotation())
		}
		for k := 0; k < 8; k += 2 {
			w[k], w[k+1] = swap(w[k], w[k+1], words, 32)
		}
		for _, k := range [4]int{0, 1, 4, 5} {
			w[k], w[k+2] = swap(w[k], w[k+2], halves, 16)
		}
		for k := range 4 {
			w[k], w[k+4] = swap(w[k], w[k+4], bytes16, 8)
		}
		for k := range w {
			store(p[significance[k]][i/8:], w[k])
		}
	}
}

// significance[k] is the plane that word k holds after the three swaps of
// split8: the bits of k in reverse.
var significance = [8]int{0, 4, 2, 6, 1, 5, 3, 7}

// join is the inverse of split.
func (t transform) join(dst []byte, p *[8][]byte) {
	switch t.width {
	case 1:
		copy(dst, p[0])
	case 2:
		t.join2(dst, p[0], p[1])
	case 4:
		t.join4(dst, p)
	case 8:
		t.join8(dst, p)
	}
}

func (t transform) join2(dst, lo, hi []byte) {
	r := -t.rotation()
	for i, j := 0, 0; i <= len(lo)-8 && i <= len(hi)-8 && j <= len(dst)-16; i, j = i+8, j+16 {
		x, y := swap(load(lo[i:i+8]), load(hi[i:i+8]), bytes16, 8)
		store(dst[j:j+8], bits.RotateLeft64(x, r))
		store(dst[j+8:j+16], bits.RotateLeft64(y, r))
	}
}

func (t transform) join4(dst []byte, p *[8][]byte) {
	r := -t.rotation()
	p0, p1, p2, p3 := p[0], p[1], p[2], p[3]
	for i, j := 0, 0; j <= len(dst)-32; i, j = i+8, j+32 {
		a, c := swap(load(p0[i:i+8]), load(p1[i:i+8]), bytes16, 8)
		b, d := swap(load(p2[i:i+8]), load(p3[i:i+8]), bytes16, 8)
		a, b = swap(a, b, halves, 16)
		c, d = swap(c, d, halves, 16)
		s := (*[32]byte)(dst[j : j+32])
		store(s[:8], bits.RotateLeft64(a, r))
		store(s[8:16], bits.RotateLeft64(b, r))
		store(s[16:24], bits.RotateLeft64(c, r))
		store(s[24:], bits.RotateLeft64(d, r))
	}
}

func (t transform) join8(dst []byte, p *[8][]byte) {
	for i := 0; i+64 <= len(dst); i += 64 {
		var w [8]uint64
		for k := range w {
			w[k] = load(p[significance[k]][i/8:])
		}
		for k := range 4 {
			w[k], w[k+4] = swap(w[k], w[k+4], bytes16, 8)
		}
		for _, k := range [4]int{0, 1, 4, 5} {
			w[k], w[k+2] = swap(w[k], w[k+2], halves, 16)
		}
		for k := 0; k < 8; k += 2 {
			w[k], w[k+1] = swap(w[k], w[k+1], words, 32)
		}
		for k := range w {
			store(dst[i+8*k:i+8*k+8], bits.RotateLeft64(w[k], -t.rotation()))
		}
	}
}
