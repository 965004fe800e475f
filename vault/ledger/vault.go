package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Vault is the ledger of a vault's own journal. Safe for concurrent use.
type Vault struct {
	*Session
	meta *metadata

	mu      sync.Mutex
	journal journal.Journal
	log     *journal.Log
	fold    vaultFold // of log
	trial   vaultFold // what the last Check folded, which is mostly what comes next
}

// Open reads a vault. genesis is zero where the caller pins none; whoever pins
// one gets that vault or an error wrapping journal.ErrRolledBack.
//
// Errors: journal.ErrEmpty if there is no vault; ErrNoAccess; and those of
// journal.Read and the fold. If some of the journal could be read, the ledger is
// returned beside the error: it is good for Skip, and for nothing else.
func Open(ctx context.Context, s *Session, genesis canonical.Digest) (*Vault, error) {
	v := &Vault{Session: s, meta: &metadata{session: s}}
	v.journal = journal.Journal{Store: s.Store, Prefix: "log/", ID: entry.VaultJournal, Genesis: genesis, Stall: s.Stall}
	err := v.Refresh(ctx)
	if err != nil && v.fold.empty() {
		return nil, err
	}
	return v, err
}

// Refresh reads what was appended since.
func (v *Vault) Refresh(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.refresh(ctx)
}

func (v *Vault) refresh(ctx context.Context) error {
	v.meta.begin()
	err := v.readOn(ctx)
	if err != nil {
		v.meta.failed()
	}
	return err
}

func (v *Vault) readOn(ctx context.Context) error {
	v.reading(ctx)
	log, err := v.journal.Read(ctx, v.log)
	if errors.Is(err, journal.ErrEmpty) {
		return errors.Join(err, v.checkEmpty(entry.VaultJournal))
	}
	if err != nil && v.fold.empty() {
		if other := v.otherVault(ctx); other != nil {
			return other
		}
	}
	if log == nil {
		return err
	}
	if foldErr := v.adopt(ctx, log); foldErr != nil {
		return foldErr
	}
	if settleErr := v.meta.settle(ctx, v.fold.last().Metadata, v.isMember()); settleErr != nil {
		if rolledBack := v.check(entry.VaultJournal, log); rolledBack != nil {
			return fmt.Errorf("%w; and so: %v", rolledBack, settleErr)
		}
		return errors.Join(settleErr, err)
	}
	if err != nil {
		return v.blocked(err, entry.VaultJournal, log)
	}
	return v.recall(entry.VaultJournal, log)
}

// reading lends the journal a context.
func (v *Vault) reading(ctx context.Context) {
	v.journal.Open = func(sealed []byte) ([]byte, error) { return v.meta.openSlot(ctx, sealed) }
	v.journal.Check = v.checkSigned
}

// otherVault says that another vault stands there than the one that is pinned.
func (v *Vault) otherVault(ctx context.Context) error {
	if v.journal.Genesis.IsZero() {
		return nil
	}
	there, _, err := v.journal.Object(ctx, 0)
	if err != nil || there[0].Hash == v.journal.Genesis {
		return nil
	}
	return fmt.Errorf("%w: this vault's genesis is %s, not %s", journal.ErrRolledBack, there[0].Hash, v.journal.Genesis)
}

// isMember reports whether this client's key is that of a member who was not removed.
func (v *Vault) isMember() bool {
	m := v.fold.last().ByKey(v.Author())
	return m != nil && !m.Removed
}

// shutOut turns junk that does not open for somebody who was removed into what it means.
func (v *Vault) shutOut(err error) error {
	if errors.Is(err, journal.ErrJunk) && errors.Is(err, seal.ErrNoMatch) && !v.isMember() {
		return fmt.Errorf("%w: this identity's membership has ended: %v", ErrNoAccess, err)
	}
	return err
}

// blocked says what err, with which a journal was read as far as log, means to a
// client with memory: junk in the place of an entry that it knows is that entry,
// spoilt, and nothing to pass over.
func (v *Vault) blocked(err error, id string, log *journal.Log) error {
	known := v.check(id, log)
	if errors.Is(known, journal.ErrUnverifiable) {
		return known
	}
	return errors.Join(v.shutOut(err), known)
}

