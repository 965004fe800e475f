package keyring

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

// Formats of the plaintexts (vault/FORMAT.md §6.1).
const (
	generationFormat = "aivault-generation/1"
	readersFormat    = "aivault-readers/1"
	seedFormat       = "aivault-epoch/1"
	tableFormat      = "aivault-table/1"
	indexFormat      = "aivault-index/1"
)

// Limits of the objects as stored, in bytes, and of tables in rows.
const (
	tableRows     = 64
	maxTable      = 1 << 20
	maxRow        = 64 << 10
	maxSeed       = 512 << 10
	maxGeneration = 8 << 20
)

// Reader is one reader of an artefact: a member, or a group by its name with '@'.
type Reader struct {
	Name      string `json:"name"`
	Recipient string `json:"recipient"`
}

type readersObject struct {
	Format  string       `json:"format"`
	GID     canonical.ID `json:"gid"`
	Readers []Reader     `json:"readers"`
}

// generationObject is the plaintext of g/<gid>-<rnd>. Older holds identities of
// earlier generations that rows are still sealed to.
type generationObject struct {
	Format   string            `json:"format"`
	GID      canonical.ID      `json:"gid"`
	Identity string            `json:"identity"`
	Older    []olderGeneration `json:"older"`
}

type olderGeneration struct {
	GID      canonical.ID `json:"gid"`
	Identity string       `json:"identity"`
}

// seedObject is e/<eid>/id, which needs no further sealing: each wrapping is a
// keeper's ciphertext. Wraps stand in the order of the candidate's keys.
type seedObject struct {
	Format string        `json:"format"`
	Mode   string        `json:"mode"`
	Wraps  []wrappedSeed `json:"wraps"`
}

type wrappedSeed struct {
	Instance string `json:"instance"`
	Wrapped  []byte `json:"wrapped"`
}

// table is the plaintext of a version-key table and, with one row, of a push's own row.
type table struct {
	Format string `json:"format"`
	Rows   []row  `json:"rows"` // sorted by VID
}

// row holds a version identity, sealed to the readers of a generation.
type row struct {
	VID canonical.ID `json:"vid"`
	GID canonical.ID `json:"gid"`
	Row []byte       `json:"row"`
}

// index is the plaintext of e/<eid>/i-<rnd>. A version's row stands in the last
// table whose First is not above its id.
type index struct {
	Format    string          `json:"format"`
	EID       canonical.ID    `json:"eid"`
	Survivors state.Survivors `json:"survivors"`
	Tables    []indexed       `json:"tables"` // sorted by First
}

type indexed struct {
	First  canonical.ID     `json:"first"`
	Name   canonical.ID     `json:"name"` // of e/<eid>/k-<name>
	SHA256 canonical.Digest `json:"sha256"`
}

func compareID(a, b canonical.ID) int { return bytes.Compare(a[:], b[:]) }

func encodeTable(rows []row) ([]byte, error) {
	return canonical.Marshal(table{Format: tableFormat, Rows: rows})
}

func decodeTable(plain []byte) ([]row, error) {
	var t table
	if err := canonical.Unmarshal(plain, &t); err != nil {
		return nil, err
	}
	if t.Format != tableFormat || len(t.Rows) == 0 || len(t.Rows) > tableRows {
		return nil, fmt.Errorf("format %q with %d rows: %s has 1 to %d", t.Format, len(t.Rows), tableFormat, tableRows)
	}
	for i, row := range t.Rows {
		if i > 0 && compareID(t.Rows[i-1].VID, row.VID) >= 0 || len(row.Row) == 0 {
			return nil, fmt.Errorf("row %d is empty or out of order", i)
		}
	}
	return t.Rows, nil
}

func decodeIndex(plain []byte) (*index, error) {
	var x index
	if err := canonical.Unmarshal(plain, &x); err != nil {
		return nil, err
	}
	if x.Format != indexFormat || (len(x.Tables) == 0) != (x.Survivors.Count == 0) {
		return nil, fmt.Errorf("format %q with %d tables for %d versions", x.Format, len(x.Tables), x.Survivors.Count)
	}
	for i, t := range x.Tables {
		if i > 0 && compareID(x.Tables[i-1].First, t.First) >= 0 {
			return nil, fmt.Errorf("table %d is out of order", i)
		}
	}
	return &x, nil
}

// find returns the number of the table that a version's row must stand in, or −1.
func (x *index) find(vid canonical.ID) int {
	i, found := slices.BinarySearchFunc(x.Tables, vid, func(t indexed, vid canonical.ID) int { return compareID(t.First, vid) })
	if found {
		return i
	}
	return i - 1
}

func decodeSeed(b []byte) (*seedObject, error) {
	var s seedObject
	if err := canonical.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	if s.Format != seedFormat {
		return nil, fmt.Errorf("format %q, not %s", s.Format, seedFormat)
	}
	return &s, nil
}
