package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

const (
	cutFormat = "aivault-cut/1"
	// maxCut bounds a cut as stored, in bytes.
	maxCut = 16 << 20
)

// Cut lists the head of every artefact's journal at the moment at which a
// member's key was ended (vault/FORMAT.md §5.4).
type Cut struct {
	Format   string    `json:"format"`
	Journals []CutHead `json:"journals"` // sorted by id
}

// CutHead is one journal's head.
type CutHead struct {
	Journal canonical.Digest `json:"journal"`
	entry.Position
}

// NewCut returns the plaintext of a cut.
func NewCut(heads map[canonical.Digest]entry.Position) ([]byte, error) {
	c := Cut{Format: cutFormat, Journals: []CutHead{}}
	for id, head := range heads {
		c.Journals = append(c.Journals, CutHead{Journal: id, Position: head})
	}
	slices.SortFunc(c.Journals, func(x, y CutHead) int { return bytes.Compare(x.Journal[:], y.Journal[:]) })
	return canonical.Marshal(c)
}

// has reports whether a journal stands in the cut.
func (c *Cut) has(id canonical.Digest) bool {
	_, found := slices.BinarySearchFunc(c.Journals, id, func(x CutHead, id canonical.Digest) int { return bytes.Compare(x.Journal[:], id[:]) })
	return found
}

// ReadBound reads an object of at most limit bytes (0: backends.MaxObject) and
// compares it with its binding. state.ErrUnverifiable: it is missing or another.
func ReadBound(ctx context.Context, store backends.Store, o state.Object, limit int64) ([]byte, error) {
	sealed, err := ReadObject(ctx, store, o.Key, limit)
	if errors.Is(err, backends.NotExist) || errors.Is(err, backends.Corrupt) {
		return nil, fmt.Errorf("%w: %s, which an entry binds: %w", state.ErrUnverifiable, o.Key, err)
	}
	if err != nil {
		return nil, err
	}
	if canonical.Sum(sealed) != o.SHA256 {
		return nil, fmt.Errorf("%w: %s is not the object that an entry binds", state.ErrUnverifiable, o.Key)
	}
	return sealed, nil
}

// Document reads a document that an entry binds and opens it. Errors as of
// ReadBound.
func (v *Vault) Document(ctx context.Context, o state.Object, limit int64) ([]byte, error) {
	sealed, err := ReadBound(ctx, v.Store, o, limit)
	if err != nil {
		return nil, err
	}
	plain, err := v.OpenMetadata(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", state.ErrUnverifiable, o.Key, err)
	}
	return plain, nil
}

// severed reports whether e registers an artefact that was hidden, or is newer
// than, the end of its author's key: it cites the vault as it was before, and the
// cut taken then lacks its journal. A key that ended cannot be used for new
// journals, however they are dated.
func (a *Artefact) severed(ctx context.Context, e *entry.Entry) (bool, error) {
	at, bound, ended := a.vault.State().EndedKey(e.Author)
	if !ended {
		a.uncut = e.Author
		return false, nil
	}
	if e.Vault.Seq >= at.Seq {
		return false, nil // judged by what it cites
	}
	plain, err := a.vault.Document(ctx, bound, maxCut)
	if err != nil {
		return false, fmt.Errorf("the cut of a removal: %w", err)
	}
	var cut Cut
	if err := canonical.Unmarshal(plain, &cut); err != nil || cut.Format != cutFormat {
		return false, fmt.Errorf("%w: %s is no cut (format %q): %v", state.ErrUnverifiable, bound.Key, cut.Format, err)
	}
	return !cut.has(a.ID), nil
}
