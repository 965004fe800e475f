package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

const (
	// page is how many slots a reader lists at first: enough to see past some junk, few enough to be one small answer.
	page = 64
	// maxJunk bounds the unverifiable objects a reader looks at before it gives up.
	maxJunk = 256
	// maxStrange bounds the keys without a slot that a reader reports.
	maxStrange = 64
)

// Read brings have, which may be nil, up to date. The head is the newest slot
// whose object verifies: it opens, is well formed, Check finds its newest entry
// rightly signed, and it chains down to have or to the first entry. The
// signatures of the entries between are for the caller to check.
//
// Errors: ErrEmpty and ErrJunk, with which the log is returned as well;
// ErrUnverifiable; ErrRolledBack; entry.ErrUpgrade; those of the store, Open
// and Check.
func (j *Journal) Read(ctx context.Context, have *Log) (*Log, error) {
	if have == nil {
		have = &Log{}
	}
	log := &Log{Entries: have.Entries}
	for seq, err := range j.slots(ctx, &log.Strange) {
		if err != nil {
			return nil, err
		}
		if len(have.Entries) > 0 && seq <= have.Head().Seq {
			if seq < have.Head().Seq {
				return nil, j.missing(have.Head().Seq)
			}
			return j.settle(ctx, log)
		}
		entries, junk, err := j.candidate(ctx, have.Entries, seq)
		switch {
		case err != nil:
			return nil, err
		case junk == nil:
			log.Entries = entries
			return j.settle(ctx, log)
		case junk.newest == nil && errors.Is(junk.Why, backends.NotExist):
			continue // erased since it was listed
		}
		if log.Junk = append(log.Junk, *junk); len(log.Junk) > maxJunk {
			return nil, fmt.Errorf("%w: more than %d unverifiable objects under %s; erase them: %w", ErrUnverifiable, maxJunk, j.Prefix, junk.Why)
		}
	}
	if len(have.Entries) > 0 {
		return nil, j.missing(have.Head().Seq)
	}
	return j.settle(ctx, log)
}

func (j *Journal) missing(seq uint64) error {
	return fmt.Errorf("%w: %s, which this client has read before, is gone", ErrRolledBack, j.key(seq))
}

// slots yields the numbers of the slots that are listed, newest first: one page,
// and all the rest if somebody looks further. Keys that name no slot go to strange.
func (j *Journal) slots(ctx context.Context, strange *[]string) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		first, last := true, uint64(0)
		list := func(limit int) (n int, more bool) {
			for info, err := range j.Store.List(ctx, j.Prefix, backends.ListOptions{Limit: limit}) {
				if err != nil {
					yield(0, err)
					return n, false
				}
				n++
				seq, ok := parseSlot(strings.TrimPrefix(info.Key, j.Prefix))
				switch {
				case !ok:
					if !slices.Contains(*strange, info.Key) && len(*strange) < maxStrange {
						*strange = append(*strange, info.Key)
					}
					continue
				case limit == 0 && !first && seq >= last:
					continue // seen on the page, or written since
				case !first && seq >= last:
					yield(0, fmt.Errorf("%w: the listing of %s is out of order", ErrUnverifiable, j.Prefix))
					return n, false
				}
				first, last = false, seq
				if !yield(seq, nil) {
					return n, false
				}
			}
			return n, true
		}
		if n, more := list(page); more && n >= page {
			list(0)
		}
	}
}

// candidate reads the object in a slot above have, as far down as it takes to
// connect it. It returns the entries up to the slot's, or says why the object is
// junk, or an error that ends the reading.
func (j *Journal) candidate(ctx context.Context, have []*entry.Entry, seq uint64) ([]*entry.Entry, *Junk, error) {
	junk := &Junk{Seq: seq, Key: j.key(seq)}
	tail, sum, err := j.object(ctx, seq, &Log{Entries: have})
	junk.SHA256 = sum
	if IsJunk(err) {
		junk.Why = err
		return nil, junk, nil
	}
	if err != nil {
		return nil, nil, err
	}
	junk.newest = tail[len(tail)-1]
	entries, err := j.connect(ctx, have, tail)
	before := have
	switch {
	case err == nil:
		before = entries[:len(entries)-1]
	case !errors.Is(err, ErrUnverifiable) && !errors.Is(err, ErrRolledBack):
		return nil, nil, err
	}
	signed := j.check(ctx, before, junk.newest)
	switch {
	case signed != nil && !IsJunk(signed):
		return nil, nil, fmt.Errorf("checking %s: %w", junk.Key, signed)
	case signed == nil && err == nil:
		return entries, nil, nil
	case signed != nil && err == nil:
		junk.Why = signed
		return nil, junk, nil
	}
	junk.Why, junk.single = err, len(tail) == 1 && errors.Is(err, errLink)
	if signed == nil && !junk.single {
		return nil, nil, err // a member has signed it, so something below is damaged, missing or hidden
	}
	return nil, junk, nil
}

