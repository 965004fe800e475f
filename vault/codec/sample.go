package codec

import (
	"encoding/binary"
	"math"
)

// sample returns the histogram of a sixteenth of a plane, in pieces from all over
// it, or of all of it if it is short.
func sample(p []byte) (h [256]uint32) {
	const piece, part = 512, 16
	if len(p) < 4*piece*part {
		return histogram(p)
	}
	for i := 0; i+piece <= len(p); i += piece * part {
		for j := i; j < i+piece; j += 8 {
			x := load(p[j : j+8])
			h[byte(x)]++
			h[byte(x>>8)]++
			h[byte(x>>16)]++
			h[byte(x>>24)]++
			h[byte(x>>32)]++
			h[byte(x>>40)]++
			h[byte(x>>48)]++
			h[byte(x>>56)]++
		}
	}
	return h
}

// spread makes the histogram of a sample one that has all symbols of p, and
// reports whether it could: exponents lie close together, so that all that may
// occur get a code at little cost, and a check is an eighth of a full histogram.
func spread(h *[256]uint32, p []byte) bool {
	const window = 32
	first, last := 0, 255
	for h[first] == 0 {
		first++
	}
	for h[last] == 0 {
		last--
	}
	if first == last {
		return false // perhaps a constant
	}
	first = min(first, max(0, last+2-window+1), 256-window)
	if last >= first+window {
		return false
	}
	var outside uint64
	base := uint64(first) * 0x0101010101010101
	// A byte below the base borrows, and is seen by that; one above the window has
	// a high bit left.
	i := 0
	for ; i <= len(p)-32; i += 32 {
		q := (*[32]byte)(p[i : i+32])
		outside |= (load(q[:8]) - base) | (load(q[8:16]) - base) | (load(q[16:24]) - base) | (load(q[24:]) - base)
	}
	for ; i <= len(p)-8; i += 8 {
		outside |= load(p[i:i+8]) - base
	}
	if outside&((256-window)*0x0101010101010101) != 0 {
		return false
	}
	for s := first; s < first+window; s++ {
		h[s] = max(h[s], 1)
	}
	return true
}

// entropy returns the bits that a symbol takes in an ideal code for a histogram,
// corrected for what a small sample hides (Miller and Madow).
func entropy(h *[256]uint32) float64 {
	var n, symbols, sum float64
	for _, c := range h {
		if c > 0 {
			x := float64(c)
			n += x
			symbols++
			sum += x * math.Log2(x)
		}
	}
	if n == 0 {
		return 0
	}
	return math.Log2(n) - sum/n + (symbols-1)/(2*n*math.Ln2)
}

// repeats reports whether a part of the four bytes at each place have been met
// before, in some stretch of a block: then zstd may gain more than planes, and is
// worth its time. Weights do not repeat.
func repeats(block []byte) bool {
	const stretches, size, part = 4, 512, 64
	for at := 0; at+size <= len(block); at += max(size, len(block)/stretches&^7) {
		var last [1 << 8]uint16 // by hash, the place after which they stood last
		p, n := block[at:at+size], 0
		for i := 0; i <= len(p)-4; i++ {
			x := binary.LittleEndian.Uint32(p[i : i+4])
			before := &last[x*0x9e3779b1>>24]
			if *before > 0 && binary.LittleEndian.Uint32(p[*before-1:]) == x {
				n++
			}
			*before = uint16(i + 1)
		}
		if n > size/part {
			return true
		}
	}
	return false
}
