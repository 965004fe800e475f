package checkpoint

import (
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Proof shows to somebody who has nothing of the log that entries stand in one
// that witnesses have cosigned (vault/FORMAT.md §9.5).
type Proof struct {
	Note    string      `json:"note"`
	Entries []Inclusion `json:"entries"`
}

// Inclusion is one entry in the log, and with it, as entries are chained, all of
// its journal before it.
type Inclusion struct {
	Journal string             `json:"journal"`
	Seq     uint64             `json:"seq"`
	Index   uint64             `json:"index"` // of the leaf
	Path    []canonical.Digest `json:"path"`  // RFC 6962 §2.1.1
}

// Include proves the entry at seq of a journal, which is leaf number index of the
// tree. The tree must have been built from its first leaf.
func (t *Tree) Include(journal string, seq, index uint64) (Inclusion, error) {
	path, err := t.Inclusion(index)
	return Inclusion{Journal: journal, Seq: seq, Index: index, Path: path}, err
}

// Verify checks that every entry of p stands in the log of the vault that genesis
// names, and by whom of the witnesses that log was cosigned, which may be nobody:
// that is for the caller to weigh. hash returns the hash of an entry, which must
// be signed and chained as entries are; ok is false if there is none.
//
// Errors wrap ErrMalformed or ErrFork.
func (p *Proof) Verify(genesis canonical.Digest, witnesses []*Witness, hash func(journal string, seq uint64) (h canonical.Digest, ok bool)) ([]Cosignature, error) {
	c, by, err := OpenNote(p.Note, witnesses)
	if err != nil && !errors.Is(err, ErrUnknownWitness) || errors.Is(err, ErrMalformed) {
		return nil, err
	}
	if c.Genesis != genesis {
		return nil, fmt.Errorf("%w: the checkpoint is of the vault %s", ErrFork, c.Genesis)
	}
	for _, x := range p.Entries {
		h, ok := hash(x.Journal, x.Seq)
		if !ok || x.Seq > entry.MaxSeq || x.Index >= c.Size {
			return nil, fmt.Errorf("%w proof: there is no entry %d of %s, or no leaf %d", ErrMalformed, x.Seq, x.Journal, x.Index)
		}
		if err := CheckInclusion(x.Path, c, x.Index, h); err != nil {
			return nil, fmt.Errorf("entry %d of journal %s: %w", x.Seq, x.Journal, err)
		}
	}
	return by, nil
}
