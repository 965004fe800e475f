// Package tpm is a keeper whose erasable memory is a TPM 2.0. The keys themselves
// lie in a table, a file that is sealed with a key-encryption key; that one, and
// what the table must be, stands in an NV index of the TPM:
//
//	"aivaulT1"  generation (64 bit, big-endian)  key-encryption key (32 bytes)  SHA-256 of the table's file
//
// The table's file is keys-HEX, after the first 16 hex digits of its SHA-256: 12
// bytes of nonce and AES-256-GCM of its JSON, with "aivault-tpm/1" and the
// generation as associated data. A change is a new file, made durable, then one
// write to the TPM, which decides; then the old file goes. So neither an older
// file nor an older key is ever taken for the present one.
//
// Destroying a key is a new table without it, under a new key-encryption key in
// another index of the range; and then the old index is overwritten and undefined:
// no copy of any older file opens again. Until it is, the key is pending. What it
// costs is in proportion to the number of keys.
//
// Reading an index takes its password, undefining it the owner's authorisation:
// who has only the first can use keys and make them, not destroy them. What
// crosses to the TPM is encrypted by a session that is salted with a key of the
// TPM's null hierarchy, against who listens on the bus.
//
// A key's ref is "tpm-" and its label. A wrapping is 0x01, 12 bytes of nonce and
// AES-256-GCM with "aivault-tpm-key/1" and the context as associated data; it is
// made in the memory of this process.
package tpm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/internal/setting"
)

const (
	defaultDevice = "/dev/tpmrm0"
	defaultIndex  = 0x01810000
	firstIndex    = 0x01800000 // of those that the TCG's registry leaves to owners
	lastIndex     = 0x01bfffff
	indices       = 16 // indices from the first on, one of which is in use
)

// config is what a keeper is opened with.
type config struct {
	dir    string // of the table
	device string // a character device, or the socket of an emulator
	index  uint32 // the first of the range
	auth   setting.Secret
	owner  setting.Secret // zero: the owner's authorisation is empty
}

// parseConfig reads dir=/PATH&auth-source=SECRET and, where they are not the
// default, device=/PATH, index=0x…, owner-auth-source=SECRET.
func parseConfig(text string) (config, error) {
	c := config{device: defaultDevice, index: defaultIndex}
	var index, auth, owner string
	if err := setting.Attributes(text, "&", map[string]*string{"dir": &c.dir, "device": &c.device, "index": &index, "auth-source": &auth, "owner-auth-source": &owner}); err != nil {
		return c, err
	}
	bad := func(format string, args ...any) (config, error) {
		return c, fmt.Errorf("the TPM keeper's configuration: %s: %w", fmt.Sprintf(format, args...), custody.ErrInvalid)
	}
	if !filepath.IsAbs(c.dir) || !filepath.IsAbs(c.device) {
		return bad("dir and device are absolute paths")
	}
	if index != "" {
		n, err := strconv.ParseUint(index, 0, 32)
		if err != nil || n < firstIndex || n > lastIndex-indices+1 {
			return bad("index is one from %#x to %#x, such as %#x", firstIndex, lastIndex-indices+1, defaultIndex)
		}
		c.index = uint32(n)
	}
	var err error
	if c.auth, err = setting.ParseSecret("auth-source", auth); err != nil {
		return c, err
	}
	if owner != "" {
		c.owner, err = setting.ParseSecret("owner-auth-source", owner)
	}
	return c, err
}

// authOf turns a password of any length into an authorisation value that every
// TPM takes, and none of whose zeros it would cut off.
func authOf(password string) []byte {
	sum := sha256.Sum256([]byte("aivault-tpm/1 " + password))
	return []byte(hex.EncodeToString(sum[:16]))
}
