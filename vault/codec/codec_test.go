package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// roundTrip encodes and decodes, and returns the name and what is stored.
func roundTrip(t rapid.TB, e *Encoder, d *Decoder, src []byte, kind Kind) (string, []byte) {
	t.Helper()
	before := []byte("before")
	name, out := e.Encode(before[:len(before):len(before)], src, kind)
	if !bytes.HasPrefix(out, before) || !Known(name) {
		t.Fatalf("%q, %d bytes: what stood in dst is gone", name, len(out))
	}
	out = out[len(before):]
	if name == None {
		if len(out) != 0 {
			t.Fatalf("none, but %d bytes", len(out))
		}
		return name, src
	}
	if len(out) > worth(len(src)) {
		t.Fatalf("%s: %d bytes as %d", name, len(src), len(out))
	}
	// What stands behind in dst must not change.
	dst := bytes.Repeat([]byte{0xa5}, len(before)+len(src)+64)
	copy(dst, before)
	back, err := d.Decode(dst[:len(before)], out, name, len(src))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !bytes.HasPrefix(back, before) || !bytes.Equal(back[len(before):], src) {
		t.Fatalf("%s: %d bytes come back as others", name, len(src))
	}
	if !bytes.Equal(dst[len(before)+len(src):], bytes.Repeat([]byte{0xa5}, 64)) {
		t.Fatalf("%s: written beyond the end", name)
	}
	return name, out
}

var kinds = []Kind{Unknown, Text, BF16, F16, F32, F64, Bytes, Opaque}

func TestStored(t *testing.T) {
	f32 := gaussian(1<<18, 0.02, F32)
	for _, c := range []struct {
		what string
		kind Kind
		data []byte
		name string
		most float64
	}{
		{"bf16", BF16, gaussian(1<<19, 0.02, BF16), planes, 0.67},
		{"bf16 of a language model", BF16, rows(1<<19, BF16), planes, 0.67},
		{"fp16", F16, gaussian(1<<19, 0.02, F16), planes, 0.87},
		{"f32", F32, f32, planes, 0.84},
		{"f64", F64, gaussian(1<<17, 0.02, F64), planes, 0.88},
		{"int8", Bytes, gaussian(1<<20, 0.02, Bytes), planes, 0.82},
		{"text", Text, text(1 << 20), zstd1, 0.2},
		{"unknown text", Unknown, text(1 << 20), zstd1, 0.2},
		{"unknown bf16", Unknown, gaussian(1<<19, 0.02, BF16), planes, 0.67},
		{"unknown f32 at an odd place", Unknown, f32[3:], planes, 0.84},
		{"unknown f64 at an odd place", Unknown, gaussian(1<<17, 0.02, F64)[5:], planes, 0.88},
		{"text between weights", Unknown, bytes.Join([][]byte{f32[:1<<18], text(1 << 18), f32[1<<18:]}, nil), planes, 0.72},
		{"f32 called bf16", BF16, f32, planes, 0.97},
		{"float32 of rounded values", F32, bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, 1<<18), planes, 0.001},
		{"zeros", Unknown, make([]byte, 1<<20), planes, 0.001},
		{"noise", Unknown, noise(1 << 20), None, 1},
		{"noise called bf16", BF16, noise(1 << 20), None, 1},
		{"noise called text", Text, noise(1 << 20), None, 1},
		{"text not to be tried", Opaque, text(1 << 16), None, 1},
	} {
		name, out := roundTrip(t, NewEncoder(), NewDecoder(), c.data, c.kind)
		ratio := float64(len(out)) / float64(len(c.data))
		t.Logf("%s: %s, %.4f", c.what, name, ratio)
		if name != c.name || ratio > c.most {
			t.Errorf("%s: %s, %.4f of %d bytes are left; want %s and at most %.3f", c.what, name, ratio, len(c.data), c.name, c.most)
		}
	}
}

