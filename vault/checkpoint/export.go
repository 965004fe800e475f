package checkpoint

import (
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

const exportFormat = "aivault-export/1"

// MaxExport bounds the spelling of an export, in bytes.
const MaxExport = 256 << 20

// Export is what goes to a witness and comes back: a checkpoint, and everything
// needed to see that it continues an older one. It names no artefact and nobody.
type Export struct {
	Format string             `json:"format"`
	Note   string             `json:"note"`  // the checkpoint, and its cosignatures if there are any
	Entry  []byte             `json:"entry"` // the envelope of the checkpoint entry: the last leaf
	Old    Heads              `json:"old"`   // the tree that the leaves below continue
	Proof  []canonical.Digest `json:"proof"` // of consistency with it, for other witnesses
	Leaves []Leaves           `json:"leaves"`
}

// Leaves are leaves of the tree that follow each other, all of one journal.
type Leaves struct {
	Journal string           `json:"journal"`
	Entries []entry.Position `json:"entries"`
}

// NewExport describes how the tree that ends in the checkpoint entry e came to
// be from old. tree must have e as its last leaf and old.Size at or above its base.
func NewExport(c Checkpoint, tree *Tree, e *entry.Entry, old Heads, leaves []Leaves) (*Export, error) {
	proof, err := tree.Consistency(old.Size)
	if err != nil {
		return nil, err
	}
	return &Export{Format: exportFormat, Note: c.String(), Entry: e.Raw, Old: old, Proof: proof, Leaves: leaves}, nil
}

// Marshal returns the one spelling, and a line feed.
func (x *Export) Marshal() ([]byte, error) {
	b, err := canonical.Marshal(x)
	if err == nil && len(b) >= MaxExport {
		err = fmt.Errorf("an export of %d bytes; at most %d are possible", len(b), MaxExport)
	}
	return append(b, '\n'), err
}

// ParseExport reads what Marshal returns. Errors wrap ErrMalformed. What it says
// is true only if Verify agrees.
func ParseExport(b []byte) (*Export, error) {
	if n := len(b); n == 0 || n > MaxExport || b[n-1] != '\n' {
		return nil, fmt.Errorf("%w export: %d bytes, or no line feed at the end", ErrMalformed, len(b))
	}
	var x Export
	if err := canonical.Unmarshal(b[:len(b)-1], &x); err != nil {
		return nil, fmt.Errorf("%w export: %w", ErrMalformed, err)
	}
	if x.Format != exportFormat || x.Proof == nil || x.Leaves == nil {
		return nil, fmt.Errorf("%w export: format %q, or a list is missing", ErrMalformed, x.Format)
	}
	if len(x.Note) > maxNote {
		return nil, fmt.Errorf("%w export: a note of %d bytes", ErrMalformed, len(x.Note))
	}
	return &x, x.Old.check()
}

// Verified is what an export shows.
type Verified struct {
	Checkpoint Checkpoint
	Entry      *entry.Entry // the checkpoint entry; who signed it is not verified
	Heads      Heads        // of the tree of the checkpoint
	tree       *Tree
}

// Verify sees that the leaves lead from the old tree to the checkpoint, that no
// number of a journal comes twice, and that the last leaf is the checkpoint
// entry. It cannot tell whether the old tree is the right one, nor who signed.
// Errors wrap ErrMalformed or ErrFork.
func (x *Export) Verify() (*Verified, error) {
	v, _, err := x.replay(x.Old.Size)
	return v, err
}

// replay is Verify, and returns the heads of the tree as it was at some size.
func (x *Export) replay(at uint64) (*Verified, []Head, error) {
	text, _ := split(x.Note)
	c, err := Parse(text)
	if err != nil {
		return nil, nil, err
	}
	e, err := entry.Parse(x.Entry)
	if err != nil {
		return nil, nil, fmt.Errorf("%w export: %w", ErrMalformed, err)
	}
	var body state.Checkpoint
	if err := canonical.Unmarshal(e.Body, &body); err != nil || e.Kind != state.KindCheckpoint || e.Journal != entry.VaultJournal || e.Genesis != c.Genesis || body.Size != c.Size {
		return nil, nil, fmt.Errorf("%w export: its entry is not that of the checkpoint", ErrMalformed)
	}
	tree, err := x.Old.Tree()
	if err != nil {
		return nil, nil, err
	}
	heads, marked := map[string]Head{}, map[string]Head(nil)
	for _, h := range x.Old.Heads {
		heads[h.Journal] = h
	}
	mark := func() {
		if tree.Size() == at {
			marked = map[string]Head{}
			for k, h := range heads {
				marked[k] = h
			}
		}
	}
	mark()
	last := Head{}
	for _, l := range x.Leaves {
		if err := checkJournal(l.Journal); err != nil || len(l.Entries) == 0 {
			return nil, nil, fmt.Errorf("%w export: leaves of journal %q", ErrMalformed, l.Journal)
		}
		for _, p := range l.Entries {
			if before, ok := heads[l.Journal]; ok && p.Seq <= before.Seq {
				return nil, nil, fmt.Errorf("%w: journal %s has an entry %d after entry %d", ErrFork, l.Journal, p.Seq, before.Seq)
			}
			last = Head{Journal: l.Journal, Seq: p.Seq, Hash: p.Hash}
			heads[l.Journal] = last
			tree.Append(p.Hash)
			mark()
		}
	}
	switch {
	case tree.Size() != c.Size || tree.Root() != c.Root:
		return nil, nil, fmt.Errorf("%w: the leaves of the export lead to another tree than its checkpoint", ErrFork)
	case last != Head{Journal: entry.VaultJournal, Seq: e.Seq, Hash: e.Hash}:
		return nil, nil, fmt.Errorf("%w export: the last leaf is not the checkpoint's entry", ErrMalformed)
	}
	oldRoot, err := tree.RootAt(x.Old.Size)
	if err != nil {
		return nil, nil, err
	}
	if err := CheckConsistency(x.Proof, c.Size, c.Root, x.Old.Size, oldRoot); err != nil {
		return nil, nil, err
	}
	out := NewHeads(tree, sorted(heads))
	if err := checkHeads(out.Heads); err != nil {
		return nil, nil, err
	}
	return &Verified{Checkpoint: c, Entry: e, Heads: out, tree: tree}, sorted(marked), nil
}
