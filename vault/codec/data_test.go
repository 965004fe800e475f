package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// appendElement appends x as an element of that kind, rounded towards zero.
func appendElement(b []byte, x float64, kind Kind) []byte {
	switch kind {
	case BF16:
		return binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(float32(x))>>16))
	case F16:
		return binary.LittleEndian.AppendUint16(b, half(x))
	case F32:
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
	case F64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	case Bytes:
		return append(b, byte(int8(max(-127, min(127, x*1000)))))
	}
	panic("no elements of that kind")
}

// half is x as IEEE binary16, without infinities.
func half(x float64) uint16 {
	b := math.Float64bits(x)
	sign, exponent, mantissa := uint16(b>>48&0x8000), int(b>>52&0x7ff)-1023+15, uint16(b>>42&0x3ff)
	if exponent <= 0 {
		return sign | (1<<10|mantissa)>>min(15, 1-exponent)
	}
	return sign | uint16(min(exponent, 30))<<10 | mantissa
}

func gaussian(n int, sigma float64, kind Kind) []byte {
	r := random()
	var b []byte
	for range n {
		b = appendElement(b, r.NormFloat64()*sigma, kind)
	}
	return b
}

// rows are weights as a language model has them: each row of 4,096 with a
// deviation of its own, and some outliers.
func rows(n int, kind Kind) []byte {
	r := random()
	var b []byte
	sigma := 0.0
	for i := range n {
		if i%4096 == 0 {
			sigma = 0.02 * math.Exp(r.NormFloat64()*0.3)
		}
		x := r.NormFloat64() * sigma
		if r.IntN(1000) == 0 {
			x *= 10
		}
		b = appendElement(b, x, kind)
	}
	return b
}

func noise(n int) []byte {
	r := random()
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n]
}

func text(n int) []byte {
	r := random()
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "{\"token\":%d,\"piece\":\"w%04x\",\"score\":-%d.%d}\n", r.IntN(50000), r.IntN(3000), r.IntN(20), r.IntN(1000))
	}
	return b[:n]
}