func TestShort(t *testing.T) {
	e, d := NewEncoder(), NewDecoder()
	data := gaussian(400, 0.02, BF16)
	for n := range 300 {
		for _, kind := range kinds {
			roundTrip(t, e, d, data[:n], kind)
			roundTrip(t, e, d, make([]byte, n), kind)
		}
	}
}

func TestEncodeRefusesTooMuch(t *testing.T) {
	if name, out := NewEncoder().Encode(nil, make([]byte, MaxLength+1), BF16); name != None || out != nil {
		t.Errorf("%s, %d bytes", name, len(out))
	}
	roundTrip(t, NewEncoder(), NewDecoder(), make([]byte, MaxLength), BF16)
}

// drawn are bytes of all that chunks are made of, cut at any place.
func drawn(t *rapid.T) []byte {
	var b []byte
	r := random()
	for range rapid.IntRange(1, 4).Draw(t, "stretches") {
		n := rapid.IntRange(0, 70_000).Draw(t, "elements")
		kind := rapid.SampledFrom([]Kind{BF16, F16, F32, F64, Bytes}).Draw(t, "type")
		switch rapid.IntRange(0, 6).Draw(t, "content") {
		case 0:
			b = append(b, gaussian(n, 0.02, kind)...)
		case 1: // not numbers, infinities, denormals
			odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 5e-324, 1e-40, 0, math.Copysign(0, -1), 1}
			for range n {
				b = appendElement(b, odd[r.IntN(len(odd))], BF16)
			}
		case 2:
			b = append(b, bytes.Repeat([]byte{byte(n)}, n)...)
		case 3:
			b = append(b, noise(n)...)
		case 4:
			b = append(b, text(n)...)
		case 5: // all exponents
			for range n {
				b = binary.LittleEndian.AppendUint16(b, uint16(r.Uint32()>>r.IntN(32)))
			}
		case 6: // as skewed as can be
			for range n {
				b = append(b, byte(math.Log2(1/(r.Float64()+1e-300))))
			}
		}
	}
	return b[min(len(b), rapid.IntRange(0, 9).Draw(t, "cut")):]
}

func TestRoundTrip(t *testing.T) {
	e, d := NewEncoder(), NewDecoder()
	rapid.Check(t, func(t *rapid.T) {
		src := drawn(t)
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		roundTrip(t, e, d, src, kind)
	})
}

