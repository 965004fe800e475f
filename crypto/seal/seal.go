// Package seal turns byte strings into standard age files and back.
//
// A sealed object is an age v1 file (C2SP age.md) whose header holds nothing but
// mlkem768x25519 stanzas, the hybrid of ML-KEM-768 and X25519: whoever records
// it today and has a quantum computer tomorrow still reads nothing. The stock
// age command opens it, given the identity.
//
// filippo.io/age wraps and unwraps the file keys. The header around them and
// the payload are written and read here, because objects of one kind of stanza
// have a header of fixed layout, which can be judged without a key, and because
// the 64 KiB segments of a payload are independent of each other and can be
// sealed and opened on all cores, each straight to its place. What comes out is
// bit for bit what age would write with the same random numbers.
//
// age authenticates no sender and binds no context: anyone who knows a recipient
// can seal to it. Callers bind the bytes by digest from something signed.
//
// Objects are whole in memory and at most [MaxSize] long. All functions are safe
// for concurrent use; none leaves a goroutine behind.
package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"filippo.io/age"
)

const (
	// MaxSize is the length of the largest sealed object, in bytes.
	MaxSize = 32 << 20
	// MaxRecipients is the largest number of stanzas; age itself reads no more.
	MaxRecipients = 1024
)

var (
	// ErrFormat means that the bytes are no age file, or one with another
	// header than this package writes.
	ErrFormat = errors.New("not an age file sealed to hybrid recipients alone")
	// ErrNoMatch means that the object is not sealed to this identity. Damage
	// to the stanza of a matching identity cannot be told from it.
	ErrNoMatch = errors.New("not sealed to this identity")
	// ErrCorrupt means that the header's MAC or the payload does not verify, or
	// that no payload has this length: the object was changed or truncated.
	ErrCorrupt = errors.New("sealed object is corrupt")
)

const fileKeySize = 16

// Seal returns plaintext sealed to each of the recipients under a fresh file
// key, using all cores.
func Seal(plaintext []byte, to ...*Recipient) ([]byte, error) {
	return AppendSeal(nil, plaintext, runtime.GOMAXPROCS(0), to...)
}

// AppendSeal appends the sealed plaintext to dst, which grows if it must and
// must not overlap plaintext. It runs on the calling goroutine and up to
// workers−1 others.
func AppendSeal(dst, plaintext []byte, workers int, to ...*Recipient) ([]byte, error) {
	if len(to) == 0 || len(to) > MaxRecipients {
		return nil, fmt.Errorf("seal to %d recipients: 1 to %d are possible", len(to), MaxRecipients)
	}
	size := SealedSize(int64(len(plaintext)), len(to))
	if size > MaxSize {
		return nil, fmt.Errorf("seal %d bytes: the object would exceed %d bytes", len(plaintext), MaxSize)
	}
	var fileKey [fileKeySize]byte
	var nonce [payloadNonceSize]byte
	rand.Read(fileKey[:])
	rand.Read(nonce[:])
	stanzas, err := wrap(fileKey[:], to)
	if err != nil {
		return nil, err
	}
	return appendFile(slices.Grow(dst, int(size)), plaintext, workers, fileKey[:], nonce[:], stanzas)
}

// appendFile appends an age file of which everything is given.
func appendFile(dst, plaintext []byte, workers int, fileKey, nonce []byte, stanzas []*age.Stanza) ([]byte, error) {
	dst, err := appendHeader(dst, fileKey, stanzas)
	if err != nil {
		return nil, err
	}
	aead, err := payloadAEAD(fileKey, nonce)
	if err != nil {
		return nil, err
	}
	dst = append(dst, nonce...)
	size := int(payloadSize(int64(len(plaintext))))
	dst = slices.Grow(dst, size)[:len(dst)+size]
	sealSegments(dst[len(dst)-size:], plaintext, aead, workers)
	return dst, nil
}

// Open returns the plaintext of an object that is sealed to id and to nobody
// else: one with exactly one stanza. It uses all cores.
func Open(sealed []byte, id *Identity) ([]byte, error) {
	return AppendOpen(nil, sealed, runtime.GOMAXPROCS(0), id)
}

// AppendOpen is [Open] that appends the plaintext to dst, which grows if it
// must and must not overlap sealed. It runs on the calling goroutine and up to
// workers−1 others. After an error, dst's spare capacity holds no plaintext.
func AppendOpen(dst, sealed []byte, workers int, id *Identity) ([]byte, error) {
	h, err := CheckHeader(sealed)
	if err != nil {
		return nil, err
	}
	if h.Stanzas != 1 {
		return nil, fmt.Errorf("%w: %d stanzas instead of one", ErrFormat, h.Stanzas)
	}
	return appendOpen(dst, sealed, h, workers, id)
}

// OpenShared is [Open] for objects that are sealed to several recipients.
func OpenShared(sealed []byte, id *Identity) ([]byte, error) {
	h, err := CheckHeader(sealed)
	if err != nil {
		return nil, err
	}
	return appendOpen(nil, sealed, h, runtime.GOMAXPROCS(0), id)
}

func appendOpen(dst, sealed []byte, h Header, workers int, id *Identity) ([]byte, error) {
	fileKey, err := id.unwrap(stanzas(sealed, h))
	switch {
	case errors.Is(err, age.ErrIncorrectIdentity):
		return nil, ErrNoMatch
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := checkMAC(sealed[:h.Size], fileKey); err != nil {
		return nil, err
	}
	return appendPayload(dst, sealed[h.Size:], h.PayloadSize, workers, fileKey)
}

// appendPayload opens payload, a nonce and size bytes of sealed plaintext.
func appendPayload(dst, payload []byte, size int64, workers int, fileKey []byte) ([]byte, error) {
	aead, err := payloadAEAD(fileKey, payload[:payloadNonceSize])
	if err != nil {
		return nil, err
	}
	out := slices.Grow(dst, int(size))[:len(dst)+int(size)]
	plaintext := out[len(dst):]
	if !openSegments(plaintext, payload[payloadNonceSize:], aead, workers) {
		clear(plaintext)
		return nil, fmt.Errorf("%w: the payload does not verify", ErrCorrupt)
	}
	return out, nil
}

// SealedSize returns the exact length of an object that seals so many bytes of
// plaintext to so many recipients. It does not check limits, but what cannot be
// (a negative number, a result beyond int64) gives math.MaxInt64.
func SealedSize(plaintext int64, recipients int) int64 {
	const most = math.MaxInt64 / 2
	if plaintext < 0 || plaintext > most || recipients < 1 || int64(recipients) > most/int64(stanzaSize) {
		return math.MaxInt64
	}
	return headerSize(recipients) + payloadNonceSize + payloadSize(plaintext)
}
