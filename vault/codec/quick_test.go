package codec

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func gbf16(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, 2*n)
	for range n {
		b = binary.LittleEndian.AppendUint16(b, uint16((math.Float32bits(float32(r.NormFloat64()*.02))+0x8000)>>16))
	}
	return b
}
func low(d []time.Duration) float64 { slices.Sort(d); return d[0].Seconds() }
func TestQuick(t *testing.T) {
	src := gbf16(512 << 10)
	e := new(blockEncoder)
	d := new(blockDecoder)
	dst := make([]byte, len(src)+1<<20)
	tr := transform{width: 2, rotate: true}
	out := make([]byte, len(src))
	var te, td, ts []time.Duration
	var pos int
	for range 600 {
		c := time.Now()
		pos = 0
		for i := 0; i < len(src); i += blockSize {
			pos += e.encode(dst[pos:], src[i:i+blockSize], tr)
		}
		te = append(te, time.Since(c))
		c = time.Now()
		rest := dst[:pos]
		var err error
		for i := 0; i < len(src); i += blockSize {
			rest, err = d.decode(out[i:i+blockSize], rest, blockSize)
			if err != nil {
				t.Fatal(err)
			}
		}
		td = append(td, time.Since(c))
		c = time.Now()
		sha256.Sum256(src)
		ts = append(ts, time.Since(c))
	}
	if !bytes.Equal(out, src) {
		t.Fatal("differs")
	}
	m := float64(len(src)) / 1e6
	a, b, c := low(ts), low(te), low(td)
	fmt.Printf("ratio %.4f sha %.0f enc %.0f (%.2f) dec %.0f (%.2f)\n", float64(pos)/float64(len(src)), m/a, m/b, a/b, m/c, a/c)
}
