// Package chunk seals chunks, puts them, gets them, opens and decodes them, one at
// a time (vault/FORMAT.md §7.2). A put whose outcome is unknown is resolved by reading
// the key, so that after nil the object stands there, whole, and after an error
// it is known what happened. Nothing that comes out of a store is believed
// before it is verified against a manifest.
//
// All functions are safe for concurrent use; none leaves a goroutine behind.
package chunk

import (
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/manifest"
)

// ErrIntegrity marks a stored object that is missing, or is not what a manifest
// or a signed entry says it is. The error's text names its key.
var ErrIntegrity = errors.New("stored object does not verify")

// MaxSealed is room enough for any sealed chunk, in bytes.
const MaxSealed = manifest.MaxChunk + 8<<10

// Sealer seals the chunks of one version.
type Sealer struct {
	Version canonical.ID
	Secret  manifest.Secret // the push secret
	Padded  bool            // hide lengths: see manifest.PaddedSize
}

// Content is what a chunk is to hold.
type Content struct {
	Bytes    []byte          // the plaintext, or what it is encoded to
	Encoding string          // of Bytes
	Digest   manifest.Digest // of the plaintext
	Length   int             // of the plaintext
}

// Plain is a plaintext with this digest, as it is.
func Plain(plain []byte, digest manifest.Digest) Content {
	return Content{plain, manifest.EncodingNone, digest, len(plain)}
}

// Seal appends to dst, which grows if it must and must not overlap c.Bytes, the
// sealed chunk of c, and describes it. It may write zeros beyond len(c.Bytes) in
// their capacity. It uses up to workers goroutines.
//
// Every call draws a new file key, and so gives the chunk a new name: a put that
// is tried again must be given the same sealed bytes.
func (s *Sealer) Seal(dst []byte, c Content, workers int) ([]byte, manifest.Chunk, error) {
	seed := manifest.ChunkSeed(s.Secret, c.Digest)
	id, err := identity(seed)
	if err != nil {
		return nil, manifest.Chunk{}, err
	}
	start := len(dst)
	dst, err = seal.AppendSeal(dst, s.pad(c.Bytes), workers, id.Recipient())
	if err != nil {
		return nil, manifest.Chunk{}, fmt.Errorf("sealing a chunk: %w", err)
	}
	return dst, s.describe(dst[start:], c, seed), nil
}

// Recognise describes sealed, bytes that storage holds, as Seal does, if Seal made
// them of c: if under the chunk's identity they hold what Seal would seal now, to
// the last byte. ErrIntegrity: they do not. It may write zeros beyond
// len(c.Bytes) in their capacity.
func (s *Sealer) Recognise(sealed []byte, c Content) (manifest.Chunk, error) {
	seed := manifest.ChunkSeed(s.Secret, c.Digest)
	id, err := identity(seed)
	if err != nil {
		return manifest.Chunk{}, err
	}
	same, err := seal.Holds(sealed, id, s.pad(c.Bytes))
	if err == nil && !same {
		err = errors.New("it holds other bytes")
	}
	if err != nil {
		return manifest.Chunk{}, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	return s.describe(sealed, c, seed), nil
}

func (s *Sealer) pad(b []byte) []byte {
	if s.Padded {
		return manifest.Pad(b)
	}
	return b
}

func (s *Sealer) describe(sealed []byte, c Content, seed manifest.Secret) manifest.Chunk {
	out := manifest.Chunk{
		Creator: s.Version, Name: manifest.ChunkName(s.Secret, c.Digest, sealed), Seed: seed,
		Sealed: canonical.Sum(sealed), SealedSize: int64(len(sealed)),
		Digest: c.Digest, Length: int64(c.Length), Encoding: c.Encoding,
	}
	if c.Encoding != manifest.EncodingNone {
		out.Encoded = int64(len(c.Bytes))
	}
	return out
}

// Verify checks the SHA-256 of a sealed chunk, which needs no key.
func Verify(c *manifest.Chunk, sealed []byte) error {
	if sum := canonical.Sum(sealed); sum != c.Sealed {
		return fmt.Errorf("chunk %s: %w: its SHA-256 is %s, not %s", c.Name, ErrIntegrity, sum, c.Sealed)
	}
	return nil
}

// VerifyPlain checks the digest of a chunk's plaintext.
func VerifyPlain(c *manifest.Chunk, plain []byte) error {
	if manifest.Sum(plain) != c.Digest {
		return fmt.Errorf("chunk %s: %w: its plaintext has another digest than the manifest says", c.Name, ErrIntegrity)
	}
	return nil
}

func identity(seed manifest.Secret) (*seal.Identity, error) {
	b := seed.Reveal()
	id, err := seal.IdentityFromSeed(b[:])
	if err != nil {
		return nil, fmt.Errorf("the identity of a chunk: %w", err)
	}
	return id, nil
}
