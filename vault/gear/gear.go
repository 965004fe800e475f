// Package gear cuts a stream of bytes into pieces by its content, so that after
// an insertion or a deletion the cuts come to stand between the same bytes
// again: FastCDC (Xia et al., USENIX ATC 2016) with its gear hash, its skipped
// minimum and its normalised sizes. Where it cuts depends on a key besides the
// bytes: who lacks it learns nothing from the lengths of pieces but that they
// are lengths (vault/FORMAT.md §7.4).
//
// It is pure, keeps nothing of what it reads and copies nothing.
package gear

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Lengths of pieces, in bytes. They are 8 MiB on average.
const (
	Min = 2 << 20 // but for the last piece of a stream
	Max = 16 << 20
)

// bounds says how long pieces are. From normal on a cut is 16 times more likely,
// so that lengths crowd around the average.
type bounds struct {
	min, normal, max int
	strict, loose    uint64 // a piece ends where the hash is below: before normal, and from there on
}

// standard has a cut once in 32 MiB, and from 6,784 KiB on once in 2 MiB: with
// the minimum that makes 8 MiB on average.
func standard() bounds {
	return bounds{min: Min, normal: 6784 << 10, max: Max, strict: 1 << (64 - 25), loose: 1 << (64 - 21)}
}

// Table is what a key makes of every byte. Safe for concurrent use.
type Table [256]uint64

// NewTable derives the table of a key: of HMAC-SHA-256(key, "gear" ‖ 0x00 ‖ i),
// i being one byte from 0 to 63, the four big-endian integers of eight bytes are
// the words of the bytes 4i to 4i+3.
func NewTable(key [32]byte) *Table {
	t := new(Table)
	mac := hmac.New(sha256.New, key[:])
	var sum [sha256.Size]byte
	for i := range 64 {
		mac.Reset()
		mac.Write([]byte("gear\x00"))
		mac.Write([]byte{byte(i)})
		mac.Sum(sum[:0])
		for j := range 4 {
			t[4*i+j] = binary.BigEndian.Uint64(sum[8*j:])
		}
	}
	return t
}

// Cutter finds the ends of the pieces of one stream. Not safe for concurrent use.
type Cutter struct {
	table *Table
	bounds
	hash uint64
	n    int // bytes of the piece that were given already
}

// NewCutter returns a cutter at the beginning of a stream.
func NewCutter(t *Table) *Cutter { return &Cutter{table: t, bounds: standard()} }

// Next is given the next bytes of the stream and returns how many of them belong
// to the piece that is under way. end: it ends there, and the rest of b is to be
// given again, as the beginning of the next one. Otherwise all of b belongs to
// it. How a stream is divided into calls makes no difference.
func (c *Cutter) Next(b []byte) (n int, end bool) {
	if c.n < c.min {
		n = min(c.min-c.n, len(b))
		c.n += n
	}
	if n < len(b) && c.n < c.normal {
		n, end = c.scan(b, n, c.normal, c.strict)
	}
	if !end && n < len(b) {
		n, end = c.scan(b, n, c.max, c.loose)
	}
	if end || c.n == c.max {
		c.n, c.hash = 0, 0
		return n, true
	}
	return n, false
}

// scan goes on at b[from] until the piece is limit bytes long or ends.
func (c *Cutter) scan(b []byte, from, limit int, below uint64) (n int, end bool) {
	part := b[from:min(len(b), from+limit-c.n)]
	n, c.hash = find(c.table, part, c.hash, below)
	if end = n >= 0; end {
		n++
	} else {
		n = len(part)
	}
	c.n += n
	return from + n, end
}

// find returns the index of the first byte of b at which the hash is below a
// limit, or -1, and the hash there.
func find(t *Table, b []byte, h, below uint64) (int, uint64) {
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		p := b[i : i+8 : i+8]
		// 2h + t is one instruction: what takes time is waiting for the hash before.
		h0 := h + h + t[p[0]]
		h1 := h0 + h0 + t[p[1]]
		h2 := h1 + h1 + t[p[2]]
		h3 := h2 + h2 + t[p[3]]
		h4 := h3 + h3 + t[p[4]]
		h5 := h4 + h4 + t[p[5]]
		h6 := h5 + h5 + t[p[6]]
		h = h6 + h6 + t[p[7]]
		if min(h0, h1, h2, h3, h4, h5, h6, h) < below {
			for j, v := range [...]uint64{h0, h1, h2, h3, h4, h5, h6, h} {
				if v < below {
					return i + j, v
				}
			}
		}
	}
	for ; i < len(b); i++ {
		if h = h + h + t[b[i]]; h < below {
			return i, h
		}
	}
	return -1, h
}
