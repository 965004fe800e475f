package keyring

import (
	"github.com/aivault/aivault/crypto/canonical"
)

// Chunk names a chunk as a version's references list it: the version whose push
// stored it, and its name below that version's prefix.
type Chunk struct {
	Creator canonical.ID
	Name    string // "c/<cid>-<crc64>"
}

// keptChunks is a set of chunks that undestroyed versions list.
type keptChunks map[Chunk]bool
