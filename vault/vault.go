// Package vault keeps model artefacts in storage that nobody has to trust:
// every byte is sealed before it leaves and verified before it is used, state is
// a fold over signed journals, and no server decides anything. FORMAT.md beside
// this file is normative for the bytes.
//
// A Vault is one client's view. Its methods may be called concurrently; each
// reads the journals it depends on anew.
package vault

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// Config is what a client brings to a vault.
type Config struct {
	Store    backends.Store
	Identity *identity.Identity
	// Keepers connects to the keepers this machine can reach. It is called when
	// a key is first needed, and never by what only reads journals, with the
	// plugins that the journal pins; with none for a vault that is being made. Of
	// several it returns those that it reaches, beside an error for the others.
	Keepers func(ctx context.Context, pinned []state.Plugin) ([]custody.Keeper, error)
	Genesis canonical.Digest // the vault this must be; zero: any
	Pins    []ledger.Pin
	// Witnesses are those whose cosignatures this client trusts, beside policy's.
	Witnesses []*checkpoint.Witness
	// MaxStaleness refuses to read content whose journal no witness has cosigned for so long; 0: as policy says.
	MaxStaleness time.Duration
	// MemoryFor returns what this machine remembers and keeps of a vault; nil, or nil results: nothing.
	MemoryFor func(genesis canonical.Digest) (ledger.Memory, Cache)
	Now       func() time.Time
	Stall     time.Duration // give up after so long without progress; 0: never
	Jobs      int           // concurrent transfers; 0: a default
	Progress  func(transfer.Progress)
	Tool      string      // name and version of this program, for certificates
	Host      string      // of this machine, for receipts; may be ""
	Warn      func(error) // is told what went wrong where it was managed without; nil: nobody is
}

// Vault is an open vault.
type Vault struct {
	config  Config
	session *ledger.Session
	ledger  *ledger.Vault
	cached  *cachedStore // nil without a cache
	memory  *recallingMemory
	vouched *vouched // nil: no checkpoint that a trusted witness has cosigned
	others  *keyring.Others

	keepersOnce sync.Once
	keepers     map[string]custody.Keeper
	keepersErr  error // there is none
	unreached   error // there are some, and not others
}

// Freshness says what vouches for it that the newest entries were not withheld.
const (
	FreshNone       = "none"
	FreshRemembered = "remembered"
	FreshPinned     = "pinned"
	FreshWitnessed  = "witnessed"
)

