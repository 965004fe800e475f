package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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
	// Open opens an object sealed to one of the vault's metadata identities.
	Open func(sealed []byte) ([]byte, error)
}

// Log is what was read of a journal: every entry up to the head. It is immutable.
type Log struct {
	Entries []*entry.Entry // ascending; numbers are missing only where a skip entry says so
	Junk    []Junk         // unverifiable objects above the head, newest first
	Strange []string       // keys under the prefix that name no slot
}

// Junk is an object that does not verify.
type Junk struct {
	Seq    uint64
	Key    string
	SHA256 canonical.Digest // of its bytes
	Why    error
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

func (l *Log) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(l.Entries, seq, func(e *entry.Entry, seq uint64) int { return cmp.Compare(e.Seq, seq) })
}

const (
	// page is how many slots a reader lists: enough to see past some junk, few enough to be one small answer.
	page = 64
	// maxJunk bounds the unverifiable objects a reader looks at before it gives up.
	maxJunk = 256
)

// Read brings have, which may be nil, up to date. Entries are verified as far as
// form and chain go; whose signatures they bear is for the caller to check.
//
// Errors: ErrEmpty; ErrJunk (then the log is returned as well, up to the head);
// ErrUnverifiable; ErrRolledBack; entry.ErrUpgrade; those of the store.
func (j *Journal) Read(ctx context.Context, have *Log) (*Log, error) {
	if have == nil {
		have = &Log{}
	}
	seqs, strange, more, err := j.list(ctx, page)
	if err != nil {
		return nil, err
	}
	log := &Log{Entries: have.Entries, Strange: strange}
	for i := 0; ; i++ {
		if i == len(seqs) {
			if !more {
				break
			}
			if seqs, log.Strange, more, err = j.list(ctx, 0); err != nil {
				return nil, err
			}
			if i >= len(seqs) {
				break
			}
		}
		seq := seqs[i]
		if len(have.Entries) > 0 && seq <= have.Head().Seq {
			if seq < have.Head().Seq {
				return nil, j.missing(have.Head().Seq)
			}
			return j.finish(log)
		}
		tail, sum, err := j.object(ctx, seq)
		if errors.Is(err, entry.ErrUpgrade) {
			return nil, fmt.Errorf("reading %s: %w", j.key(seq), err)
		}
		if err == nil {
			if log.Entries, err = j.connect(ctx, have.Entries, tail); err != nil {
				return nil, err
			}
			return j.finish(log)
		}
		if !IsJunk(err) {
			return nil, err
		}
		log.Junk = append(log.Junk, Junk{Seq: seq, Key: j.key(seq), SHA256: sum, Why: err})
		if len(log.Junk) > maxJunk {
			return nil, fmt.Errorf("%w: more than %d unverifiable objects under %s; erase them", ErrUnverifiable, maxJunk, j.Prefix)
		}
	}
	if len(have.Entries) > 0 {
		return nil, j.missing(have.Head().Seq)
	}
	return j.finish(log)
}

func (j *Journal) missing(seq uint64) error {
	return fmt.Errorf("%w: %s, which this client has read before, is gone", ErrRolledBack, j.key(seq))
}

// finish decides what junk above the head means.
func (j *Journal) finish(log *Log) (*Log, error) {
	next := uint64(0)
	if len(log.Entries) > 0 {
		next = log.Head().Seq + 1
	}
	for _, junk := range log.Junk {
		if junk.Seq == next {
			return log, fmt.Errorf("%w: %s (sha256 %s): %w", ErrJunk, junk.Key, junk.SHA256, junk.Why)
		}
	}
	if len(log.Entries) == 0 {
		if len(log.Junk) > 0 {
			return log, fmt.Errorf("%w: no object under %s verifies, and the first slot is empty: %w", ErrUnverifiable, j.Prefix, log.Junk[0].Why)
		}
		return log, fmt.Errorf("%s: %w", j.Prefix, ErrEmpty)
	}
	return log, nil
}

