package gear

import (
	"crypto/sha256"
	"math/rand/v2"
	"slices"
	"testing"
)

// fastCDC is FastCDC as its paper has it (Algorithm 1, normalisation level 2):
// masks with spread bits, a table of random numbers, the normal size at the
// average.
func fastCDC(data []byte) []int {
	const (
		minimum = Min >> scale
		average = 8 << 20 >> scale
		maximum = Max >> scale
	)
	r := rand.New(rand.NewPCG(1, 2))
	var table [256]uint64
	for i := range table {
		table[i] = r.Uint64()
	}
	mask := func(n int) (m uint64) {
		for range n {
			for bit := uint64(0); ; {
				if bit = 1 << (16 + r.IntN(48)); m&bit == 0 {
					m |= bit
					break
				}
			}
		}
		return m
	}
	small, large := mask(23-scale+2), mask(23-scale-2)
	var ends []int
	for start := 0; start < len(data); {
		n, fp := min(len(data)-start, maximum), uint64(0)
		for i := minimum; i < n; i++ {
			fp = fp<<1 + table[data[start+i]]
			if i < average && fp&small == 0 || i >= average && fp&large == 0 {
				n = i
				break
			}
		}
		start += n
		ends = append(ends, start)
	}
	return ends
}

// stored returns how many bytes two streams take where equal pieces are kept once.
func stored(cut func([]byte) []int, streams ...[]byte) (n int) {
	seen := map[[32]byte]bool{}
	for _, data := range streams {
		last := 0
		for _, end := range cut(data) {
			piece := data[last:end]
			if sum := sha256.Sum256(piece); !seen[sum] {
				seen[sum] = true
				n += len(piece)
			}
			last = end
		}
	}
	return n
}

// What is shifted, inserted and deleted costs no more than with FastCDC. One
// run has its luck, so several are added up.
func TestDeduplicatesNoWorseThanFastCDC(t *testing.T) {
	edits := map[string]func(r *rand.Rand, data []byte) []byte{
		"shifted": func(r *rand.Rand, data []byte) []byte { return slices.Concat(noise(r.Uint64(), 1+r.IntN(4096)), data) },
		"inserted": func(r *rand.Rand, data []byte) []byte {
			for range 8 {
				data = slices.Insert(slices.Clone(data), r.IntN(len(data)), noise(r.Uint64(), 1+r.IntN(1000))...)
			}
			return data
		},
		"deleted": func(r *rand.Rand, data []byte) []byte {
			for range 8 {
				at := r.IntN(len(data) - 1000)
				data = slices.Delete(slices.Clone(data), at, at+1+r.IntN(1000))
			}
			return data
		},
		"overwritten": func(r *rand.Rand, data []byte) []byte {
			data = slices.Clone(data)
			for range 8 {
				data[r.IntN(len(data))] ^= 1
			}
			return data
		},
	}
	var ours, theirs int
	for name, edit := range edits {
		r := rand.New(rand.NewPCG(3, uint64(len(name))))
		one, other := 0, 0
		for seed := range uint64(2) {
			data := noise(seed, 4<<20)
			changed := edit(r, data)
			table := NewTable([32]byte{byte(seed)})
			one += stored(func(b []byte) []int { return cuts(scaled(table), b, len(b)) }, data, changed) - len(data)
			other += stored(fastCDC, data, changed) - len(data)
		}
		t.Logf("%s: %d bytes more, with FastCDC %d", name, one, other)
		ours += one
		theirs += other
	}
	if float64(ours) > 1.05*float64(theirs) {
		t.Errorf("%d bytes more, with FastCDC %d", ours, theirs)
	}
}