func (j *Journal) check(ctx context.Context, before []*entry.Entry, e *entry.Entry) error {
	if j.Check == nil {
		return nil
	}
	return j.Check(ctx, before, e)
}

// settle decides what junk above the head means.
func (j *Journal) settle(ctx context.Context, log *Log) (*Log, error) {
	next := log.next()
	for _, junk := range log.Junk {
		if junk.newest == nil || junk.single && junk.Seq == next {
			continue
		}
		// Who may sign was perhaps not known when it was read.
		err := j.check(ctx, log.Entries, junk.newest)
		switch {
		case err == nil && errors.Is(junk.Why, ErrRolledBack):
			return nil, junk.Why
		case err == nil:
			return nil, fmt.Errorf("%w: a member has signed the entry in %s, which does not connect: %w", ErrUnverifiable, junk.Key, junk.Why)
		case !IsJunk(err):
			return nil, fmt.Errorf("checking %s: %w", junk.Key, err)
		}
	}
	for _, junk := range log.Junk {
		if junk.Seq == next && (len(log.Entries) > 0 || j.ID != entry.VaultJournal) {
			return log, fmt.Errorf("%w: %s (sha256 %s): %w", ErrJunk, junk.Key, junk.SHA256, junk.Why)
		}
	}
	if len(log.Entries) == 0 {
		if n := len(log.Junk); n > 0 && j.ID == entry.VaultJournal {
			return nil, fmt.Errorf("%w: no object under %s: %w", ErrUnverifiable, j.Prefix, log.Junk[n-1].Why)
		}
		return log, fmt.Errorf("%s: %w", j.Prefix, ErrEmpty)
	}
	return log, nil
}

// errLink marks an object that is sound in itself and does not follow the one below.
var errLink = errors.New("it does not follow the object below")

// connect prepends to tail what lies between have and it, and checks every link.
// Errors: ErrUnverifiable, ErrRolledBack, those of the store and of Open.
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
		older, _, err := j.object(ctx, low-1, &Log{Entries: have})
		if IsJunk(err) {
			return nil, fmt.Errorf("%w: %s: %w", ErrUnverifiable, j.key(low-1), err)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, older)
	}
	out := have[:len(have):len(have)]
	genesis := j.Genesis
	for _, part := range slices.Backward(parts) {
		for i, e := range part {
			if len(out) > 0 && e.Seq <= out[len(out)-1].Seq {
				if known := (&Log{Entries: out}).At(e.Seq); known == nil || known.Hash != e.Hash {
					return nil, fmt.Errorf("%w: %s shows another entry %d than this client has read", ErrRolledBack, j.key(part[len(part)-1].Seq), e.Seq)
				}
				continue
			}
			var prev *entry.Entry
			if len(out) > 0 {
				prev = out[len(out)-1]
				if genesis.IsZero() && j.ID == entry.VaultJournal {
					genesis = out[0].Hash
				}
			}
			if err := follows(e, prev, genesis, j.ID); err != nil {
				kind := ErrUnverifiable
				if len(have) > 0 && prev.Seq == last {
					kind = ErrRolledBack
				}
				if i == 0 {
					err = fmt.Errorf("%w: %w", errLink, err)
				}
				return nil, fmt.Errorf("%w: %s: %w", kind, j.key(e.Seq), err)
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// impliedGenesis takes the vault's name from an object of its journal, for a
// reader who pins none.
func impliedGenesis(plain []byte) canonical.Digest {
	e, err := firstEntry(plain)
	if err != nil {
		return canonical.Digest{}
	}
	if e.Seq == 0 {
		return e.Hash
	}
	return e.Genesis
}
