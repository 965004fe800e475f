package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

const (
	headsFormat = "aivault-heads/1"
	// MaxJournals bounds the journals of a vault that checkpoints can cover: the list of heads is one object.
	MaxJournals = 100_000
	// MaxHeads bounds the spelling of a list of heads, in bytes.
	MaxHeads = 24 << 20
)

// Head is the newest entry of a journal that a tree holds.
type Head struct {
	Journal string           `json:"journal"` // entry.VaultJournal, or an artefact's id
	Seq     uint64           `json:"seq"`
	Hash    canonical.Digest `json:"hash"`
}

// Position is where the entry stands.
func (h Head) Position() entry.Position { return entry.Position{Seq: h.Seq, Hash: h.Hash} }

// Heads is a tree as one can go on from it: its right edge, and the newest entry
// of every journal among its leaves. A checkpoint entry binds one, of the tree
// before the leaf of the entry itself.
type Heads struct {
	Format   string             `json:"format"`
	Size     uint64             `json:"size"`
	Frontier []canonical.Digest `json:"frontier"`
	Heads    []Head             `json:"heads"` // by journal, each once
}

// NewHeads describes a tree.
func NewHeads(t *Tree, heads []Head) Heads {
	if heads == nil {
		heads = []Head{}
	}
	return Heads{Format: headsFormat, Size: t.Size(), Frontier: t.Frontier(), Heads: heads}
}

// Marshal returns the one spelling.
func (h Heads) Marshal() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	b, err := canonical.Marshal(h)
	if err == nil && len(b) > MaxHeads {
		err = fmt.Errorf("heads of %d journals take %d bytes; at most %d are possible", len(h.Heads), len(b), MaxHeads)
	}
	return b, err
}

// ParseHeads reads the one spelling. Errors wrap ErrMalformed.
func ParseHeads(b []byte) (Heads, error) {
	var h Heads
	if len(b) > MaxHeads {
		return h, fmt.Errorf("%w heads: %d bytes", ErrMalformed, len(b))
	}
	if err := canonical.Unmarshal(b, &h); err != nil {
		return h, fmt.Errorf("%w heads: %w", ErrMalformed, err)
	}
	return h, h.check()
}

func (h Heads) check() error {
	if h.Format != headsFormat || h.Heads == nil || h.Frontier == nil {
		return fmt.Errorf("%w heads: format %q, or a list is missing", ErrMalformed, h.Format)
	}
	if err := checkHeads(h.Heads); err != nil {
		return err
	}
	_, err := h.Tree()
	return err
}

func checkHeads(heads []Head) error {
	if len(heads) > MaxJournals {
		return fmt.Errorf("%w heads: %d journals, more than %d", ErrMalformed, len(heads), MaxJournals)
	}
	for i, head := range heads {
		if err := checkJournal(head.Journal); err != nil {
			return err
		}
		if head.Seq > entry.MaxSeq || i > 0 && heads[i-1].Journal >= head.Journal {
			return fmt.Errorf("%w heads: %s at %d", ErrMalformed, head.Journal, head.Seq)
		}
	}
	return nil
}

func checkJournal(id string) error {
	if _, err := canonical.ParseDigest(id); err != nil && id != entry.VaultJournal {
		return fmt.Errorf("%w: journal %q", ErrMalformed, id)
	}
	return nil
}

// Tree returns the tree, to go on from.
func (h Heads) Tree() (*Tree, error) { return Resume(h.Size, h.Frontier) }

// Find returns the head of a journal.
func (h Heads) Find(journal string) (Head, bool) { return find(h.Heads, journal) }

func find(heads []Head, journal string) (Head, bool) {
	i, ok := slices.BinarySearchFunc(heads, journal, byJournal)
	if !ok {
		return Head{}, false
	}
	return heads[i], true
}

// With returns heads in which next takes the place of the head of its journal.
func With(heads []Head, next Head) []Head {
	out := slices.Clone(heads)
	i, ok := slices.BinarySearchFunc(out, next.Journal, byJournal)
	if ok {
		out[i] = next
		return out
	}
	return slices.Insert(out, i, next)
}

func byJournal(h Head, journal string) int { return strings.Compare(h.Journal, journal) }
