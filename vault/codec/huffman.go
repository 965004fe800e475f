package codec

import (
	"math/bits"
	"slices"
)

// A plane is coded in four streams of equally many symbols, which a processor
// decodes side by side.
const streams = 4

// coder writes planes with a Huffman code, two symbols at a time.
type coder struct {
	lengths lengths
	symbols []byte // that have a code
	// single[s] and pairs[s0|s1<<8] are codes<<6 | their length. Pairs that the
	// code does not have are whatever they were.
	single [256]uint32
	pairs  [1 << 16]uint32
}

// pairSymbols is the number of symbols up to which a table of pairs pays.
const pairSymbols = 80

func (c *coder) use(l *lengths) {
	if *l == c.lengths {
		return
	}
	c.lengths, c.symbols = *l, c.symbols[:0]
	codes := l.codes()
	for s, n := range l {
		if n > 0 {
			c.symbols = append(c.symbols, byte(s))
			c.single[s] = uint32(codes[s])<<6 | uint32(n)
		}
	}
	if len(c.symbols) > pairSymbols {
		return
	}
	for _, hi := range c.symbols {
		second := c.single[hi]
		row := c.pairs[int(hi)<<8:][:256]
		for _, lo := range c.symbols {
			first := c.single[lo]
			n := first & 63
			row[lo] = (first>>6|second>>6<<n)<<6 | (n + second&63)
		}
	}
}

// stream writes the codes of p, whose length is even, and returns how many
// bytes they take. dst has room for the longest codes and 8 bytes to spare.
func (c *coder) stream(dst, p []byte) int {
	// acc holds the n bits, less than 8, that are not yet written for good; two
	// entries add at most 44.
	var acc uint64
	var n uint32
	i, pos := 0, 0
	if len(c.symbols) <= pairSymbols {
		for t := &c.pairs; i <= len(p)-8; i += 8 {
			x := load(p[i : i+8])
			e0, e1 := t[uint16(x)], t[uint16(x>>16)]
			acc |= (uint64(e0>>6) | uint64(e1>>6)<<(e0&63)) << (n & 63)
			n += (e0 + e1) & 63
			store(dst[pos:pos+8], acc)
			pos, acc, n = pos+int(n>>3), acc>>(n&56), n&7
			e0, e1 = t[uint16(x>>32)], t[uint16(x>>48)]
			acc |= (uint64(e0>>6) | uint64(e1>>6)<<(e0&63)) << (n & 63)
			n += (e0 + e1) & 63
			store(dst[pos:pos+8], acc)
			pos, acc, n = pos+int(n>>3), acc>>(n&56), n&7
		}
	}
	for t := &c.single; i <= len(p)-2; i += 2 {
		e0, e1 := t[p[i]], t[p[i+1]]
		acc |= (uint64(e0>>6) | uint64(e1>>6)<<(e0&63)) << (n & 63)
		n += (e0 + e1) & 63
		store(dst[pos:pos+8], acc)
		pos, acc, n = pos+int(n>>3), acc>>(n&56), n&7
	}
	return pos + int(n+7)>>3
}

// table decodes a Huffman code.
type table struct {
	lengths lengths
	// single[x] is symbol | length<<8 of the code that the bits x begin with.
	single [fullCode]uint16
	// multi[1<<n|x] is what the n bits x begin with: up to six symbols in the low
	// bytes, the bits they take <<48, their number <<56.
	multi [2 * fullCode]uint64
}

const (
	multiSymbols = 6
	symbolBits   = 1<<48 - 1
)

// use makes t decode l, which is complete.
func (t *table) use(l *lengths) {
	if *l == t.lengths {
		return
	}
	t.lengths = *l
	codes := l.codes()
	for s, n := range l {
		if n == 0 {
			continue
		}
		for x := int(codes[s]); x < fullCode; x += 1 << n {
			t.single[x] = uint16(s) | uint16(n)<<8
		}
	}
	// After the first symbol, of n bits, comes what i>>n holds: the same bits but
	// for the first n.
	for top := 2; top <= fullCode; top *= 2 {
		for i := top; i < 2*top; i++ {
			e := uint64(t.single[i-top])
			n := e >> 8
			rest := i >> (n & 15)
			r := t.multi[rest]
			v := e&255 | r<<8&symbolBits + r&^symbolBits + n<<48 + 1<<56
			if r>>56 == multiSymbols {
				v = t.first(i)
			}
			if rest == 0 { // not all of the first
				v = 0
			}
			t.multi[i] = v
		}
	}
}

// first makes an entry of multi of no more symbols than it can hold.
func (t *table) first(i int) uint64 {
	var symbols, used, count uint64
	for rest := i; count < multiSymbols; count++ {
		e := uint64(t.single[rest-1<<(bits.Len(uint(rest))-1)])
		rest >>= e >> 8
		symbols |= e & 255 << (8 * count)
		used += e >> 8
	}
	return symbols | used<<48 | count<<56
}

const (
	lookups = 5                            // that 57 bits are enough for
	written = (lookups-1)*multiSymbols + 8 // bytes that so many touch
)

