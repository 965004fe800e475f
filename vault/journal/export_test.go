package journal

import (
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

const (
	Page       = page
	MaxJunk    = maxJunk
	MaxStrange = maxStrange
	Magic      = magic
)

func Base(seq uint64) uint64                     { return base(seq) }
func ParseSlot(name string) (uint64, bool)       { return parseSlot(name) }
func EncodeObject(entries []*entry.Entry) []byte { return encodeObject(entries) }
func Below(e *entry.Entry) (uint64, error)       { return below(e) }
func DecodeObject(plain []byte, seq uint64, genesis canonical.Digest, id string) ([]*entry.Entry, error) {
	return decodeObject(plain, seq, genesis, id, &Log{})
}
