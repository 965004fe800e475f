// Package checkpoint makes the journals of a vault one transparency log: a
// Merkle tree (RFC 6962) whose leaves are the hashes of entries, checkpoints of
// it that a witness cosigns, and the file that goes to the witness and back
// (vault/FORMAT.md §9). It is pure: it reads no storage and no clock.
//
// Checkpoints, cosignatures and proofs are those of C2SP (tlog-checkpoint,
// tlog-cosignature, signed-note), so that other witnesses and verifiers can
// take part.
package checkpoint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

var (
	// ErrMalformed marks bytes that are not in the one spelling of what they should be.
	ErrMalformed = errors.New("malformed")
	// ErrFork marks a history that is no continuation of one that was seen or
	// cosigned before: somebody has rewritten it, or shows different people
	// different ones.
	ErrFork = errors.New("history does not continue the one that was cosigned")
	// ErrGap marks an export that begins above what the witness has seen.
	ErrGap = errors.New("export begins above what was seen before")
	// ErrUnknownWitness marks a note without a cosignature by a key that is trusted.
	ErrUnknownWitness = errors.New("no cosignature by a known witness")
)

// MaxSize is the largest number of leaves of a tree.
const MaxSize = entry.MaxSeq

// Checkpoint is a state of a vault's log (C2SP tlog-checkpoint). It has no
// extension lines: what a checkpoint vouches for stands in its leaves.
type Checkpoint struct {
	Genesis canonical.Digest // names the vault
	Size    uint64           // number of leaves
	Root    canonical.Digest
}

const originPrefix = "aivault/"

// Origin names a vault's log.
func Origin(genesis canonical.Digest) string { return originPrefix + genesis.String() }

// String returns the text of the note.
func (c Checkpoint) String() string {
	return fmt.Sprintf("%s\n%d\n%s\n", Origin(c.Genesis), c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// Parse reads the text of a note in its one spelling. Errors wrap ErrMalformed.
func Parse(text string) (Checkpoint, error) {
	var c Checkpoint
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return c, fmt.Errorf("%w checkpoint: it has three lines", ErrMalformed)
	}
	genesis, ours := strings.CutPrefix(lines[0], originPrefix)
	g, err := canonical.ParseDigest(genesis)
	if !ours || err != nil {
		return c, fmt.Errorf("%w checkpoint: origin %q", ErrMalformed, lines[0])
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > MaxSize {
		return c, fmt.Errorf("%w checkpoint: size %q", ErrMalformed, lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) {
		return c, fmt.Errorf("%w checkpoint: root %q", ErrMalformed, lines[2])
	}
	c = Checkpoint{Genesis: g, Size: size, Root: canonical.Digest(root)}
	if c.String() != text {
		return c, fmt.Errorf("%w checkpoint: not in its one spelling", ErrMalformed)
	}
	return c, nil
}

// split takes a note apart: its text, and its signature lines with the empty
// line before them, if it has any.
func split(signed string) (text, signatures string) {
	if i := strings.Index(signed, "\n\n"); i >= 0 {
		return signed[:i+1], signed[i+1:]
	}
	return signed, ""
}