// decode fills dst, a multiple of streams, from the four streams that begin at
// the given bytes of src, and reports whether each ends where the next begins,
// the last at end, with zeros for the bits left over.
func (t *table) decode(dst, src []byte, begin [streams]int, end int) bool {
	q := len(dst) / streams
	var o [streams]int  // bytes written, of q
	var p [streams]uint // bits read, of src
	for k := range p {
		p[k] = uint(begin[k]) * 8
	}
	for {
		room := q - slices.Max(o[:]) - written
		left := (len(src)-8)*8 - int(slices.Max(p[:]))
		if room < 0 || left < 0 {
			break
		}
		t.rounds(dst, src, &o, &p, 1+min(room/(lookups*multiSymbols), left/(lookups*maxBits)))
	}
	for k := range streams {
		if k < streams-1 {
			if !t.rest(dst[k*q+o[k]:(k+1)*q], src, p[k], begin[k+1]) {
				return false
			}
		} else if !t.rest(dst[k*q+o[k]:], src, p[k], end) {
			return false
		}
	}
	return true
}

// rounds makes n times five look-ups in each stream. What a look-up writes
// beyond its symbols the next one overwrites; the last ones, rest does. It is
// unrolled by hand, which makes it twice as fast.
func (t *table) rounds(dst, src []byte, o *[streams]int, p *[streams]uint, n int) {
	q, m := len(dst)/streams, (*[fullCode]uint64)(t.multi[fullCode:])
	o0, o1, o2, o3 := o[0], o[1]+q, o[2]+2*q, o[3]+3*q
	p0, p1, p2, p3 := p[0], p[1], p[2], p[3]
	for range n {
		w := load(src[p0>>3:p0>>3+8]) >> (p0 & 7)
		e := m[w%fullCode]
		store(dst[o0:o0+8], e)
		o0, p0, w = o0+int(e>>56), p0+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o0:o0+8], e)
		o0, p0, w = o0+int(e>>56), p0+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o0:o0+8], e)
		o0, p0, w = o0+int(e>>56), p0+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o0:o0+8], e)
		o0, p0, w = o0+int(e>>56), p0+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o0:o0+8], e)
		o0, p0, w = o0+int(e>>56), p0+uint(e>>48&15), w>>(e>>48&15)
		w = load(src[p1>>3:p1>>3+8]) >> (p1 & 7)
		e = m[w%fullCode]
		store(dst[o1:o1+8], e)
		o1, p1, w = o1+int(e>>56), p1+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o1:o1+8], e)
		o1, p1, w = o1+int(e>>56), p1+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o1:o1+8], e)
		o1, p1, w = o1+int(e>>56), p1+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o1:o1+8], e)
		o1, p1, w = o1+int(e>>56), p1+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o1:o1+8], e)
		o1, p1, w = o1+int(e>>56), p1+uint(e>>48&15), w>>(e>>48&15)
		w = load(src[p2>>3:p2>>3+8]) >> (p2 & 7)
		e = m[w%fullCode]
		store(dst[o2:o2+8], e)
		o2, p2, w = o2+int(e>>56), p2+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o2:o2+8], e)
		o2, p2, w = o2+int(e>>56), p2+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o2:o2+8], e)
		o2, p2, w = o2+int(e>>56), p2+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o2:o2+8], e)
		o2, p2, w = o2+int(e>>56), p2+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o2:o2+8], e)
		o2, p2, w = o2+int(e>>56), p2+uint(e>>48&15), w>>(e>>48&15)
		w = load(src[p3>>3:p3>>3+8]) >> (p3 & 7)
		e = m[w%fullCode]
		store(dst[o3:o3+8], e)
		o3, p3, w = o3+int(e>>56), p3+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o3:o3+8], e)
		o3, p3, w = o3+int(e>>56), p3+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o3:o3+8], e)
		o3, p3, w = o3+int(e>>56), p3+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o3:o3+8], e)
		o3, p3, w = o3+int(e>>56), p3+uint(e>>48&15), w>>(e>>48&15)
		e = m[w%fullCode]
		store(dst[o3:o3+8], e)
		o3, p3, w = o3+int(e>>56), p3+uint(e>>48&15), w>>(e>>48&15)
	}
	*o = [streams]int{o0, o1 - q, o2 - 2*q, o3 - 3*q}
	*p = [streams]uint{p0, p1, p2, p3}
}

// rest decodes the end of a stream symbol by symbol, from bit p of src.
func (t *table) rest(dst, src []byte, p uint, end int) bool {
	window := func() uint64 {
		i := int(p >> 3)
		if i+8 <= len(src) {
			return load(src[i:]) >> (p & 7)
		}
		var last [8]byte
		copy(last[:], src[min(i, len(src)):])
		return load(last[:]) >> (p & 7)
	}
	for i := range dst {
		e := t.single[window()&(fullCode-1)]
		dst[i] = byte(e)
		p += uint(e >> 8)
	}
	return int(p+7)>>3 == end && window()&(1<<(-p&7)-1) == 0
}
