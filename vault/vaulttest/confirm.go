package vaulttest

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"github.com/minio/crc64nvme"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// File is a file as somebody guesses it to have been.
type File struct {
	Path  string
	Plain []byte // a chunk, as it happens
}

// Confirms tries to confirm a guess of a version, whose files come in bytewise
// order of their paths, and of each of those files; known says which of them are
// known from elsewhere, and so are left out. It computes whatever can be computed
// of the guess, without a secret and with each that is known, and looks for it in
// all that is known. It says what confirms the guess, or "". Only a thorough
// adversary's knowledge can tell.
func (k *Knowledge) Confirms(files []File, known func(File) bool) string {
	secret := false
	for _, f := range files {
		if known(f) {
			continue
		}
		secret = true
		if what := k.confirmsFile(f.Plain); what != "" {
			return what + " of " + f.Path
		}
	}
	if !secret {
		return "" // another version may be this one, word for word
	}
	return k.confirmsVersion(files)
}

func (k *Knowledge) confirmsFile(plain []byte) string {
	if k.Reads(plain) {
		return "the plaintext"
	}
	one, two, five := sha1.Sum(plain), sha256.Sum256(plain), sha512.Sum512(plain)
	old, short := md5.Sum(plain), sha512.Sum512_256(plain)
	blake := manifest.Sum(plain)
	for name, value := range map[string][]byte{"SHA-1": one[:], "SHA-256": two[:], "SHA-512": five[:], "SHA-512/256": short[:], "MD5": old[:],
		"BLAKE3": blake[:], "CRC-64": binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(plain))} {
		if k.Spells(value) {
			return "the " + name
		}
	}
	for b := k; b != nil; b = b.base {
		for s := range b.secrets {
			for _, message := range [][]byte{plain, two[:], blake[:], append([]byte("id"), blake[:]...)} {
				if k.Spells(mac(s, message)) {
					return fmt.Sprintf("a MAC of %d bytes under a known secret", len(message))
				}
			}
			seed := mac(s, append([]byte("key"), blake[:]...))
			if key, err := k.cipher.FromSeed(seed); k.Spells(seed) || err == nil && (k.Key(key.Recipient()) != nil || k.cipher.Sealed(key.Recipient())) {
				return "the chunk identity under a known secret"
			}
		}
	}
	return ""
}

func mac(key [32]byte, message []byte) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(message)
	return h.Sum(nil)
}

func (k *Knowledge) confirmsVersion(files []File) string {
	digest := func(salt [32]byte) []byte {
		h := manifest.NewVersionHash(manifest.SecretFrom(salt))
		for _, f := range files {
			h.Add(f.Path, manifest.Regular, int64(len(f.Plain)), canonical.Sum(f.Plain))
		}
		d := h.Sum()
		return d[:]
	}
	if k.Spells(digest([32]byte{})) {
		return "the version digest without a salt"
	}
	for b := k; b != nil; b = b.base {
		for s := range b.secrets {
			if k.Spells(digest(s)) {
				return "the version digest under a known salt"
			}
		}
	}
	return ""
}