// Open opens a vault. Errors: ErrNoVault, ErrNoAccess, ErrRolledBack, ErrJunk,
// journal.ErrUnverifiable, and those of the store.
func Open(ctx context.Context, c Config) (*Vault, error) {
	v, err := open(ctx, c)
	if err == nil {
		err = v.findWitness(ctx)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// open is Open, but returns the vault beside an error if its journal could be
// read in part: for Skip.
func open(ctx context.Context, c Config) (*Vault, error) {
	v := &Vault{config: c}
	store := c.Store
	session := &ledger.Session{Store: store, Cipher: seal.Age{}, Self: seal.AsKey(c.Identity.Sealing()), Signer: c.Identity.Signing(),
		Now: c.Now, Stall: c.Stall, Pins: c.Pins}
	if c.MemoryFor != nil && !c.Genesis.IsZero() {
		memory, cache := c.MemoryFor(c.Genesis)
		if cache != nil {
			v.cached = newCachedStore(store, cache)
			session.Store, session.Cache = v.cached, cache
		}
		if memory != nil {
			v.memory = &recallingMemory{Memory: memory, knew: map[string]bool{}}
			session.Memory = v.memory
		}
	}
	l, err := ledger.Open(ctx, session, c.Genesis)
	if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, ErrRolledBack) {
		return nil, fmt.Errorf("%w: %w", ErrNoVault, err)
	}
	if errors.Is(err, ErrNoAccess) && v.memory != nil && v.memory.knows(entry.VaultJournal) {
		err = fmt.Errorf("%w: this client has read the vault before, and now: %v", journal.ErrUnverifiable, err)
	}
	if l == nil {
		return nil, err
	}
	v.session, v.ledger, v.others = session, l, &keyring.Others{Store: session.Store}
	if err != nil {
		return v, err
	}
	if v.memory == nil && c.MemoryFor != nil {
		if memory, _ := c.MemoryFor(l.State().Genesis); memory != nil {
			v.memory = &recallingMemory{Memory: memory, knew: map[string]bool{}}
			session.Memory = v.memory
			if err := l.Refresh(ctx); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// Genesis names the vault for ever.
func (v *Vault) Genesis() canonical.Digest { return v.ledger.State().Genesis }

// State returns the vault as of the newest entry read.
func (v *Vault) State() *state.Vault { return v.ledger.State() }

// Self returns the member whose identity this client holds, or nil.
func (v *Vault) Self() *state.Member { return v.ledger.State().ByKey(v.session.Author()) }

// Head returns the head of the vault's own journal.
func (v *Vault) Head() ledger.Pin {
	return ledger.Pin{Journal: entry.VaultJournal, Position: v.ledger.State().Head}
}

// Freshness says what vouches for the newest entries of the vault's own journal.
func (v *Vault) Freshness() string { return v.freshness(entry.VaultJournal) }

// keep lets the cache have what this command read, once it is done and everything verified.
func (v *Vault) keep() {
	if v.cached != nil {
		v.cached.keep()
	}
}

// artefactID returns the id of the artefact called name.
func (v *Vault) artefactID(name string) (canonical.Digest, error) {
	if err := state.CheckName(name); err != nil {
		return canonical.Digest{}, err
	}
	return state.ArtefactID(v.ledger.NameKey(), name), nil
}

// fold reads the journal of the artefact called name.
func (v *Vault) fold(ctx context.Context, name string) (*ledger.Artefact, *state.Artefact, error) {
	id, err := v.artefactID(name)
	if err != nil {
		return nil, nil, err
	}
	l := v.ledger.Artefact(id)
	a, err := l.Fold(ctx)
	if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, ErrRolledBack) {
		return l, a, fmt.Errorf("artefact %s: %w: %w", name, ErrNotFound, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("artefact %s: %w", name, err)
	}
	if a.Name == "" {
		return l, a, fmt.Errorf("artefact %s is not registered: %w", name, ErrNotFound)
	}
	return l, a, nil
}

// connect connects to the vault's keepers, by instance. Its error means that
// none is reached; of several those that are not are missing, and why stands in
// v.unreached.
func (v *Vault) connect(ctx context.Context) (map[string]custody.Keeper, error) {
	v.keepersOnce.Do(func() {
		if v.config.Keepers == nil {
			v.keepersErr = fmt.Errorf("no keeper is configured on this machine: %w", custody.ErrUnavailable)
			return
		}
		ks, err := v.config.Keepers(ctx, v.State().Plugins())
		reached := map[string]custody.Keeper{}
		for _, k := range ks {
			p, asked := k.Profile(ctx)
			if asked != nil {
				err = errors.Join(err, fmt.Errorf("asking a keeper who it is: %w", asked))
				continue
			}
			reached[p.Instance] = k
		}
		if len(reached) == 0 {
			v.keepersErr = err
			return
		}
		v.keepers, v.unreached = reached, err
		if err != nil {
			v.warn(fmt.Errorf("not every keeper is reached: %w", err))
		}
	})
	return v.keepers, v.keepersErr
}

func (v *Vault) warn(err error) {
	if v.config.Warn != nil {
		v.config.Warn(err)
	}
}

// freshness says what vouches for the newest entries of a journal.
func (v *Vault) freshness(id string) string {
	if v.witnessed(id) {
		return FreshWitnessed
	}
	for _, p := range v.config.Pins {
		if p.Journal == id {
			return FreshPinned
		}
	}
	if v.memory != nil && v.memory.did(id) {
		return FreshRemembered
	}
	return FreshNone
}

// recallingMemory notes which journals were remembered before this command.
type recallingMemory struct {
	ledger.Memory
	mu   sync.Mutex
	knew map[string]bool
}

func (m *recallingMemory) Head(id string) (entry.Position, bool) {
	p, ok := m.Memory.Head(id)
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, asked := m.knew[id]; !asked {
		m.knew[id] = ok
	}
	return p, ok
}

func (m *recallingMemory) knows(id string) bool {
	_, ok := m.Head(id)
	return ok
}

func (m *recallingMemory) did(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.knew[id]
}

// ParsePin reads a head as results print it: journal, number and hash, joined by '/'.
func ParsePin(s string) (ledger.Pin, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return ledger.Pin{}, fmt.Errorf("head %q: it has the form JOURNAL/NUMBER/HASH", s)
	}
	if parts[0] != entry.VaultJournal {
		if _, err := canonical.ParseDigest(parts[0]); err != nil {
			return ledger.Pin{}, fmt.Errorf("head %q: journal: %w", s, err)
		}
	}
	seq, err := strconv.ParseUint(parts[1], 10, 53)
	if err != nil {
		return ledger.Pin{}, fmt.Errorf("head %q: number: %w", s, err)
	}
	hash, err := canonical.ParseDigest(parts[2])
	if err != nil {
		return ledger.Pin{}, fmt.Errorf("head %q: hash: %w", s, err)
	}
	return ledger.Pin{Journal: parts[0], Position: entry.Position{Seq: seq, Hash: hash}}, nil
}