// Every transform, whatever it is good for, gives back what it was given.
func TestTransforms(t *testing.T) {
	var e blockEncoder
	var d blockDecoder
	data := append(rows(30_000, F32), noise(11_111)...)
	for b := range 256 {
		tr, size, frame, ok := parseHeader(byte(b))
		if !ok || frame {
			continue
		}
		if tr.header(size) != byte(b) {
			t.Errorf("header %#x is spelt %#x", b, tr.header(size))
		}
		for _, n := range []int{1, tr.width - 1, 8*tr.width + tr.phase, 1000, 12_345, size} {
			src := data[:min(n, size)]
			if len(src) == 0 {
				continue
			}
			dst, back := make([]byte, room(len(src))), make([]byte, len(src))
			rest, err := d.decode(back, dst[1:e.encode(dst, src, tr, size)], len(src), tr)
			if err != nil || len(rest) != 0 || !bytes.Equal(back, src) {
				t.Fatalf("transform %+v of %d bytes: %v, %d bytes left", tr, len(src), err, len(rest))
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	e, d := NewEncoder(), NewDecoder()
	src := rows(100_000, BF16)
	name, enc := e.Encode(nil, src, BF16)
	zname, zenc := e.Encode(nil, text(100_000), Text)
	if name != planes || zname != zstd1 {
		t.Fatal(name, zname)
	}
	twice := append(bytes.Clone(zenc), zenc...)
	for _, c := range []struct {
		what   string
		name   string
		src    []byte
		length int
		want   error
	}{
		{"an unknown encoding", "bf16-9", enc, len(src), ErrUnknown},
		{"a negative length", planes, enc, -1, ErrCorrupt},
		{"a length beyond the limit", planes, enc, MaxLength + 1, ErrCorrupt},
		{"none of another length", None, enc, len(enc) + 1, ErrCorrupt},
		{"nothing", planes, nil, 1, ErrCorrupt},
		{"an encoding longer than what it encodes", planes, enc, len(enc), ErrCorrupt},
		{"a longer plaintext", planes, enc, len(src) + 1, ErrCorrupt},
		{"a shorter plaintext", planes, enc, len(src) - 1, ErrCorrupt},
		{"bytes cut off", planes, enc[:len(enc)-1], len(src), ErrCorrupt},
		{"bytes added", planes, append(bytes.Clone(enc), 0), len(src), ErrCorrupt},
		{"a bomb", planes, enc[:100], MaxLength, ErrCorrupt},
		{"a bomb of constants cut short", planes, bytes.Repeat([]byte{0, modeConstant, 7}, 127), MaxLength, ErrCorrupt},
		{"zstd of another length", zstd1, zenc, 99_999, ErrCorrupt},
		{"zstd cut off", zstd1, zenc[:len(zenc)-1], 100_000, ErrCorrupt},
		{"two frames", zstd1, twice, 100_000, ErrCorrupt},
		{"two frames of twice the length", zstd1, twice, 200_000, ErrCorrupt},
		{"a skippable frame", zstd1, []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0}, 100, ErrCorrupt},
		{"a window of 16 MiB", zstd1, append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x80, 14 << 3, 0, 0, 1, 0}, 3, 0, 8, 0), 1 << 16, ErrCorrupt},
		{"a dictionary", zstd1, []byte{0x28, 0xb5, 0x2f, 0xfd, 0x21, 1, 100, 1, 0, 0}, 100, ErrCorrupt},
	} {
		keep := []byte("keep")
		out, err := d.Decode(keep[:4:4], c.src, c.name, c.length)
		if !errors.Is(err, c.want) || string(out) != "keep" {
			t.Errorf("%s: %d bytes, %v; want %v", c.what, len(out), err, c.want)
		}
	}
	if out, err := d.Decode(nil, bytes.Repeat([]byte{0, modeConstant, 7}, 128), planes, MaxLength); err != nil || len(out) != MaxLength {
		t.Errorf("constants: %d bytes, %v", len(out), err)
	}
}

// No beginning of an encoding is one, and none of its bytes may become another
// without being noticed or decoding to as many bytes.
func TestDecodeMutations(t *testing.T) {
	e, d := NewEncoder(), NewDecoder()
	for _, src := range [][]byte{rows(500, BF16), gaussian(1500, 0.02, F32)[1:], text(600)} {
		name, enc := e.Encode(nil, src, Unknown)
		if name == None {
			t.Fatalf("%d bytes are not encoded", len(src))
		}
		for n := range enc {
			if _, err := d.Decode(nil, enc[:n], name, len(src)); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s: the first %d of %d bytes decode (%v)", name, n, len(enc), err)
			}
			for _, by := range []byte{1, 0x80, 0xff} {
				bad := bytes.Clone(enc)
				bad[n] ^= by
				out, err := d.Decode(nil, bad, name, len(src))
				if err != nil && !errors.Is(err, ErrCorrupt) || err == nil && len(out) != len(src) {
					t.Fatalf("%s: byte %d changed: %d bytes (%v)", name, n, len(out), err)
				}
			}
		}
	}
}

// What is refused for its lengths costs no memory, whatever it claims.
func TestBombsAreCheap(t *testing.T) {
	d := NewDecoder()
	bomb := bytes.Repeat([]byte{0, modeConstant, 7}, 127)
	_, zbomb := NewEncoder().Encode(nil, make([]byte, 1<<20), Text)
	for name, src := range map[string][]byte{planes: bomb, zstd1: zbomb} {
		if n := testing.AllocsPerRun(10, func() {
			if _, err := d.Decode(nil, src, name, MaxLength); !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
		}); n > 10 {
			t.Errorf("%s: %.0f allocations to refuse a bomb", name, n)
		}
	}
}
