package codec

import "math"

const (
	pieces    = 4        // of a sample
	pieceSize = 16 << 10 // the longest
	// gain is what a sample must be made smaller by.
	gain = 1.0 / 32
	// slower is what zstd must be better by than planes, which are several times
	// as fast both ways.
	slower = 0.03
	// wider is what an estimate must be better by to replace that of a narrower
	// transform: the wider, the fewer symbols of the sample a plane has, and the
	// less they say.
	wider = 0.01
	// fewest is the number of elements below which a plane says nothing.
	fewest = 512
)

// spot returns pieces of b from all over it, joined; b itself if it is short.
// Each stands at a multiple of 8, so that phases hold for all.
func spot(buf, b []byte, size int) []byte {
	if len(b) <= pieces*size {
		return b
	}
	for k := range pieces {
		at := (len(b) - size) / (pieces - 1) * k &^ 7
		buf = append(buf, b[at:at+size]...)
	}
	return buf
}

// choose returns the encoding that a sample of src speaks for, and for planes
// the transform, nil if it is to be looked for in each block.
func (e *Encoder) choose(src []byte, kind Kind) (string, *transform) {
	piece := max(pieceSize/8, min(pieceSize, len(src)/512)) &^ 7
	s := spot(e.spot[:0], src, piece)
	var t *transform
	best := 1.0
	for _, c := range candidates(kind) {
		if x := c.estimate(&e.guess.scratch, s); t == nil || x < best-wider {
			best, t = x, &c
		}
		if best <= 1-gain {
			break
		}
	}
	switch kind {
	case Text:
		if e.frameRatio(s) <= 1-gain {
			return zstd1, nil
		}
		return None, nil
	case Unknown:
		best = e.guess.look(s)
		fallthrough
	case Bytes:
		// Blocks may be frames, too: one frame of all must be better in most.
		mixed, frames := 0.0, 0.0
		for at := 0; at < len(s); at += piece {
			part := s[at:min(at+piece, len(s))]
			n := float64(len(part))
			x := e.frameRatio(part)
			frames += x * n
			mixed += min(x+slower, best) * n
		}
		best = mixed / float64(len(s))
		if x := frames / float64(len(s)); x <= min(best, 1-gain) {
			return zstd1, nil
		}
	}
	if best > 1-gain {
		return None, nil
	}
	return planes, t
}

// frameRatio is what zstd leaves of s, as a part of it.
func (e *Encoder) frameRatio(s []byte) float64 {
	e.buf = e.compress(e.buf[:0], s)
	return float64(len(e.buf)) / float64(len(s))
}

// candidates are the transforms that may suit a kind, the likely one first.
func candidates(kind Kind) []transform {
	switch kind {
	case BF16, F16:
		return []transform{{width: 2, rotate: true}, {width: 2}}
	case F32:
		return []transform{{width: 4, rotate: true}, {width: 4}}
	case F64:
		return []transform{{width: 8}, {width: 8, rotate: true}}
	case Bytes:
		return []transform{{width: 1}}
	}
	return nil
}

// estimate returns what a Huffman code would leave of s under t, as a part of
// it; the constant costs of a block are not in it. planes is for scratch.
func (t transform) estimate(planes *[pieces * pieceSize]byte, s []byte) float64 {
	head, elements, _ := t.parts(len(s))
	if elements == 0 {
		return 1
	}
	var p [8][]byte
	for k := range t.width {
		p[k] = planes[k*elements:][:elements]
	}
	t.split(&p, s[head:head+elements*t.width])
	sum := 0.0
	for k := range t.width {
		h := histogram(p[k])
		sum += bitsOf(&h)
	}
	return sum / float64(8*t.width)
}

// bitsOf is what a symbol takes that has this histogram: a code has at least one
// bit, and more than eight are stored raw.
func bitsOf(h *[256]uint32) float64 {
	x := entropy(h)
	if x > 0 {
		x = max(x, 1)
	}
	return min(x, 8)
}

// A guesser finds transforms for bytes of which nothing is known. Blocks that
// look like the one before get the same.
type guesser struct {
	scratch [pieces * pieceSize]byte
	lanes   [8]float64 // entropy of every eighth byte of the last block, by its place
	last    transform
	ratio   float64 // what is estimated to be left
}

func (g *guesser) guess(block []byte) *transform {
	const size = 2 << 10
	var buf [pieces * size]byte
	g.look(spot(buf[:0], block, size))
	return &g.last
}

// look decides for a sample, and returns the part of it that is left.
func (g *guesser) look(s []byte) float64 {
	var lanes [8][256]uint32
	for i := 0; i <= len(s)-8; i += 8 {
		x := load(s[i : i+8])
		for k := range lanes {
			lanes[k][byte(x>>(8*k))]++
		}
	}
	var seen [8]float64
	alike, noise := g.ratio > 0, true
	for k := range lanes {
		seen[k] = entropy(&lanes[k])
		alike = alike && math.Abs(seen[k]-g.lanes[k]) < 0.25
		noise = noise && seen[k] > 8*(1-gain)
	}
	if alike {
		return g.ratio
	}
	g.lanes, g.last, g.ratio = seen, transform{width: 1}, 1
	if noise {
		return g.ratio
	}
	widest := 8
	for widest > 2 && len(s)/widest < fewest {
		widest /= 2
	}
	// A plane of a transform that does not rotate is a lane, or several merged.
	for width := 1; width <= widest; width *= 2 {
		sum := 0.0
		for k := range width {
			h := lanes[k]
			for j := k + width; j < 8; j += width {
				for s, n := range &lanes[j] {
					h[s] += n
				}
			}
			sum += bitsOf(&h)
		}
		g.consider(transform{width: width}, sum/float64(8*width))
	}
	short := s[:min(len(s), pieceSize)]
	for width := 2; width <= widest; width *= 2 {
		for phase := range width {
			t := transform{width: width, rotate: true, phase: phase}
			g.consider(t, t.estimate(&g.scratch, short))
		}
	}
	return g.ratio
}

func (g *guesser) consider(t transform, ratio float64) {
	margin := 0.0
	if t.width > g.last.width {
		margin = wider
	}
	if ratio < g.ratio-margin {
		g.last, g.ratio = t, ratio
	}
}