// connect prepends to tail what lies between have and it, and checks every link.
func (j *Journal) connect(ctx context.Context, have, tail []*entry.Entry) ([]*entry.Entry, error) {
	last := uint64(0)
	if len(have) > 0 {
		last = have[len(have)-1].Seq
	}
	parts := [][]*entry.Entry{tail}
	for {
		low, err := below(parts[len(parts)-1][0])
		if err != nil {
			return nil, err
		}
		if low == 0 || len(have) > 0 && low <= last+1 {
			break
		}
		older, _, err := j.object(ctx, low-1)
		if err != nil {
			if errors.Is(err, backends.NotExist) || IsJunk(err) {
				err = fmt.Errorf("%w: %s: %w", ErrUnverifiable, j.key(low-1), err)
			}
			return nil, err
		}
		parts = append(parts, older)
	}
	out := have[:len(have):len(have)]
	for _, part := range slices.Backward(parts) {
		for _, e := range part {
			if len(out) > 0 && e.Seq <= out[len(out)-1].Seq {
				if known := (&Log{Entries: out}).At(e.Seq); known == nil || known.Hash != e.Hash {
					return nil, fmt.Errorf("%w: %s shows another entry %d than this client has read", ErrRolledBack, j.key(part[len(part)-1].Seq), e.Seq)
				}
				continue
			}
			var prev *entry.Entry
			if len(out) > 0 {
				prev = out[len(out)-1]
			}
			if err := follows(e, prev, j.Genesis, j.ID); err != nil {
				if len(have) > 0 && prev != nil && prev.Seq == last {
					return nil, fmt.Errorf("%w: %s: %w", ErrRolledBack, j.key(e.Seq), err)
				}
				return nil, fmt.Errorf("%w: %s: %w", ErrUnverifiable, j.key(e.Seq), err)
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// Object reads and opens the object in one slot, whatever the rest of the
// journal says: for verification and for passing over junk. The digest is of
// its bytes, if there are any.
func (j *Journal) Object(ctx context.Context, seq uint64) ([]*entry.Entry, canonical.Digest, error) {
	return j.object(ctx, seq)
}

func (j *Journal) object(ctx context.Context, seq uint64) ([]*entry.Entry, canonical.Digest, error) {
	sealed, err := j.get(ctx, j.key(seq))
	if err != nil {
		return nil, canonical.Digest{}, err
	}
	sum := canonical.Sum(sealed)
	if seq > entry.MaxSeq {
		return nil, sum, &junkError{fmt.Errorf("%w: number %d is past the last", entry.ErrMalformed, seq)}
	}
	plain, err := j.Open(sealed)
	if err != nil {
		return nil, sum, &junkError{err}
	}
	genesis := j.Genesis
	if genesis.IsZero() && j.ID == entry.VaultJournal {
		genesis = impliedGenesis(plain)
	}
	entries, err := decodeObject(plain, seq, genesis, j.ID)
	if err != nil {
		return nil, sum, &junkError{err}
	}
	return entries, sum, nil
}

// impliedGenesis takes the vault's name from an object of its journal, for a
// reader who pins none.
func impliedGenesis(plain []byte) canonical.Digest {
	line, _, _ := strings.Cut(strings.TrimPrefix(string(plain), magic), "\n")
	e, err := entry.Parse([]byte(line))
	if err != nil {
		return canonical.Digest{}
	}
	if e.Seq == 0 {
		return e.Hash
	}
	return e.Genesis
}

// junkError marks an object that was read and does not verify.
type junkError struct{ error }

func (e *junkError) Unwrap() error { return e.error }

// IsJunk reports whether an error of Object means that what stands in the slot, if
// anything, does not verify.
func IsJunk(err error) bool {
	var j *junkError
	return errors.As(err, &j) || errors.Is(err, backends.NotExist) || errors.Is(err, backends.Corrupt)
}

func (j *Journal) key(seq uint64) string { return j.Prefix + Slot(seq) }

// list returns the numbers of up to limit newest slots (0: all), newest first.
func (j *Journal) list(ctx context.Context, limit int) (seqs []uint64, strange []string, more bool, err error) {
	n := 0
	for info, err := range j.Store.List(ctx, j.Prefix, backends.ListOptions{Limit: limit}) {
		if err != nil {
			return nil, nil, false, err
		}
		n++
		if seq, ok := parseSlot(strings.TrimPrefix(info.Key, j.Prefix)); ok {
			if len(seqs) > 0 && seq >= seqs[len(seqs)-1] {
				return nil, nil, false, fmt.Errorf("%w: the listing of %s is out of order", ErrUnverifiable, j.Prefix)
			}
			seqs = append(seqs, seq)
		} else {
			strange = append(strange, info.Key)
		}
	}
	return seqs, strange, limit > 0 && n >= limit, nil
}

func (j *Journal) get(ctx context.Context, key string) ([]byte, error) {
	r, info, err := j.Store.Get(ctx, backends.Ref{Key: key}, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, backends.MaxObject+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	if int64(len(b)) != info.Size {
		return nil, &junkError{fmt.Errorf("%s: %d bytes where the store announced %d", key, len(b), info.Size)}
	}
	return b, nil
}