// blockedNow is blocked for those who do not hold mu.
func (v *Vault) blockedNow(err error, id string, log *journal.Log) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.blocked(err, id, log)
}

// checkSigned is the journal's Check. Who may sign is known from the entries
// before, which it folds for that.
func (v *Vault) checkSigned(ctx context.Context, before []*entry.Entry, e *entry.Entry) error {
	f, err := v.extend(ctx, before)
	v.trial = f
	switch {
	case errors.Is(err, state.ErrUnverifiable):
		return journal.Unverified(err)
	case err != nil:
		return err
	case f.empty() && e.Seq == 0:
		_, err = state.NewVault(e)
	case f.empty():
		err = fmt.Errorf("%w: nothing below entry %d says who may sign it", state.ErrUnverifiable, e.Seq)
	default:
		err = f.last().Verify(e)
	}
	if err != nil {
		return journal.Unverified(err)
	}
	return nil
}

// adopt folds log. What was folded before stays, also if this fails.
func (v *Vault) adopt(ctx context.Context, log *journal.Log) error {
	if len(log.Entries) == 0 {
		return nil
	}
	first := log.Entries[0]
	if v.journal.Genesis.IsZero() {
		v.journal.Genesis = first.Hash
	} else if first.Hash != v.journal.Genesis {
		return fmt.Errorf("%w: this vault's genesis is %s, not %s", journal.ErrRolledBack, first.Hash, v.journal.Genesis)
	}
	f, err := v.extend(ctx, log.Entries)
	v.fold, v.trial = f, vaultFold{}
	switch {
	case err == nil:
		v.log = log
	case f.empty():
		v.log = nil
	default:
		v.log = log.Before(f.last().Head.Seq + 1)
	}
	return err
}

// extend folds entries that continue, or repeat, what is folded already. With an
// error it returns the fold up to the entry that caused it.
func (v *Vault) extend(ctx context.Context, entries []*entry.Entry) (vaultFold, error) {
	f := v.fold
	if t := v.trial; len(t.states) > len(f.states) && len(t.states) <= len(entries) && entries[len(t.states)-1].Hash == t.last().Head.Hash {
		f = t
	}
	for i := len(f.states); i < len(entries); i++ {
		e, prev := entries[i], (*entry.Entry)(nil)
		if i > 0 {
			prev = entries[i-1]
		}
		err := checkSkipped(ctx, &v.journal, prev, e, func(passed *entry.Entry) error {
			if f.empty() {
				return nil
			}
			return f.last().Verify(passed)
		})
		if err == nil {
			f, err = f.next(e)
		}
		if err != nil {
			return f, fmt.Errorf("%s%s: %w", v.journal.Prefix, journal.Slot(e.Seq), err)
		}
	}
	return f, nil
}

// vaultFold is the fold of the first entries of the vault's journal. It is immutable.
type vaultFold struct {
	states []*state.Vault // one for each entry
	voids  []state.Void
}

func (f vaultFold) empty() bool { return len(f.states) == 0 }

func (f vaultFold) last() *state.Vault { return f.states[len(f.states)-1] }

// next returns the fold with e; with an error it returns f.
func (f vaultFold) next(e *entry.Entry) (vaultFold, error) {
	if f.empty() {
		s, err := state.NewVault(e)
		if err != nil {
			return f, err
		}
		return vaultFold{states: []*state.Vault{s}}, nil
	}
	s, void, err := f.last().Apply(e)
	if err != nil {
		return f, err
	}
	f.states = append(slices.Clip(f.states), s)
	if void != nil {
		f.voids = append(slices.Clip(f.voids), *void)
	}
	return f, nil
}

// State returns the vault as of the newest entry read.
func (v *Vault) State() *state.Vault {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fold.last()
}

// Log returns what was read of the journal.
func (v *Vault) Log() *journal.Log {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log
}

// Voids returns the entries that do not count.
func (v *Vault) Voids() []state.Void {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clip(v.fold.voids)
}

// NameKey returns the key under which names become artefact ids.
func (v *Vault) NameKey() [32]byte { return v.meta.nameKey() }

