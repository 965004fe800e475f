package codec

import (
	"cmp"
	"math/bits"
	"slices"
)

const (
	maxBits  = 11           // of a code
	fullCode = 1 << maxBits // Kraft sum of a complete code, in units of 2^-maxBits
	noCode   = -1
)

// lengths are the lengths in bits of the codes of all symbols, 0 for one that
// does not occur.
type lengths [256]uint8

// codes returns the canonical codes for l: by length, then by symbol, each
// reversed so that its first bit is the lowest, as DEFLATE does (RFC 1951,
// 3.2.2).
func (l *lengths) codes() (c [256]uint16) {
	var next [maxBits + 2]uint16
	for _, n := range l {
		if n > 0 {
			next[n+1]++
		}
	}
	for n := 2; n <= maxBits; n++ {
		next[n] = (next[n-1] + next[n]) << 1
	}
	for s, n := range l {
		if n > 0 {
			c[s] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
	return c
}

// complete reports whether every string of bits is one of codes, so that a
// decoder can meet none that it does not know: the Kraft sum is one.
func (l *lengths) complete() bool {
	sum := 0
	for _, n := range l {
		if n > 0 {
			sum += fullCode >> n
		}
	}
	return sum == fullCode
}

// cost is the length in bits of what has this histogram, or noCode if l has none
// for a symbol of it.
func (l *lengths) cost(h *[256]uint32) int {
	sum := 0
	for s, n := range h {
		if n > 0 && l[s] == 0 {
			return noCode
		}
		sum += int(n) * int(l[s])
	}
	return sum
}

// optimal returns the lengths of a Huffman code for a histogram of at least two
// symbols, limited to maxBits.
func optimal(h *[256]uint32) (l lengths) {
	type node struct {
		weight       uint64
		parent, leaf int16
		depth        uint8
	}
	var nodes [511]node
	n := 0
	for s, count := range h {
		if count > 0 {
			nodes[n] = node{weight: uint64(count), leaf: int16(s)}
			n++
		}
	}
	leaves := nodes[:n]
	slices.SortFunc(leaves, func(a, b node) int { return cmp.Compare(a.weight, b.weight) })
	// Leaves, and the nodes made of them, both come in order of weight: the
	// lightest is the first of one of the two queues.
	leaf, inner := 0, n
	for end := n; end < 2*n-1; end++ {
		var sum uint64
		for range 2 {
			i := leaf
			if leaf == n || inner < end && nodes[inner].weight < nodes[leaf].weight {
				i = inner
				inner++
			} else {
				leaf++
			}
			sum += nodes[i].weight
			nodes[i].parent = int16(end)
		}
		nodes[end] = node{weight: sum}
	}
	kraft := 0
	for i := 2*n - 3; i >= 0; i-- {
		depth := nodes[nodes[i].parent].depth + 1
		nodes[i].depth = depth
		if i < n {
			nodes[i].depth = min(depth, maxBits)
			kraft += fullCode >> nodes[i].depth
		}
	}
	// Too deep codes were cut: the rarest of those that can be longer pay, then
	// the most frequent take what is left over. It always comes out even, as
	// what is left is a multiple of what the longest code takes.
	for i := 0; kraft > fullCode; i = (i + 1) % n {
		if d := leaves[i].depth; d < maxBits {
			leaves[i].depth++
			kraft -= fullCode >> (d + 1)
		}
	}
	for i := n - 1; kraft < fullCode; i = (i + n - 1) % n {
		if gain := fullCode >> leaves[i].depth; gain <= fullCode-kraft {
			leaves[i].depth--
			kraft += gain
		}
	}
	for _, x := range leaves {
		l[x.leaf] = x.depth
	}
	return l
}

// histogram counts the symbols of p.
func histogram(p []byte) (h [256]uint32) {
	var a, b, c, d [256]uint32
	i := 0
	for ; i+8 <= len(p); i += 8 {
		x := load(p[i:])
		a[byte(x)]++
		b[byte(x>>8)]++
		c[byte(x>>16)]++
		d[byte(x>>24)]++
		a[byte(x>>32)]++
		b[byte(x>>40)]++
		c[byte(x>>48)]++
		d[byte(x>>56)]++
	}
	for ; i < len(p); i++ {
		a[p[i]]++
	}
	for s := range h {
		h[s] = a[s] + b[s] + c[s] + d[s]
	}
	return h
}
