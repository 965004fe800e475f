package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Artefact is the ledger of one artefact's journal. It is not safe for
// concurrent use; concurrent users each take their own.
type Artefact struct {
	ID      canonical.Digest
	vault   *Vault
	journal journal.Journal
	log     *journal.Log // what is folded
	state   *state.Artefact
	ctx     context.Context  // of the present call, for what state and journal call back
	learned bool             // this call has looked for newer metadata identities
	uncut   canonical.Digest // key that registered the artefact, while nothing has ended it
}

// Artefact returns the ledger of the artefact with this id. Nothing is read yet.
func (v *Vault) Artefact(id canonical.Digest) *Artefact {
	a := &Artefact{ID: id, vault: v}
	a.journal = journal.Journal{Store: v.Store, Prefix: ArtefactPrefix(id) + "log/", ID: id.String(), Genesis: v.State().Genesis, Stall: v.Stall,
		Open: a.open, Check: a.checkSigned}
	a.begin()
	return a
}

// begin starts the fold anew.
func (a *Artefact) begin() {
	a.log, a.uncut = nil, canonical.Digest{}
	a.state = state.NewArtefact(a.ID, a.vault.NameKey(), func(p entry.Position) (*state.Vault, error) { return a.vault.at(a.ctx, p) }, a.vault.Deviate)
	a.state.Severed = func(e *entry.Entry) (bool, error) { return a.severed(a.ctx, e) }
}

// ArtefactPrefix is where everything of an artefact stands.
func ArtefactPrefix(id canonical.Digest) string { return "a/" + id.String() + "/" }

// open is the journal's Open. A slot may be sealed to a metadata identity that
// is newer than what this client has read.
func (a *Artefact) open(sealed []byte) ([]byte, error) {
	plain, err := a.vault.meta.open(sealed)
	if errors.Is(err, seal.ErrNoMatch) && !a.learned {
		if err := a.vault.learn(a.ctx); err != nil {
			return nil, err
		}
		a.learned = true
		plain, err = a.vault.meta.open(sealed)
	}
	if err != nil {
		return nil, journal.Unverified(err)
	}
	return plain, nil
}

// checkSigned is the journal's Check: an entry says itself by which state of the
// vault its author is known.
func (a *Artefact) checkSigned(ctx context.Context, _ []*entry.Entry, e *entry.Entry) error {
	at, err := a.vault.at(ctx, e.Vault)
	if errors.Is(err, errNotInVault) {
		return journal.Unverified(err)
	}
	if err != nil {
		return err
	}
	if err := at.Verify(e); err != nil {
		return journal.Unverified(err)
	}
	return nil
}

// Fold brings the artefact up to date. A journal without entries gives
// journal.ErrEmpty and, so that it can be registered, the empty state. After
// another error what was folded stays, and Skip may be called if the error is
// journal.ErrJunk.
func (a *Artefact) Fold(ctx context.Context) (*state.Artefact, error) {
	a.ctx, a.learned = ctx, false
	if _, _, ended := a.vault.State().EndedKey(a.uncut); ended {
		if err := a.foldAgain(ctx); err != nil {
			return nil, err
		}
	}
	log, err := a.journal.Read(ctx, a.log)
	switch {
	case errors.Is(err, journal.ErrEmpty):
		return a.state, errors.Join(err, a.vault.checkEmpty(a.journal.ID))
	case log == nil:
		return nil, err
	}
	if foldErr := a.adopt(ctx, log); foldErr != nil {
		return nil, foldErr
	}
	if err != nil {
		return nil, a.vault.blockedNow(err, a.journal.ID, log)
	}
	if err := a.vault.recall(a.journal.ID, log); err != nil {
		return nil, err
	}
	return a.state, nil
}

// foldAgain folds what was read once more, now that the key has ended which
// registered the artefact: whether that counts is to be asked of the cut. What was
// read stays read: only a continuation of it is ever accepted.
func (a *Artefact) foldAgain(ctx context.Context) error {
	log, key := a.log, a.uncut
	a.begin()
	if log == nil {
		return nil
	}
	err := a.adopt(ctx, log)
	if err != nil {
		a.log, a.uncut = log, key // the next call tries again
	}
	return err
}

// adopt folds log. What was folded before stays, also if this fails.
func (a *Artefact) adopt(ctx context.Context, log *journal.Log) error {
	from := 0
	if a.log != nil {
		from = len(a.log.Entries)
	}
	for i, e := range log.Entries[from:] {
		prev := (*entry.Entry)(nil)
		if i += from; i > 0 {
			prev = log.Entries[i-1]
		}
		err := a.checkSkipped(ctx, prev, e)
		if err == nil {
			_, err = a.state.Apply(e)
		}
		if err != nil {
			if a.log = nil; i > 0 {
				a.log = log.Before(e.Seq)
			}
			return fmt.Errorf("%s%s: %w", a.journal.Prefix, journal.Slot(e.Seq), err)
		}
	}
	a.log = log
	return nil
}

func (a *Artefact) checkSkipped(ctx context.Context, prev, e *entry.Entry) error {
	return checkSkipped(ctx, &a.journal, prev, e, func(passed *entry.Entry) error { return a.checkSigned(ctx, nil, passed) })
}

// State returns what Fold last returned.
func (a *Artefact) State() *state.Artefact { return a.state }

// Log returns what was read of the journal, or nil.
func (a *Artefact) Log() *journal.Log { return a.log }

// Append writes an entry right after the head that was folded. Errors:
// state.ErrNotPermitted before anything is sent; journal.ErrLost if somebody was
// faster: Fold and decide again; a *state.Void if the entry stands but does not
// count.
func (a *Artefact) Append(ctx context.Context, kind string, body any, op canonical.ID) error {
	return a.append(ctx, kind, body, op, 0)
}

// append passes over so many slots.
func (a *Artefact) append(ctx context.Context, kind string, body any, op canonical.ID, over int) error {
	a.ctx, a.learned = ctx, false
	v := a.vault.State()
	h := entry.Header{Kind: kind, Critical: state.Critical(kind), Format: entry.Format, Genesis: v.Genesis,
		Journal: a.journal.ID, Seq: uint64(over), Vault: v.Head, Author: a.vault.Author(), Time: a.vault.time(v.Time), Op: op}
	log, prev := a.log, (*entry.Entry)(nil)
	if log == nil {
		log = &journal.Log{}
	}
	if n := len(log.Entries); n > 0 {
		prev = log.Entries[n-1]
		h.Seq, h.Prev, h.Time = prev.Seq+1+uint64(over), prev.Hash, a.vault.time(a.state.Time)
	}
	name := a.state.Name
	if r, ok := body.(state.Register); ok {
		name = r.Name
	}
	if err := v.May(h.Author, kind, name, h.Time); err != nil {
		return err
	}
	e, err := entry.Sign(ctx, h, body, a.vault.Signer)
	if err != nil {
		return err
	}
	if err := a.checkSkipped(ctx, prev, e); err != nil {
		return err
	}
	appended, err := a.journal.Append(ctx, log, e, func(plain []byte) ([]byte, error) {
		return a.vault.Cipher.Seal(plain, v.CurrentMetadata().Recipient)
	})
	if err != nil {
		return fmt.Errorf("%s entry: %w", kind, err)
	}
	voids := len(a.state.Voids)
	if err := a.adopt(ctx, appended); err != nil {
		return err
	}
	a.vault.remember(a.journal.ID, appended)
	if len(a.state.Voids) > voids {
		return &a.state.Voids[voids]
	}
	return nil
}
