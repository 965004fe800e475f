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
	states  []*state.Vault // one for each entry of log
	voids   []state.Void
}

// Open reads a vault. genesis is zero where the caller pins none; whoever pins
// one gets that vault or an error wrapping journal.ErrRolledBack.
//
// Errors: journal.ErrEmpty if there is no vault; ErrNoAccess; and those of
// journal.Read and the fold. If some of the journal could be read, the ledger is
// returned beside the error: it is good for Skip, and for nothing else.
func Open(ctx context.Context, s *Session, genesis canonical.Digest) (*Vault, error) {
	v := &Vault{Session: s, meta: &metadata{session: s}}
	v.journal = journal.Journal{Store: s.Store, Prefix: "log/", ID: entry.VaultJournal, Genesis: genesis, Stall: s.Stall,
		Open: func(sealed []byte) ([]byte, error) { return v.meta.open(ctx, sealed) }}
	err := v.Refresh(ctx)
	if err != nil && len(v.states) == 0 {
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
	v.journal.Open = func(sealed []byte) ([]byte, error) { return v.meta.open(ctx, sealed) }
	log, err := v.journal.Read(ctx, v.log)
	if errors.Is(err, journal.ErrEmpty) {
		return errors.Join(err, v.checkEmpty(entry.VaultJournal))
	}
	if log != nil {
		if foldErr := v.adopt(ctx, log); foldErr != nil {
			return foldErr
		}
	}
	if err != nil {
		return err
	}
	if err := v.recall(entry.VaultJournal, log); err != nil {
		return err
	}
	return v.meta.bind(v.current().Metadata)
}

// adopt folds log. What was folded before stays, also if this fails.
func (v *Vault) adopt(ctx context.Context, log *journal.Log) error {
	if len(log.Entries) == 0 {
		return nil
	}
	f := (*vaultFolder)(v)
	first := log.Entries[0]
	if v.journal.Genesis.IsZero() {
		v.journal.Genesis = first.Hash
	} else if first.Hash != v.journal.Genesis {
		return fmt.Errorf("%w: this vault's genesis is %s, not %s", journal.ErrRolledBack, first.Hash, v.journal.Genesis)
	}
	err := advance(ctx, &v.journal, log, f)
	v.log = log
	if h := f.head(); err != nil {
		if h == nil {
			v.log = nil
		} else {
			v.log = log.Before(h.Seq + 1)
		}
	}
	return err
}

type vaultFolder Vault

func (f *vaultFolder) head() *entry.Entry {
	if len(f.states) == 0 {
		return nil
	}
	return f.headEntry()
}

// headEntry finds the entry of the newest state in whatever log was read last.
func (f *vaultFolder) headEntry() *entry.Entry {
	h := f.states[len(f.states)-1].Head
	return &entry.Entry{Header: entry.Header{Seq: h.Seq}, Hash: h.Hash}
}

func (f *vaultFolder) apply(e *entry.Entry) error {
	if len(f.states) == 0 {
		s, err := state.NewVault(e)
		if err != nil {
			return err
		}
		f.states = append(f.states, s)
		return nil
	}
	next, void, err := f.states[len(f.states)-1].Apply(e)
	if err != nil {
		return err
	}
	if void != nil {
		f.voids = append(f.voids, *void)
	}
	f.states = append(f.states, next)
	return nil
}

func (f *vaultFolder) verify(e *entry.Entry) error {
	if len(f.states) == 0 {
		_, err := state.NewVault(e)
		return err
	}
	return f.states[len(f.states)-1].Verify(e)
}

func (v *Vault) current() *state.Vault { return v.states[len(v.states)-1] }

// State returns the vault as of the newest entry read.
func (v *Vault) State() *state.Vault {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.current()
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
	return v.voids[:len(v.voids):len(v.voids)]
}

// NameKey returns the key under which names become artefact ids.
func (v *Vault) NameKey() [32]byte { return v.meta.nameKey() }

// OpenMetadata opens an object that is sealed to a metadata identity of the vault.
func (v *Vault) OpenMetadata(ctx context.Context, sealed []byte) ([]byte, error) {
	return v.meta.open(ctx, sealed)
}

// SealMetadata seals to the newest metadata identity.
func (v *Vault) SealMetadata(plain []byte) ([]byte, error) {
	return v.Cipher.Seal(plain, v.State().CurrentMetadata().Recipient)
}

// at returns the vault as of a position that an entry cites, reading on if the
// position is past what was read.
func (v *Vault) at(ctx context.Context, p entry.Position) (*state.Vault, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p.Seq > v.current().Head.Seq {
		if err := v.refresh(ctx); err != nil {
			return nil, err
		}
	}
	i, found := slices.BinarySearchFunc(v.states, p.Seq, func(s *state.Vault, seq uint64) int { return cmp.Compare(s.Head.Seq, seq) })
	if found && v.states[i].Head == p {
		return v.states[i], nil
	}
	return nil, fmt.Errorf("%w: the vault's journal has no entry %s", state.ErrUnverifiable, p)
}

// Append writes an entry right after the head that was read. Errors:
// state.ErrNotPermitted before anything is sent; journal.ErrLost if somebody
// was faster: Refresh and decide again; a *state.Void if the entry stands but
// does not count.
func (v *Vault) Append(ctx context.Context, kind string, body any, op canonical.ID, cosigners ...dsse.Signer) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	cur := v.current()
	h := entry.Header{Kind: kind, Critical: state.Critical(kind), Format: entry.Format, Genesis: v.journal.Genesis,
		Journal: entry.VaultJournal, Seq: cur.Head.Seq + 1, Prev: cur.Head.Hash, Vault: cur.Head, Author: v.Author(),
		Time: v.time(cur.Time), Op: op}
	if err := cur.May(h.Author, kind, "", h.Time); err != nil {
		return err
	}
	e, err := entry.Sign(ctx, h, body, append([]dsse.Signer{v.Signer}, cosigners...)...)
	if err != nil {
		return err
	}
	log, err := v.journal.Append(ctx, v.log, e, func(plain []byte) ([]byte, error) {
		return v.Cipher.Seal(plain, cur.CurrentMetadata().Recipient)
	})
	if err != nil {
		return err
	}
	voids := len(v.voids)
	if err := v.adopt(ctx, log); err != nil {
		return err
	}
	if v.Memory != nil {
		v.Memory.Remember(entry.VaultJournal, log.Head())
	}
	if len(v.voids) > voids {
		return &v.voids[voids]
	}
	return nil
}
