package codec

import (
	"bytes"
	"errors"
	"testing"
)

// fuzzLength bounds what a run takes: two small blocks and a bit.
const fuzzLength = 40_000

func seeds() [][]byte {
	f64 := gaussian(200, 0.02, F64)
	return [][]byte{
		rows(900, BF16), gaussian(1000, 0.02, F16), gaussian(500, 0.02, F32)[3:], f64, f64[5:],
		gaussian(2000, 0.02, Bytes), text(2000), make([]byte, 20_000), append(text(1024), rows(900, BF16)...),
	}
}

// A decoder writes what was asked for or fails, whatever it is given: here
// arbitrary bytes, and valid encodings with some bytes replaced.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds() {
		for _, kind := range []Kind{Unknown, BF16, F32, Bytes, Text} {
			if name, out := NewEncoder().Encode(nil, s, kind); name != None {
				f.Add(out, name == planes, uint32(len(s)), uint16(0), byte(0))
			}
		}
	}
	d := NewDecoder()
	f.Fuzz(func(t *testing.T, src []byte, inPlanes bool, length uint32, at uint16, by byte) {
		name := zstd1
		if inPlanes {
			name = planes
		}
		if len(src) > 0 {
			src[int(at)%len(src)] ^= by
		}
		n := int(length % fuzzLength)
		buf := bytes.Repeat([]byte{0xa5}, n+64)
		out, err := d.Decode(buf[:0], src, name, n)
		if err != nil && !errors.Is(err, ErrCorrupt) || err == nil && len(out) != n || err != nil && len(out) != 0 {
			t.Fatalf("%d bytes of %d (%v)", len(out), n, err)
		}
		if !bytes.Equal(buf[n:], bytes.Repeat([]byte{0xa5}, 64)) {
			t.Fatal("written beyond the end")
		}
	})
}

// Whatever is encoded comes back.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, byte(Unknown), uint16(1))
	}
	e, d := NewEncoder(), NewDecoder()
	f.Fuzz(func(t *testing.T, src []byte, kind byte, times uint16) {
		src = bytes.Repeat(src, int(times%16))
		if len(src) > fuzzLength {
			src = src[:fuzzLength]
		}
		roundTrip(t, e, d, src, Kind(kind%byte(Opaque)))
	})
}
