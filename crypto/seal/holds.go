package seal

import (
	"bytes"
	"errors"
	"fmt"

	"filippo.io/age"
)

// Holds reports whether plaintext is all that an object holds, which must be
// sealed to id and to nobody else. It needs room for one segment beside what it
// is given, and runs on the calling goroutine. Errors are those of [Open].
func Holds(sealed []byte, id *Identity, plaintext []byte) (bool, error) {
	h, err := CheckHeader(sealed)
	if err != nil {
		return false, err
	}
	if h.Stanzas != 1 {
		return false, fmt.Errorf("%w: %d stanzas instead of one", ErrFormat, h.Stanzas)
	}
	if h.PayloadSize != int64(len(plaintext)) {
		return false, nil
	}
	fileKey, err := id.unwrap(stanzas(sealed, h))
	switch {
	case errors.Is(err, age.ErrIncorrectIdentity):
		return false, ErrNoMatch
	case err != nil:
		return false, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := checkMAC(sealed[:h.Size], fileKey); err != nil {
		return false, err
	}
	payload := sealed[h.Size:]
	aead, err := payloadAEAD(fileKey, payload[:payloadNonceSize])
	if err != nil {
		return false, err
	}
	payload = payload[payloadNonceSize:]
	var scratch [segmentSize]byte
	defer clear(scratch[:])
	same, n := true, int(segments(h.PayloadSize))
	if !spread(n, 1, func(nonce *segmentNonce, i int) bool {
		nonce.set(i, i == n-1)
		out, err := aead.Open(scratch[:0], nonce[:], payload[i*sealedSegment:min((i+1)*sealedSegment, len(payload))], nil)
		same = same && bytes.Equal(out, plaintext[i*segmentSize:min((i+1)*segmentSize, len(plaintext))])
		return err == nil
	}) {
		return false, fmt.Errorf("%w: the payload does not verify", ErrCorrupt)
	}
	return same, nil
}
