package manifest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/minio/crc64nvme"
	"github.com/zeebo/blake3"

	"github.com/aivault/aivault/crypto/canonical"
)

// Digest is the BLAKE3-256 of a chunk's plaintext, spelt as 64 lower-case hex
// digits. It confirms a guess of the plaintext, so it stands only in manifests.
type Digest [32]byte

// Sum returns the digest of a chunk's plaintext.
func Sum(plain []byte) Digest { return blake3.Sum256(plain) }

func (d Digest) String() string               { return hex.EncodeToString(d[:]) }
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the spelling MarshalText gives, and no other.
func (d *Digest) UnmarshalText(b []byte) error { return (*canonical.Digest)(d).UnmarshalText(b) }

// ChunkName names the chunk that a push with secret s stores as sealed: the
// HMAC-SHA-256 of "id" and its digest under s, a hyphen, and the CRC-64/NVME of
// the sealed bytes. It tells nothing of the plaintext to who lacks s, and the
// store can check it.
func ChunkName(s Secret, d Digest, sealed []byte) string {
	var crc [8]byte
	binary.BigEndian.PutUint64(crc[:], crc64nvme.Checksum(sealed))
	return ChunkID(s, d) + "-" + hex.EncodeToString(crc[:])
}

// ChunkID is the part of a chunk's name that its plaintext decides.
func ChunkID(s Secret, d Digest) string {
	cid := derive(s, "id", d)
	return hex.EncodeToString(cid[:])
}

// SplitChunkName returns the chunk id of a name that [ChunkName] may have given.
func SplitChunkName(name string) (cid string, ok bool) {
	if !validChunkName(name) {
		return "", false
	}
	return name[:cidDigits], true
}

// ChunkSeed returns the seed of the identity that a push with secret s seals a
// chunk to: the HMAC-SHA-256 of "key" and its digest under s.
func ChunkSeed(s Secret, d Digest) Secret { return SecretFrom(derive(s, "key", d)) }

func derive(s Secret, label string, d Digest) (out [sha256.Size]byte) {
	key := s.Reveal()
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(label))
	mac.Write(d[:])
	mac.Sum(out[:0])
	return out
}

const (
	cidDigits = 2 * sha256.Size
	nameSize  = cidDigits + 1 + 16
)

func validChunkName(name string) bool {
	if len(name) != nameSize || name[cidDigits] != '-' {
		return false
	}
	for i := range len(name) {
		if c := name[i]; i != cidDigits && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
