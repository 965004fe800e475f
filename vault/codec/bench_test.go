package codec

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"
)

// The metrics are ratios to SHA-256 over the same bytes in the same run, of the
// fastest pass of each: enc/SHA and dec/SHA above 1 are faster than SHA-256.
// stored is what is left.
func BenchmarkCodec(b *testing.B) {
	for _, c := range []struct {
		name string
		kind Kind
		data []byte
	}{
		{"bf16", BF16, gaussian(512<<10, 0.02, BF16)},
		{"bf16-llm", BF16, rows(512<<10, BF16)},
		{"bf16-unknown", Unknown, gaussian(512<<10, 0.02, BF16)},
		{"f16", F16, gaussian(512<<10, 0.02, F16)},
		{"f32", F32, gaussian(256<<10, 0.02, F32)},
		{"f64", F64, gaussian(128<<10, 0.02, F64)},
		{"u8", Bytes, gaussian(1<<20, 0.02, Bytes)},
		{"text", Text, text(1 << 20)},
		{"random", Unknown, noise(1 << 20)},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, d := NewEncoder(), NewDecoder()
			buf, back := make([]byte, 0, len(c.data)+Spare), make([]byte, 0, len(c.data))
			var enc, dec, sha time.Duration
			var name string
			var out []byte
			best := func(x *time.Duration, f func()) {
				start := time.Now()
				f()
				if t := time.Since(start); *x == 0 || t < *x {
					*x = t
				}
			}
			for b.Loop() {
				best(&enc, func() { name, out = e.Encode(buf[:0], c.data, c.kind) })
				if name == None {
					out = c.data
				}
				best(&dec, func() {
					var err error
					if back, err = d.Decode(back[:0], out, name, len(c.data)); err != nil {
						b.Fatal(err)
					}
				})
				best(&sha, func() { sha256.Sum256(c.data) })
			}
			if !bytes.Equal(back, c.data) {
				b.Fatal("decoded to other bytes")
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(len(out))/float64(len(c.data)), "stored")
			b.ReportMetric(sha.Seconds()/enc.Seconds(), "enc/SHA")
			b.ReportMetric(sha.Seconds()/dec.Seconds(), "dec/SHA")
		})
	}
}
