package gear

import (
	"crypto/sha256"
	"testing"
	"time"
)

// BenchmarkCut gives the speed beside that of SHA-256 in the same run: the
// number of interest is "xSHA256", at least 1.3.
func BenchmarkCut(b *testing.B) {
	data := noise(1, 64<<20)
	table := NewTable([32]byte{1})
	b.SetBytes(int64(len(data)))
	var cutting, hashing time.Duration
	for b.Loop() {
		start := time.Now()
		cuts(NewCutter(table), data, len(data))
		cutting += time.Since(start)
		start = time.Now()
		sha256.Sum256(data)
		hashing += time.Since(start)
	}
	b.ReportMetric(float64(hashing)/float64(cutting), "xSHA256")
}
