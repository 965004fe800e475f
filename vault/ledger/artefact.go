package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
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
	log     *journal.Log
	state   *state.Artefact
	last    *entry.Entry
	ctx     context.Context
}

// Artefact returns the ledger of the artefact with this id. Nothing is read yet.
func (v *Vault) Artefact(id canonical.Digest) *Artefact {
	a := &Artefact{ID: id, vault: v}
	a.journal = journal.Journal{Store: v.Store, Prefix: ArtefactPrefix(id) + "log/", ID: id.String(), Genesis: v.State().Genesis, Stall: v.Stall,
		Open: func(sealed []byte) ([]byte, error) { return v.meta.open(a.ctx, sealed) }}
	a.reset()
	return a
}

// ArtefactPrefix is where everything of an artefact stands.
func ArtefactPrefix(id canonical.Digest) string { return "a/" + id.String() + "/" }

func (a *Artefact) reset() {
	a.state = state.NewArtefact(a.ID, a.vault.NameKey(), func(p entry.Position) (*state.Vault, error) { return a.vault.at(a.ctx, p) }, a.vault.Deviate)
	a.log, a.last = nil, nil
}

// Fold brings the artefact up to date. A journal without entries gives
// journal.ErrEmpty and, so that it can be registered, the empty state.
func (a *Artefact) Fold(ctx context.Context) (*state.Artefact, error) {
	a.ctx = ctx
	log, err := a.journal.Read(ctx, a.log)
	if errors.Is(err, journal.ErrEmpty) {
		return a.state, errors.Join(err, a.vault.checkEmpty(a.journal.ID))
	}
	if log != nil {
		if foldErr := a.adopt(ctx, log); foldErr != nil {
			return nil, foldErr
		}
	}
	if err != nil {
		return nil, err
	}
	if err := a.vault.recall(a.journal.ID, log); err != nil {
		return nil, err
	}
	return a.state, nil
}

func (a *Artefact) adopt(ctx context.Context, log *journal.Log) error {
	err := advance(ctx, &a.journal, log, (*artefactFolder)(a))
	a.log = log
	if err != nil {
		if a.last == nil {
			a.log = nil
		} else {
			a.log = log.Before(a.last.Seq + 1)
		}
	}
	return err
}

type artefactFolder Artefact

func (f *artefactFolder) head() *entry.Entry { return f.last }

func (f *artefactFolder) apply(e *entry.Entry) error {
	if _, err := f.state.Apply(e); err != nil {
		return err
	}
	f.last = e
	return nil
}

func (f *artefactFolder) verify(e *entry.Entry) error {
	at := f.state.Vault
	if at == nil || e.Vault.Seq > at.Head.Seq {
		v, err := f.vault.at(f.ctx, e.Vault)
		if err != nil {
			return err
		}
		at = v
	}
	return at.Verify(e)
}

// State returns what Fold last returned.
func (a *Artefact) State() *state.Artefact { return a.state }

// Log returns what was read of the journal, or nil.
func (a *Artefact) Log() *journal.Log { return a.log }

// Append writes an entry right after the head that was folded; errors as Vault.Append.
func (a *Artefact) Append(ctx context.Context, kind string, body any, op canonical.ID) error {
	a.ctx = ctx
	v := a.vault.State()
	h := entry.Header{Kind: kind, Critical: state.Critical(kind), Format: entry.Format, Genesis: v.Genesis,
		Journal: a.journal.ID, Vault: v.Head, Author: a.vault.Author(), Time: a.vault.time(v.Time), Op: op}
	log := a.log
	if log == nil {
		log = &journal.Log{}
	}
	if len(log.Entries) > 0 {
		h.Seq, h.Prev, h.Time = log.Head().Seq+1, log.Head().Hash, a.vault.time(a.state.Time)
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
	if a.vault.Memory != nil {
		a.vault.Memory.Remember(a.journal.ID, appended.Head())
	}
	if len(a.state.Voids) > voids {
		return &a.state.Voids[voids]
	}
	return nil
}
