// Package chunk seals chunks, puts them, gets them and opens them, one at a time
// (vault/FORMAT.md §7.2). A put whose outcome is unknown is resolved by reading
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

// Seal appends to dst, which grows if it must and must not overlap plain, the
// sealed chunk of plain, whose digest must be digest, and describes it. It may
// write zeros beyond len(plain) in plain's capacity. It uses up to workers
// goroutines.
//
// Every call draws a new file key, and so gives the chunk a new name: a put that
// is tried again must be given the same sealed bytes.
func (s *Sealer) Seal(dst, plain []byte, digest manifest.Digest, workers int) ([]byte, manifest.Chunk, error) {
	seed := manifest.ChunkSeed(s.Secret, digest)
	id, err := identity(seed)
	if err != nil {
		return nil, manifest.Chunk{}, err
	}
	length := int64(len(plain))
	if s.Padded {
		plain = manifest.Pad(plain)
	}
	start := len(dst)
	dst, err = seal.AppendSeal(dst, plain, workers, id.Recipient())
	if err != nil {
		return nil, manifest.Chunk{}, fmt.Errorf("sealing a chunk: %w", err)
	}
	return dst, s.describe(dst[start:], digest, seed, length), nil
}

// Recognise describes sealed, bytes that storage holds, as Seal does, if Seal made
// them of plain: if under the chunk's identity they hold what Seal would seal
// now, to the last byte. ErrIntegrity: they do not. It may write zeros beyond
// len(plain) in plain's capacity.
func (s *Sealer) Recognise(sealed, plain []byte, digest manifest.Digest) (manifest.Chunk, error) {
	seed := manifest.ChunkSeed(s.Secret, digest)
	id, err := identity(seed)
	if err != nil {
		return manifest.Chunk{}, err
	}
	length := int64(len(plain))
	if s.Padded {
		plain = manifest.Pad(plain)
	}
	same, err := seal.Holds(sealed, id, plain)
	if err == nil && !same {
		err = errors.New("it holds other bytes")
	}
	if err != nil {
		return manifest.Chunk{}, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	return s.describe(sealed, digest, seed, length), nil
}

func (s *Sealer) describe(sealed []byte, digest manifest.Digest, seed manifest.Secret, length int64) manifest.Chunk {
	return manifest.Chunk{
		Creator: s.Version, Name: manifest.ChunkName(s.Secret, digest, sealed), Seed: seed,
		Sealed: canonical.Sum(sealed), SealedSize: int64(len(sealed)),
		Digest: digest, Length: length, Encoding: manifest.EncodingNone,
	}
}

// Verify checks the SHA-256 of a sealed chunk, which needs no key.
func Verify(c *manifest.Chunk, sealed []byte) error {
	if sum := canonical.Sum(sealed); sum != c.Sealed {
		return fmt.Errorf("chunk %s: %w: its SHA-256 is %s, not %s", c.Name, ErrIntegrity, sum, c.Sealed)
	}
	return nil
}

// Open appends to dst, which grows if it must and must not overlap sealed, the
// plaintext of a chunk. That it was sealed to an identity which only manifests
// hold, whole, is checked; that it is the plaintext the manifest means, only by
// [VerifyPlain] or by the digest of a file it belongs to. It uses up to workers
// goroutines. After an error dst's spare capacity holds no plaintext.
func Open(dst, sealed []byte, c *manifest.Chunk, workers int) ([]byte, error) {
	id, err := identity(c.Seed)
	if err != nil {
		return nil, err
	}
	start := len(dst)
	out, err := seal.AppendOpen(dst, sealed, workers, id)
	if err != nil {
		return nil, fmt.Errorf("chunk %s: %w: %w", c.Name, ErrIntegrity, err)
	}
	plain := out[start:]
	if !padded(plain, c.Length) {
		clear(plain)
		return nil, fmt.Errorf("chunk %s: %w: it opens to %d bytes, not %d", c.Name, ErrIntegrity, len(plain), c.Length)
	}
	return out[:start+int(c.Length)], nil
}

// padded reports whether plain is length bytes, or those and the zeros that pad them.
func padded(plain []byte, length int64) bool {
	n := int64(len(plain))
	if n == length {
		return true
	}
	if n < length || n != manifest.PaddedSize(length) {
		return false
	}
	for _, b := range plain[length:] {
		if b != 0 {
			return false
		}
	}
	return true
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
