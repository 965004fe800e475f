package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
)

const witnessedFormat = "aivault-witnessed/1"

// ErrOlder marks an export of an older checkpoint than the witness has cosigned.
var ErrOlder = errors.New("an older checkpoint than the one cosigned last")

// Witnessed is what a witness remembers of a vault: the checkpoint that it
// cosigned last, and the right edge and heads of its tree.
type Witnessed struct {
	Format string `json:"format"`
	Note   string `json:"note"` // with the witness's own cosignature
	Heads  Heads  `json:"heads"`
}

// Marshal returns the one spelling, and a line feed.
func (w *Witnessed) Marshal() ([]byte, error) {
	b, err := canonical.Marshal(w)
	return append(b, '\n'), err
}

// ParseWitnessed reads what Marshal returns and sees that it is whole. Errors wrap ErrMalformed.
func ParseWitnessed(b []byte) (*Witnessed, error) {
	var w Witnessed
	if n := len(b); n == 0 || b[n-1] != '\n' || canonical.Unmarshal(b[:n-1], &w) != nil || w.Format != witnessedFormat {
		return nil, fmt.Errorf("%w memory of a witness", ErrMalformed)
	}
	if err := w.Heads.check(); err != nil {
		return nil, err
	}
	tree, err := w.Heads.Tree()
	if err != nil {
		return nil, err
	}
	c, err := w.Checkpoint()
	if err != nil {
		return nil, err
	}
	if c.Size != tree.Size() || c.Root != tree.Root() {
		return nil, fmt.Errorf("%w memory of a witness: its tree is not that of its checkpoint", ErrMalformed)
	}
	return &w, nil
}

// Checkpoint returns what was cosigned last.
func (w *Witnessed) Checkpoint() (Checkpoint, error) {
	text, _ := split(w.Note)
	return Parse(text)
}

// Cosign verifies that an export continues what the witness has seen of this
// vault, nil for nothing, and cosigns its checkpoint. It returns the export with
// the cosignature and what the witness must remember, durably, before it gives
// the export away. Other cosignatures in the export stay.
//
// The first export of a vault is taken on trust: what it begins with cannot be
// compared with anything. Errors: ErrFork; ErrGap: export again from the size
// that the witness remembers; ErrOlder; ErrMalformed.
func Cosign(seen *Witnessed, x *Export, key *Key, at time.Time) (*Export, *Witnessed, error) {
	from := x.Old.Size
	var last Checkpoint
	if seen != nil {
		var err error
		if last, err = seen.Checkpoint(); err != nil {
			return nil, nil, err
		}
		from = last.Size
	}
	v, heads, err := x.replay(from)
	if err != nil {
		return nil, nil, err
	}
	if seen != nil {
		if err := continues(last, seen.Heads.Heads, v, heads, x.Old.Size); err != nil {
			return nil, nil, err
		}
	}
	own, err := key.Cosign(v.Checkpoint, at)
	if err != nil {
		return nil, nil, err
	}
	signed := *x
	if signed.Note, err = MergeNotes(x.Note, own); err != nil {
		return nil, nil, err
	}
	return &signed, &Witnessed{Format: witnessedFormat, Note: own, Heads: v.Heads}, nil
}

// continues sees that v continues the checkpoint last, given the heads that the
// witness remembers and those that the export shows at the same size.
func continues(last Checkpoint, remembered []Head, v *Verified, shown []Head, from uint64) error {
	c := v.Checkpoint
	switch {
	case c.Genesis != last.Genesis:
		return fmt.Errorf("%w: the export is of vault %s, the memory of %s", ErrFork, c.Genesis, last.Genesis)
	case c.Size < last.Size:
		return fmt.Errorf("%w: size %d, after %d", ErrOlder, c.Size, last.Size)
	case last.Size < from:
		return fmt.Errorf("%w: it begins at size %d, this witness has cosigned size %d", ErrGap, from, last.Size)
	}
	root, err := v.tree.RootAt(last.Size)
	if err != nil {
		return err
	}
	if root != last.Root {
		return fmt.Errorf("%w: at size %d its root is %s, not %s", ErrFork, last.Size, root, last.Root)
	}
	if !slices.Equal(remembered, shown) {
		return fmt.Errorf("%w: at size %d it has other heads", ErrFork, last.Size)
	}
	return nil
}

// MergeNotes returns note a, which may have no signatures, with those of b; of
// two by one key that of b stays. Both must have the same text. Errors wrap
// ErrMalformed or ErrFork.
func MergeNotes(a, b string) (string, error) {
	text, have := split(a)
	other, more := split(b)
	if text != other {
		return "", fmt.Errorf("%w: cosignatures of another checkpoint", ErrFork)
	}
	if have+more == "" {
		return text, nil
	}
	out, seen := text+"\n", map[string]bool{}
	for line := range strings.Lines(strings.TrimPrefix(more, "\n") + strings.TrimPrefix(have, "\n")) {
		if id := keyOf(line); !seen[id] {
			seen[id] = true
			out += line
		}
	}
	if len(out) > maxNote {
		return "", fmt.Errorf("%w note: more than %d bytes", ErrMalformed, maxNote)
	}
	return out, nil
}

// keyOf returns what a signature line says of its key: the name and the key id.
func keyOf(line string) string {
	name, sig, _ := strings.Cut(strings.TrimPrefix(line, "— "), " ")
	return name + " " + sig[:min(len(sig), 5)] // 30 bits of the key id
}

func sorted(heads map[string]Head) []Head {
	out := make([]Head, 0, len(heads))
	for _, journal := range slices.Sorted(maps.Keys(heads)) {
		out = append(out, heads[journal])
	}
	return out
}
