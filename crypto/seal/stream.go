package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/chacha20poly1305"
)

// The payload of an age file: a nonce from which, with the file key, the payload
// key derives; then the plaintext in segments of 64 KiB, each sealed on its own
// under its index and whether it is the last. Only an empty plaintext has an
// empty segment.
const (
	payloadNonceSize = 16
	segmentSize      = 64 << 10
	tagSize          = chacha20poly1305.Overhead
	sealedSegment    = segmentSize + tagSize

	// stride is how many segments a worker takes at once, and the least for
	// which another goroutine is worth its start.
	stride = 4
)

type segmentNonce [chacha20poly1305.NonceSize]byte

// set makes n the nonce of segment i: eleven bytes of counter, one of flag.
func (n *segmentNonce) set(i int, last bool) {
	binary.BigEndian.PutUint64(n[3:], uint64(i))
	n[11] = 0
	if last {
		n[11] = 1
	}
}

func payloadAEAD(fileKey, nonce []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, fileKey, nonce, "payload", chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive the payload key: %w", err)
	}
	return chacha20poly1305.New(key)
}

// segments returns the number of segments of so many bytes of plaintext.
func segments(plaintext int64) int64 {
	return max(1, (plaintext+segmentSize-1)/segmentSize)
}

// payloadSize returns the length of the sealed segments, without the nonce.
func payloadSize(plaintext int64) int64 {
	return plaintext + segments(plaintext)*tagSize
}

// plaintextSize is the inverse of payloadSize, and says whether there is one.
func plaintextSize(payload int64) (int64, bool) {
	size := payload - (payload+sealedSegment-1)/sealedSegment*tagSize
	return size, size >= 0 && payloadSize(size) == payload
}

// sealSegments seals plaintext into out, of length payloadSize.
func sealSegments(out, plaintext []byte, aead cipher.AEAD, workers int) {
	n := int(segments(int64(len(plaintext))))
	spread(n, workers, func(nonce *segmentNonce, i int) bool {
		nonce.set(i, i == n-1)
		in := plaintext[i*segmentSize : min((i+1)*segmentSize, len(plaintext))]
		aead.Seal(out[i*sealedSegment:][:0], nonce[:], in, nil)
		return true
	})
}

// openSegments opens the sealed segments in payload into out, of length
// plaintextSize, and says whether all of them verify.
func openSegments(out, payload []byte, aead cipher.AEAD, workers int) bool {
	n := int(segments(int64(len(out))))
	return spread(n, workers, func(nonce *segmentNonce, i int) bool {
		nonce.set(i, i == n-1)
		in := payload[i*sealedSegment : min((i+1)*sealedSegment, len(payload))]
		_, err := aead.Open(out[i*segmentSize:][:0], nonce[:], in, nil)
		return err == nil
	})
}

// spread calls do for each i in [0, n), in no particular order, on the calling
// goroutine and up to workers−1 others, until all are done or one returns false.
// Each goroutine has one nonce to write into.
func spread(n, workers int, do func(nonce *segmentNonce, i int) bool) bool {
	var next atomic.Int64
	var failed atomic.Bool
	work := func() {
		nonce := new(segmentNonce)
		for !failed.Load() {
			first := int(next.Add(stride)) - stride
			if first >= n {
				return
			}
			for i := first; i < min(first+stride, n); i++ {
				if !do(nonce, i) {
					failed.Store(true)
					return
				}
			}
		}
	}
	var wg sync.WaitGroup
	for range min(workers, (n+stride-1)/stride) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	return !failed.Load()
}
