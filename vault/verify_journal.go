package vault

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault/journal"
)

// verifySlots reads the object in every slot of a journal, not only those that
// a reader of the head needs, and compares every copy with the log.
func (r *verification) verifySlots(ctx context.Context, j *journal.Journal, log *journal.Log, name string) error {
	good := map[uint64]bool{}
	for _, e := range log.Entries {
		good[e.Seq] = true
	}
	skipped := map[uint64]bool{}
	for _, e := range log.Entries {
		slots, err := e.Skipped()
		if err != nil {
			return err
		}
		for _, s := range slots {
			skipped[s.Seq] = true
		}
	}
	for _, junk := range log.Junk {
		r.account(junk.Key)
		if junk.Seq != log.Head().Seq+1 {
			r.Unknown = append(r.Unknown, junk.Key) // no reader minds it, and it may be erased
		}
	}
	for seq := range log.Head().Seq + 1 {
		key := j.Prefix + journal.Slot(seq)
		r.account(key)
		if skipped[seq] {
			continue
		}
		entries, _, err := j.Object(ctx, seq)
		if err != nil {
			if !journal.IsJunk(err) && backends.KindOf(err) != 0 {
				return err
			}
			r.problem(Problem{Object: key, Artefact: name, Why: err.Error()})
			continue
		}
		r.Objects++
		for _, e := range entries {
			if known := log.At(e.Seq); known == nil || known.Hash != e.Hash {
				r.problem(Problem{Object: key, Artefact: name, Why: fmt.Sprintf("its copy of entry %d is another than the journal's", e.Seq)})
				break
			}
		}
	}
	return ctx.Err()
}
