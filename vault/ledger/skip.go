package ledger

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

// checkSlots refuses slots that are not, one by one, those right above head.
func checkSlots(head entry.Position, slots []entry.SkippedSlot) error {
	if len(slots) == 0 || len(slots) > entry.MaxSkipped {
		return fmt.Errorf("%d slots: a skip entry names 1 to %d", len(slots), entry.MaxSkipped)
	}
	for i, s := range slots {
		if want := head.Seq + 1 + uint64(i); s.Seq != want {
			return fmt.Errorf("slot %d where %d is next after the last good entry", s.Seq, want)
		}
	}
	return nil
}

// Skip passes over the unverifiable objects right above the head, see
// vault/FORMAT.md §4.5. The ledger may be one that Open returned with an error.
func (v *Vault) Skip(ctx context.Context, slots []entry.SkippedSlot, reason string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	cur := v.current()
	if err := checkSlots(cur.Head, slots); err != nil {
		return err
	}
	h := entry.Header{Kind: entry.KindSkip, Critical: true, Format: entry.Format, Genesis: v.journal.Genesis, Journal: entry.VaultJournal,
		Seq: cur.Head.Seq + 1 + uint64(len(slots)), Prev: cur.Head.Hash, Vault: cur.Head, Author: v.Author(), Time: v.time(cur.Time), Op: canonical.NewID()}
	if err := cur.May(h.Author, h.Kind, "", h.Time); err != nil {
		return err
	}
	e, err := entry.Sign(ctx, h, entry.Skip{Slots: slots, Reason: reason}, v.Signer)
	if err != nil {
		return err
	}
	log, err := v.journal.Append(ctx, v.log, e, func(plain []byte) ([]byte, error) {
		return v.Cipher.Seal(plain, cur.CurrentMetadata().Recipient)
	})
	if err != nil {
		return err
	}
	return v.adopt(ctx, log)
}

// Skip passes over the unverifiable objects right above what Fold could read.
func (a *Artefact) Skip(ctx context.Context, slots []entry.SkippedSlot, reason string) error {
	a.ctx = ctx
	v := a.vault.State()
	log := a.log
	if log == nil {
		log = &journal.Log{}
	}
	h := entry.Header{Kind: entry.KindSkip, Critical: true, Format: entry.Format, Genesis: v.Genesis, Journal: a.journal.ID,
		Vault: v.Head, Author: a.vault.Author(), Time: a.vault.time(v.Time), Op: canonical.NewID()}
	if len(log.Entries) == 0 {
		if len(slots) == 0 || slots[0].Seq != 0 {
			return fmt.Errorf("the journal has no entry: slot 0 is next")
		}
		h.Seq = uint64(len(slots))
	} else {
		if err := checkSlots(log.Head(), slots); err != nil {
			return err
		}
		h.Seq, h.Prev, h.Time = log.Head().Seq+1+uint64(len(slots)), log.Head().Hash, a.vault.time(a.state.Time)
	}
	if err := v.May(h.Author, h.Kind, a.state.Name, h.Time); err != nil {
		return err
	}
	e, err := entry.Sign(ctx, h, entry.Skip{Slots: slots, Reason: reason}, a.vault.Signer)
	if err != nil {
		return err
	}
	appended, err := a.journal.Append(ctx, log, e, func(plain []byte) ([]byte, error) {
		return a.vault.Cipher.Seal(plain, v.CurrentMetadata().Recipient)
	})
	if err != nil {
		return err
	}
	if err := a.adopt(ctx, appended); err != nil {
		return err
	}
	if n := len(a.state.Voids); n > 0 && a.state.Voids[n-1].At == e.Position() {
		return &a.state.Voids[n-1]
	}
	return nil
}