// OpenMetadata opens an object that is sealed to a metadata identity of the
// vault. If none that this client knows opens it, it reads the vault's journal
// anew. Errors: those of seal.Key; those of Refresh.
func (v *Vault) OpenMetadata(ctx context.Context, sealed []byte) ([]byte, error) {
	plain, err := v.meta.open(sealed)
	if !errors.Is(err, seal.ErrNoMatch) {
		return plain, err
	}
	if err := v.learn(ctx); err != nil {
		return nil, err
	}
	return v.meta.open(sealed)
}

// learn looks for metadata identities that this client does not have.
func (v *Vault) learn(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.refresh(ctx); err != nil {
		return fmt.Errorf("looking for a newer metadata identity: %w", err)
	}
	v.meta.mu.Lock()
	defer v.meta.mu.Unlock()
	return v.meta.bindAll(ctx, v.fold.last().Metadata)
}

// SealMetadata seals to the newest metadata identity.
func (v *Vault) SealMetadata(plain []byte) ([]byte, error) {
	return v.Cipher.Seal(plain, v.State().CurrentMetadata().Recipient)
}

// errNotInVault marks a vault head that does not stand in the vault's journal.
var errNotInVault = fmt.Errorf("the vault's journal has no such entry: %w", state.ErrUnverifiable)

// at returns the vault as of a position that an entry cites, reading on if the
// position is past what was read. Errors: errNotInVault; those of Refresh.
func (v *Vault) at(ctx context.Context, p entry.Position) (*state.Vault, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p.Seq > v.fold.last().Head.Seq {
		if err := v.refresh(ctx); err != nil {
			return nil, err
		}
	}
	i, found := slices.BinarySearchFunc(v.fold.states, p.Seq, func(s *state.Vault, seq uint64) int { return cmp.Compare(s.Head.Seq, seq) })
	if found && v.fold.states[i].Head == p {
		return v.fold.states[i], nil
	}
	return nil, fmt.Errorf("%s: %w", p, errNotInVault)
}

// Append writes an entry right after the head that was read. Before anything is
// sent it returns an error wrapping state.ErrNotPermitted, or, where the entry
// would not count, the *state.Void. journal.ErrLost: somebody was faster;
// Refresh and decide again.
func (v *Vault) Append(ctx context.Context, kind string, body any, op canonical.ID, cosigners ...dsse.Signer) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.append(ctx, kind, body, op, 0, cosigners...)
}

// append passes over so many slots.
func (v *Vault) append(ctx context.Context, kind string, body any, op canonical.ID, over int, cosigners ...dsse.Signer) error {
	e, err := v.sign(ctx, kind, body, op, over, cosigners...)
	if err != nil {
		return err
	}
	return v.appendEntry(ctx, e)
}

// sign makes the entry that follows the head, or passes over so many slots.
func (v *Vault) sign(ctx context.Context, kind string, body any, op canonical.ID, over int, cosigners ...dsse.Signer) (*entry.Entry, error) {
	cur := v.fold.last()
	h := entry.Header{Kind: kind, Critical: state.Critical(kind), Format: entry.Format, Genesis: v.journal.Genesis,
		Journal: entry.VaultJournal, Seq: cur.Head.Seq + 1 + uint64(over), Prev: cur.Head.Hash, Vault: cur.Head, Author: v.Author(),
		Time: v.time(cur.Time), Op: op}
	if err := cur.May(h.Author, kind, "", h.Time); err != nil {
		return nil, err
	}
	return entry.Sign(ctx, h, body, append([]dsse.Signer{v.Signer}, cosigners...)...)
}

// appendEntry writes an entry that follows the head, if it counts.
func (v *Vault) appendEntry(ctx context.Context, e *entry.Entry) error {
	cur := v.fold.last()
	v.reading(ctx)
	f, err := v.extend(ctx, append(slices.Clip(v.log.Entries), e))
	if err != nil {
		return err
	}
	if n := len(f.voids); n > len(v.fold.voids) {
		return &f.voids[n-1]
	}
	log, err := v.journal.Append(ctx, v.log, e, func(plain []byte) ([]byte, error) {
		return v.Cipher.Seal(plain, cur.CurrentMetadata().Recipient)
	})
	if err != nil {
		return err
	}
	v.log, v.fold = log, f
	v.remember(entry.VaultJournal, log)
	return nil
}
