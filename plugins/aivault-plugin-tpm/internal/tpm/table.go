package tpm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
)

const (
	tableFormat = "aivault-tpm-keys/1"
	tableDomain = "aivault-tpm/1"
	maxTable    = 64 << 20
	magic       = "aivaulT1"
	anchorSize  = len(magic) + 8 + keySize + sha256.Size
	keySize     = 32
	nonceSize   = 12
	tagSize     = 16
)

// table is what a keeper knows.
type table struct {
	Format   string      `json:"format"`
	Instance string      `json:"instance"`
	Keys     []tableKey  `json:"keys"`
	Dead     []tableDead `json:"dead"`
}

type tableKey struct {
	Label string    `json:"label"`
	Born  time.Time `json:"born"`
	Key   []byte    `json:"key"`
}

// tableDead is a key that was destroyed: it was sealed with the key-encryption
// keys of the generations before Generation alone.
type tableDead struct {
	Label      string    `json:"label"`
	At         time.Time `json:"at"`
	Generation uint64    `json:"generation"`
	Index      uint32    `json:"index"` // that was undefined for it
}

func (t *table) key(label string) *tableKey {
	for i := range t.Keys {
		if t.Keys[i].Label == label {
			return &t.Keys[i]
		}
	}
	return nil
}

func (t *table) dead(label string) *tableDead {
	for i := range t.Dead {
		if t.Dead[i].Label == label {
			return &t.Dead[i]
		}
	}
	return nil
}

// clear overwrites the keys.
func (t *table) clear() {
	for i := range t.Keys {
		clear(t.Keys[i].Key)
	}
}

// anchor is what stands in the TPM.
type anchor struct {
	generation uint64
	key        [keySize]byte // the key-encryption key
	table      [sha256.Size]byte
}

func (a *anchor) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte(magic), a.generation)
	return append(append(b, a.key[:]...), a.table[:]...)
}

// decodeAnchor reads an anchor; false if it is none.
func decodeAnchor(b []byte) (anchor, bool) {
	var a anchor
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok || len(b) != anchorSize {
		return a, false
	}
	a.generation = binary.BigEndian.Uint64(rest)
	copy(a.key[:], rest[8:])
	copy(a.table[:], rest[8+keySize:])
	return a, true
}

func fileOf(digest [sha256.Size]byte) string { return "keys-" + hex.EncodeToString(digest[:8]) }

func domain(generation uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(tableDomain), generation)
}

// sealTable returns the bytes of a table's file.
func sealTable(t *table, key [keySize]byte, generation uint64) ([]byte, error) {
	plain, err := canonical.Marshal(t)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	if len(plain) > maxTable {
		return nil, fmt.Errorf("a table of %d bytes; at most %d: %w", len(plain), maxTable, custody.ErrUnavailable)
	}
	return sealWith(key[:], domain(generation), plain), nil
}

// openTable is the inverse, for a file that the TPM vouches for. ErrCorrupt.
func openTable(b []byte, a *anchor) (*table, error) {
	if sha256.Sum256(b) != a.table {
		return nil, fmt.Errorf("the file of keys is not the one that the TPM vouches for: %w", custody.ErrCorrupt)
	}
	plain, err := openWith(a.key[:], domain(a.generation), b)
	if err != nil {
		return nil, fmt.Errorf("the file of keys does not open: %w", custody.ErrCorrupt)
	}
	defer clear(plain)
	t := &table{}
	if err := canonical.Unmarshal(plain, t); err != nil {
		return nil, fmt.Errorf("the file of keys: %w: %w", custody.ErrCorrupt, err)
	}
	if t.Format != tableFormat {
		return nil, fmt.Errorf("the file of keys has the format %q: %w", t.Format, custody.ErrCorrupt)
	}
	for _, k := range t.Keys {
		if len(k.Key) != keySize {
			return nil, fmt.Errorf("the file of keys has a key of %d bytes: %w", len(k.Key), custody.ErrCorrupt)
		}
	}
	return t, nil
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return g
}

func sealWith(key, data, plain []byte) []byte {
	nonce := make([]byte, nonceSize, nonceSize+len(plain)+tagSize)
	rand.Read(nonce)
	return gcm(key).Seal(nonce, nonce, plain, data)
}

func openWith(key, data, sealed []byte) ([]byte, error) {
	if len(sealed) < nonceSize+tagSize {
		return nil, custody.ErrMismatch
	}
	return gcm(key).Open(nil, sealed[:nonceSize], sealed[nonceSize:], data)
}
