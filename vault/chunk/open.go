package chunk

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/manifest"
)

// Open appends to dst, which grows if it must and must not overlap sealed, the
// plaintext of a chunk, decoded. That it was sealed to an identity which only
// manifests hold, whole, is checked, and that it decodes to exactly its length;
// that it is the plaintext the manifest means, only by [VerifyPlain] or by the
// digest of a file it belongs to. It uses up to workers goroutines. After an
// error dst's spare capacity holds no plaintext. Beyond dst it takes what is
// encoded, and a decoder; see [Opener].
func Open(dst, sealed []byte, c *manifest.Chunk, workers int) ([]byte, error) {
	return open(dst, sealed, c, workers, new(scratch))
}

// Opener opens chunks in bounded memory: of those that are encoded, so many at
// once. Each takes 16 MiB, and 16 MiB for the decoder.
type Opener struct {
	workers int
	free    chan *scratch
}

// NewOpener returns an opener of n encoded chunks at once, each with up to
// workers goroutines.
func NewOpener(n, workers int) *Opener {
	o := &Opener{workers, make(chan *scratch, n)}
	for range n {
		o.free <- new(scratch)
	}
	return o
}

// Open does what the function Open does, after waiting for its turn.
func (o *Opener) Open(ctx context.Context, dst, sealed []byte, c *manifest.Chunk) ([]byte, error) {
	if c.Encoded == 0 {
		return open(dst, sealed, c, o.workers, nil)
	}
	select {
	case s := <-o.free:
		defer func() { o.free <- s }()
		return open(dst, sealed, c, o.workers, s)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// scratch is what decoding needs.
type scratch struct {
	buf     []byte
	decoder *codec.Decoder
}

func open(dst, sealed []byte, c *manifest.Chunk, workers int, s *scratch) ([]byte, error) {
	if c.Encoded == 0 {
		return unseal(dst, sealed, c, workers)
	}
	if s.decoder == nil {
		s.decoder = codec.NewDecoder()
	}
	inner, err := unseal(s.buf[:0], sealed, c, workers)
	if err != nil {
		return nil, err
	}
	s.buf = inner
	start := len(dst)
	out, err := s.decoder.Decode(dst, inner, c.Encoding, int(c.Length))
	if err == nil && int64(len(out)-start) != c.Length {
		err = fmt.Errorf("it decodes to %d bytes, not %d", len(out)-start, c.Length)
	}
	if err != nil {
		clear(dst[start:cap(dst)])
		if errors.Is(err, codec.ErrUnknown) {
			return nil, fmt.Errorf("chunk %s: %w: %w", c.Name, err, entry.ErrUpgrade)
		}
		return nil, fmt.Errorf("chunk %s: %w: %w", c.Name, ErrIntegrity, err)
	}
	return out, nil
}

// unseal appends what is sealed to dst, without padding.
func unseal(dst, sealed []byte, c *manifest.Chunk, workers int) ([]byte, error) {
	id, err := identity(c.Seed)
	if err != nil {
		return nil, err
	}
	start := len(dst)
	out, err := seal.AppendOpen(dst, sealed, workers, id)
	if err != nil {
		return nil, fmt.Errorf("chunk %s: %w: %w", c.Name, ErrIntegrity, err)
	}
	inner := out[start:]
	if !padded(inner, c.Inner()) {
		clear(inner)
		return nil, fmt.Errorf("chunk %s: %w: it opens to %d bytes, not %d", c.Name, ErrIntegrity, len(inner), c.Inner())
	}
	return out[:start+int(c.Inner())], nil
}

// padded reports whether inner is length bytes, or those and the zeros that pad them.
func padded(inner []byte, length int64) bool {
	n := int64(len(inner))
	if n == length {
		return true
	}
	if n < length || n != manifest.PaddedSize(length) {
		return false
	}
	for _, b := range inner[length:] {
		if b != 0 {
			return false
		}
	}
	return true
}
