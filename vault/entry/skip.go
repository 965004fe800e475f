package entry

import "github.com/aivault/aivault/crypto/canonical"

// KindSkip is the one kind that a journal itself understands: it passes over
// slots whose objects do not verify.
const KindSkip = "skip"

// MaxSkipped bounds the slots one skip entry names.
const MaxSkipped = 64

// Skip is the body of a skip entry.
type Skip struct {
	Slots  []SkippedSlot `json:"slots"` // every slot between the last good entry and this one, in order
	Reason string        `json:"reason"`
}

// SkippedSlot names a slot and what stood there.
type SkippedSlot struct {
	Seq    uint64           `json:"seq"`
	SHA256 canonical.Digest `json:"sha256"`
}

// Skipped returns the slots that e passes over: none unless it is a well-formed
// skip entry whose slots lie one by one right before it.
func (e *Entry) Skipped() ([]SkippedSlot, error) {
	if e.Kind != KindSkip {
		return nil, nil
	}
	var s Skip
	if err := canonical.Unmarshal(e.Body, &s); err != nil {
		return nil, err
	}
	n := uint64(len(s.Slots))
	if n == 0 || n > MaxSkipped || n > e.Seq {
		return nil, ErrMalformed
	}
	for i, slot := range s.Slots {
		if slot.Seq != e.Seq-n+uint64(i) {
			return nil, ErrMalformed
		}
	}
	return s.Slots, nil
}
