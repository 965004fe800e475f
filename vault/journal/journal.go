package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Journal is one log in a store. Safe for concurrent use.
type Journal struct {
	// Store holds the slots. Its errors pass through.
	Store backends.Store
	// Prefix is "log/" for the vault's own journal, "a/<aid>/log/" for an artefact's.
	Prefix string
	// ID is entry.VaultJournal, or the artefact's id in hex.
	ID string
	// Genesis names the vault. The zero digest stands for "whatever entry 0 is"
	// and is for a vault journal whose genesis is not known yet.
	Genesis canonical.Digest
	// Stall bounds how long Append waits for a store without clear answers; 0: as long as its context.
	Stall time.Duration
	// Open opens an object sealed to one of the vault's metadata identities. An
	// error made by Unverified says that the object is junk; any other ends Read.
	Open func(sealed []byte) ([]byte, error)
	// Check says whether e, the newest entry of an object, bears signatures that
	// belong in this journal; errors as those of Open. before are verified entries
	// that e follows, at once or further up. nil: everything passes.
	Check func(ctx context.Context, before []*entry.Entry, e *entry.Entry) error
}

// Log is what was read of a journal: every entry up to the head. It is immutable.
type Log struct {
	Entries []*entry.Entry // ascending; numbers are missing only where a skip entry says so
	Junk    []Junk         // unverifiable objects above the head, newest first
	Strange []string       // keys under the prefix that name no slot, at most maxStrange of them
}

// Junk is an object that does not verify.
type Junk struct {
	Seq    uint64
	Key    string
	SHA256 canonical.Digest // of its bytes; zero if they cannot be read
	Why    error

	newest *entry.Entry // of an object that is well formed
	single bool         // newest is all it holds, and does not follow what stands right below
}

// Head returns the position of the last entry. The log must not be empty.
func (l *Log) Head() entry.Position { return l.Entries[len(l.Entries)-1].Position() }

// At returns the entry with this number, or nil.
func (l *Log) At(seq uint64) *entry.Entry {
	i, ok := l.find(seq)
	if !ok {
		return nil
	}
	return l.Entries[i]
}

// Before returns the log as it was before the entry with this number.
func (l *Log) Before(seq uint64) *Log {
	i, _ := l.find(seq)
	return &Log{Entries: l.Entries[:i:i], Junk: l.Junk, Strange: l.Strange}
}

// Blocking returns the slots that a skip entry must name for the journal to go
// on: those with junk right above the head, at most entry.MaxSkipped.
func (l *Log) Blocking() []entry.SkippedSlot {
	next := l.next()
	var out []entry.SkippedSlot
	for _, junk := range slices.Backward(l.Junk) {
		if junk.Seq == next && len(out) < entry.MaxSkipped {
			out = append(out, entry.SkippedSlot{Seq: junk.Seq, SHA256: junk.SHA256})
			next++
		}
	}
	return out
}

// next returns the number of the slot right above the head.
func (l *Log) next() uint64 {
	if len(l.Entries) == 0 {
		return 0
	}
	return l.Head().Seq + 1
}

func (l *Log) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(l.Entries, seq, func(e *entry.Entry, seq uint64) int { return cmp.Compare(e.Seq, seq) })
}

// Object reads and opens the object in one slot, whatever the rest of the
// journal says: for verification and for passing over junk. The digest is of
// its bytes, if there are any. See IsJunk.
func (j *Journal) Object(ctx context.Context, seq uint64) ([]*entry.Entry, canonical.Digest, error) {
	return j.object(ctx, seq, &Log{})
}

func (j *Journal) object(ctx context.Context, seq uint64, have *Log) ([]*entry.Entry, canonical.Digest, error) {
	sealed, err := j.get(ctx, j.key(seq))
	if err != nil {
		return nil, canonical.Digest{}, err
	}
	sum := canonical.Sum(sealed)
	if seq > entry.MaxSeq {
		return nil, sum, Unverified(fmt.Errorf("%w: number %d is past the last", entry.ErrMalformed, seq))
	}
	plain, err := j.Open(sealed)
	if err != nil {
		return nil, sum, err
	}
	genesis := j.Genesis
	if genesis.IsZero() && j.ID == entry.VaultJournal {
		genesis = impliedGenesis(plain)
	}
	entries, err := decodeObject(plain, seq, genesis, j.ID, have)
	if err != nil {
		return nil, sum, Unverified(err)
	}
	return entries, sum, nil
}

// Follows reports whether e may stand right after prev, which is nil for a
// first entry. Errors wrap entry.ErrChain or entry.ErrMalformed.
func (j *Journal) Follows(e, prev *entry.Entry) error { return follows(e, prev, j.Genesis, j.ID) }

// Unverified marks an error as one about the bytes of an object, or about who
// signed them, not about reaching it.
func Unverified(err error) error { return &junkError{err} }

type junkError struct{ error }

func (e *junkError) Unwrap() error { return e.error }

// IsJunk reports whether an error, which must be one that Object returned, as it
// is, means that what stands in the slot, if anything, does not verify.
func IsJunk(err error) bool {
	_, ok := err.(*junkError)
	return ok
}

func (j *Journal) key(seq uint64) string { return j.Prefix + Slot(seq) }

func (j *Journal) get(ctx context.Context, key string) ([]byte, error) {
	r, info, err := j.Store.Get(ctx, backends.Ref{Key: key}, 0, -1)
	if errors.Is(err, backends.NotExist) || errors.Is(err, backends.Corrupt) {
		return nil, Unverified(err)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, backends.MaxObject+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	if int64(len(b)) != info.Size {
		return nil, Unverified(fmt.Errorf("%s: %d bytes where the store announced %d", key, len(b), info.Size))
	}
	return b, nil
}
