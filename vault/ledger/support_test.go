package ledger_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// place is a bucket in memory with a vault in it, sealed with real age files.
type place struct {
	tb      testing.TB
	mem     *mem.Store
	people  map[string]*identity.Identity
	genesis *entry.Entry
	now     time.Time
}

var bg = context.Background()

// newPlace founds a vault: "alice" has every role.
func newPlace(tb testing.TB) *place {
	p := &place{tb: tb, people: map[string]*identity.Identity{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	p.mem = mem.New(mem.Options{Now: p.clock})
	meta, sealed, err := ledger.FirstMetadata(seal.Age{}, seal.AsKey(p.who("alice").Sealing()).Recipient())
	p.ok(err)
	p.store(ledger.MetadataKey(meta.MID), sealed)
	p.genesis, err = entry.Sign(bg, entry.Header{Kind: state.KindGenesis, Critical: true, Format: entry.Format, Journal: entry.VaultJournal,
		Author: p.session("alice").Author(), Time: entry.At(p.now), Op: canonical.NewID()},
		state.Genesis{Founder: p.spec("alice", state.Roles()...), Metadata: meta, Policy: state.Policy{Approvals: 1, AdminQuorum: 1},
			Custody: state.Custody{Mode: state.AnyOf, Keepers: []state.Keeper{{Instance: "k", Kind: "local"}}}}, p.who("alice").Signing())
	p.ok(err)
	p.slot("log/", []*entry.Entry{p.genesis}, meta.Recipient)
	return p
}

// clock is storage time and everybody's.
func (p *place) clock() time.Time { return p.now }

func (p *place) ok(err error) {
	p.tb.Helper()
	if err != nil {
		p.tb.Fatal(err)
	}
}

func (p *place) who(name string) *identity.Identity {
	if p.people[name] == nil {
		id, err := identity.New()
		p.ok(err)
		p.people[name] = id
	}
	return p.people[name]
}

func (p *place) spec(name string, roles ...string) state.MemberSpec {
	s := state.MemberSpec{Name: name, Key: p.who(name).Public().String()}
	for _, r := range roles {
		s.Roles = append(s.Roles, state.Grant{Role: r, Glob: "*"})
	}
	return s
}

func (p *place) session(name string) *ledger.Session {
	return &ledger.Session{Store: p.mem, Cipher: seal.Age{}, Self: seal.AsKey(p.who(name).Sealing()), Signer: p.who(name).Signing(), Now: p.clock}
}

// open opens the vault as somebody, who knows its genesis.
func (p *place) open(name string) *ledger.Vault {
	p.tb.Helper()
	v, err := ledger.Open(bg, p.session(name), p.genesis.Hash)
	p.ok(err)
	return v
}

// join lets v add a member.
func (p *place) join(v *ledger.Vault, name string, roles ...string) {
	p.tb.Helper()
	recipients := []string{seal.AsKey(p.who(name).Sealing()).Recipient()}
	for _, m := range v.State().Recipients() {
		recipients = append(recipients, m.Recipient.String())
	}
	p.now = p.now.Add(time.Second)
	meta, sealed, err := v.NewMetadata(bg, recipients)
	p.ok(err)
	p.store(ledger.MetadataKey(meta.MID), sealed)
	p.ok(v.Append(bg, state.KindMemberAdd, state.MemberAdd{Member: p.spec(name, roles...), Metadata: meta}, canonical.NewID()))
}

// remove lets v remove a member.
func (p *place) remove(v *ledger.Vault, name string) {
	p.tb.Helper()
	var recipients []string
	for _, m := range v.State().Members() {
		if m.Name != name {
			recipients = append(recipients, m.Public.Recipient.String())
		}
	}
	p.now = p.now.Add(time.Second)
	meta, sealed, err := v.NewMetadata(bg, recipients)
	p.ok(err)
	p.store(ledger.MetadataKey(meta.MID), sealed)
	cut := canonical.Sum([]byte("cut"))
	p.ok(v.Append(bg, state.KindMemberRemove, state.MemberRemove{Name: name, Metadata: meta,
		Cut: state.Object{Key: "doc/" + cut.String(), SHA256: cut}}, canonical.NewID()))
}

func (p *place) store(key string, body []byte) {
	p.tb.Helper()
	_, err := p.mem.Put(bg, key, body)
	p.ok(err)
}

// overwrite stores past the rule that nothing is.
func (p *place) overwrite(key string, body []byte) {
	p.tb.Helper()
	p.mem.Remove(key)
	p.store(key, body)
}

func (p *place) read(key string) []byte {
	p.tb.Helper()
	b, err := ledger.ReadObject(bg, p.mem, key, 0)
	p.ok(err)
	return b
}

// slot seals entries into the slot of the last one, as any client would.
func (p *place) slot(prefix string, entries []*entry.Entry, recipient string) {
	p.tb.Helper()
	var sealed []byte
	last := entries[len(entries)-1]
	j := journal.Journal{Store: mem.New(mem.Options{}), Prefix: prefix, ID: last.Journal, Genesis: last.Genesis}
	_, err := j.Append(bg, &journal.Log{Entries: entries[:len(entries)-1]}, last, func(plain []byte) (b []byte, err error) {
		sealed, err = seal.Age{}.Seal(plain, recipient)
		return sealed, err
	})
	p.ok(err)
	p.overwrite(prefix+journal.Slot(last.Seq), sealed)
}

// sign signs an entry that follows a log, past the ledger.
func (p *place) sign(name string, log *journal.Log, kind string, body any, change func(*entry.Header)) *entry.Entry {
	p.tb.Helper()
	head := log.Entries[len(log.Entries)-1]
	h := entry.Header{Kind: kind, Critical: state.Critical(kind), Format: entry.Format, Genesis: p.genesis.Hash, Journal: head.Journal,
		Seq: head.Seq + 1, Prev: head.Hash, Vault: head.Vault, Author: p.session(name).Author(), Time: head.Time, Op: canonical.NewID()}
	if head.Journal == entry.VaultJournal {
		h.Vault = head.Position()
	}
	if change != nil {
		change(&h)
	}
	e, err := entry.Sign(bg, h, body, []dsse.Signer{p.who(name).Signing()}...)
	p.ok(err)
	return e
}

// register registers an artefact and writes a few entries more.
func (p *place) register(v *ledger.Vault, name string) *ledger.Artefact {
	p.tb.Helper()
	a := v.Artefact(state.ArtefactID(v.NameKey(), name))
	if _, err := a.Fold(bg); !errors.Is(err, journal.ErrEmpty) {
		p.tb.Fatal(err)
	}
	p.ok(a.Append(bg, state.KindRegister, state.Register{Name: name}, canonical.NewID()))
	for range 3 {
		p.ok(a.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	}
	return a
}

func logPrefix(a *ledger.Artefact) string { return ledger.ArtefactPrefix(a.ID) + "log/" }

// memory is a ledger.Memory.
type memory struct {
	mu    sync.Mutex
	heads map[string]entry.Position
}

func (m *memory) Head(id string) (entry.Position, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.heads[id]
	return p, ok
}

func (m *memory) Remember(id string, p entry.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.heads == nil {
		m.heads = map[string]entry.Position{}
	}
	if p.Seq >= m.heads[id].Seq {
		m.heads[id] = p
	}
}

func (m *memory) Journals() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.heads))
}

// cache is a ledger.Cache.
type cache map[string][]byte

func (c cache) Get(key string) ([]byte, bool) { b, ok := c[key]; return b, ok }
func (c cache) Put(key string, b []byte)      { c[key] = b }

var _ backends.Store = (*mem.Store)(nil)
