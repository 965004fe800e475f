// Package journal keeps ordered, chained, sealed logs in a store: one object a
// slot, put if absent, never overwritten (vault/FORMAT.md §4). It knows how
// entries chain and which objects verify, and nothing of what they mean.
//
// The log is the only shared state of a vault, and every change to a vault is
// one atomic put of the next slot.
package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
)

const (
	// magic is the first line of an object's plaintext.
	magic = "aivault-journal/1\n"
	// block and span say how far back an object's copies reach: to the last
	// multiple of block, or at the end of a block to the last multiple of span.
	block = 32
	span  = 1024
	// maxObject bounds an object's plaintext, in bytes.
	maxObject = len(magic) + span*(dsse.MaxEnvelope+1)
)

var (
	// ErrUnverifiable is entry.ErrUnverifiable. It marks an object at or below the
	// head that does not verify, or is missing.
	ErrUnverifiable = entry.ErrUnverifiable
	// ErrJunk marks an unverifiable object right above the head. Nobody can go on
	// until a skip entry passes over it.
	ErrJunk = errors.New("junk in the next slot of the journal")
	// ErrRolledBack marks a journal that lacks an entry this client has seen, or shows another in its place.
	ErrRolledBack = errors.New("journal was rolled back or forked")
	// ErrEmpty marks a journal that has no entry.
	ErrEmpty = errors.New("journal is empty")
	// ErrLost is returned by Append if another writer took the slot.
	ErrLost = errors.New("another writer took the slot")
)

// Slot returns the name of the slot for a sequence number: 16 hex digits of
// 2^64−1−seq, so that a listing starts with the newest.
func Slot(seq uint64) string { return fmt.Sprintf("%016x", math.MaxUint64-seq) }

// parseSlot is the inverse of Slot.
func parseSlot(name string) (uint64, bool) {
	v, err := strconv.ParseUint(name, 16, 64)
	if err != nil || Slot(math.MaxUint64-v) != name {
		return 0, false
	}
	return math.MaxUint64 - v, true
}

// base returns the first sequence number that the object in slot seq copies.
func base(seq uint64) uint64 {
	if seq%block == block-1 {
		return seq - seq%span
	}
	return seq - seq%block
}

// encodeObject builds the plaintext for the last of entries, which must reach
// down to its base.
func encodeObject(entries []*entry.Entry) []byte {
	from := base(entries[len(entries)-1].Seq)
	var buf bytes.Buffer
	buf.WriteString(magic)
	for _, e := range entries {
		if e.Seq >= from {
			buf.Write(e.Raw)
			buf.WriteByte('\n')
		}
	}
	return buf.Bytes()
}

// decodeObject reads the plaintext of the object in slot seq: the entry of that
// number and verbatim copies of those before it, chained, back to its base.
// Copies of what stands in have are not parsed again.
func decodeObject(plain []byte, seq uint64, genesis canonical.Digest, id string, have *Log) ([]*entry.Entry, error) {
	rest, ok := bytes.CutPrefix(plain, []byte(magic))
	if !ok {
		if bytes.HasPrefix(plain, []byte("aivault-journal/")) {
			return nil, fmt.Errorf("journal object: %w", entry.ErrUpgrade)
		}
		return nil, fmt.Errorf("%w: no journal object", entry.ErrMalformed)
	}
	if len(plain) > maxObject {
		return nil, fmt.Errorf("%w: %d bytes", entry.ErrMalformed, len(plain))
	}
	var out []*entry.Entry
	for len(rest) > 0 {
		if len(out) == span {
			return nil, fmt.Errorf("%w: more than %d entries", entry.ErrMalformed, span)
		}
		line, more, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return nil, fmt.Errorf("%w: unfinished line", entry.ErrMalformed)
		}
		rest = more
		next := base(seq)
		if len(out) > 0 {
			next = out[len(out)-1].Seq + 1
		}
		e := have.At(next)
		if e == nil || !bytes.Equal(e.Raw, line) {
			var err error
			if e, err = entry.Parse(line); err != nil {
				return nil, err
			}
		}
		if len(out) == 0 {
			if e.Journal != id || e.Genesis != genesis && !(id == entry.VaultJournal && e.Seq == 0) {
				return nil, fmt.Errorf("%w: entry %d belongs to journal %s of vault %s", entry.ErrChain, e.Seq, e.Journal, e.Genesis)
			}
		} else if err := follows(e, out[len(out)-1], genesis, id); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) == 0 || out[len(out)-1].Seq != seq {
		return nil, fmt.Errorf("%w: the object in slot %d ends elsewhere", entry.ErrChain, seq)
	}
	first, err := below(out[0])
	if err != nil {
		return nil, err
	}
	if want := base(seq); out[0].Seq < want || first > want {
		return nil, fmt.Errorf("%w: the object in slot %d starts at entry %d, not %d", entry.ErrChain, seq, out[0].Seq, want)
	}
	return out, nil
}

// firstEntry reads the first entry of an object's plaintext.
func firstEntry(plain []byte) (*entry.Entry, error) {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(plain, []byte(magic)), []byte("\n"))
	return entry.Parse(line)
}

// follows checks one link of the chain, gaps of skip entries included.
func follows(e, prev *entry.Entry, genesis canonical.Digest, id string) error {
	skipped, err := e.Skipped()
	if err != nil {
		return fmt.Errorf("%w: skip entry %d", entry.ErrMalformed, e.Seq)
	}
	if err := e.Follows(prev, genesis, id, len(skipped) > 0); err != nil {
		return err
	}
	if n := uint64(len(skipped)); prev != nil && e.Seq != prev.Seq+1+n || prev == nil && e.Seq != n {
		return fmt.Errorf("%w: entry %d passes over %d slots", entry.ErrChain, e.Seq, n)
	}
	return nil
}

// below returns the lowest sequence number that e accounts for: its own, or the
// first slot it skips.
func below(e *entry.Entry) (uint64, error) {
	skipped, err := e.Skipped()
	if err != nil {
		return 0, fmt.Errorf("%w: skip entry %d", entry.ErrMalformed, e.Seq)
	}
	return e.Seq - uint64(len(skipped)), nil
}
