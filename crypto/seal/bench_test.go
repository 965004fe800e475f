package seal_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/aivault/aivault/crypto/seal"
)

var benchSizes = []int{64 << 10, 1 << 20, 4 << 20, 16 << 20}

// perSize runs bench for buffers of each size, as sub-benchmarks.
func perSize(b *testing.B, bench func(b *testing.B, plaintext []byte)) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			plaintext := make([]byte, n)
			rand.Read(plaintext)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			bench(b, plaintext)
		})
	}
}

// perWorkers runs bench for one worker and for as many as there are cores.
func perWorkers(b *testing.B, bench func(b *testing.B, workers int)) {
	for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) { bench(b, workers) })
	}
}

func BenchmarkSHA256(b *testing.B) {
	perSize(b, func(b *testing.B, plaintext []byte) {
		for b.Loop() {
			sha256.Sum256(plaintext)
		}
	})
}

func BenchmarkChaCha20Poly1305(b *testing.B) {
	perSize(b, func(b *testing.B, plaintext []byte) {
		aead, err := chacha20poly1305.New(make([]byte, chacha20poly1305.KeySize))
		if err != nil {
			b.Fatal(err)
		}
		dst := make([]byte, 0, len(plaintext)+aead.Overhead())
		nonce := make([]byte, aead.NonceSize())
		for b.Loop() {
			aead.Seal(dst, nonce, plaintext, nil)
		}
	})
}

func BenchmarkAppendSeal(b *testing.B) {
	to := newIdentity(b).Recipient()
	perWorkers(b, func(b *testing.B, workers int) {
		perSize(b, func(b *testing.B, plaintext []byte) {
			dst := make([]byte, 0, seal.SealedSize(int64(len(plaintext)), 1))
			for b.Loop() {
				if _, err := seal.AppendSeal(dst, plaintext, workers, to); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkAppendOpen(b *testing.B) {
	id := newIdentity(b)
	perWorkers(b, func(b *testing.B, workers int) {
		perSize(b, func(b *testing.B, plaintext []byte) {
			sealed, err := seal.Seal(plaintext, id.Recipient())
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, 0, len(plaintext))
			for b.Loop() {
				if _, err := seal.AppendOpen(dst, sealed, workers, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkIdentityFromSeed is what each chunk costs before it is sealed to an
// identity of its own.
func BenchmarkIdentityFromSeed(b *testing.B) {
	seed := make([]byte, seal.SeedSize)
	b.ReportAllocs()
	for b.Loop() {
		id, err := seal.IdentityFromSeed(seed)
		if err != nil {
			b.Fatal(err)
		}
		id.Recipient()
	}
}

func BenchmarkCheckHeader(b *testing.B) {
	sealed, err := seal.Seal(nil, newIdentity(b).Recipient())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := seal.CheckHeader(sealed); err != nil {
			b.Fatal(err)
		}
	}
}
