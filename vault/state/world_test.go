package state_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// identities are drawn once for all tests: drawing costs more than folding.
var identities = sync.OnceValue(func() *pool { return &pool{drawn: map[string]*identity.Identity{}} })

type pool struct {
	mu    sync.Mutex
	drawn map[string]*identity.Identity
}

func (p *pool) get(name string) *identity.Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn[name] == nil {
		id, err := identity.New()
		if err != nil {
			panic(err)
		}
		p.drawn[name] = id
	}
	return p.drawn[name]
}

// cast lists the members of a world and their roles: one member for each role,
// a second operator and custodian, somebody with every role, and a reader.
var cast = map[string][]string{
	"admin": {state.Admin}, "push": {state.Pusher}, "dev": {state.Developer}, "op": {state.Operator}, "op2": {state.Operator},
	"cust": {state.Custodian}, "cust2": {state.Custodian}, "run": {state.Runner}, "aud": {state.Auditor}, "all": state.Roles(), "reader": nil,
}

// world is a vault's journal, in memory, with the states after each entry.
type world struct {
	tb      testing.TB
	keys    map[string]*identity.Identity // who signs under which name
	entries []*entry.Entry
	states  []*state.Vault
	now     time.Time
	nameKey [32]byte
	n       int // counts ids
}

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// found makes a vault of a founder called "admin" with these roles and policy.
func found(tb testing.TB, roles []string, policy state.Policy) *world {
	tb.Helper()
	w := &world{tb: tb, keys: map[string]*identity.Identity{"admin": identities().get("admin")}, now: dawn, nameKey: [32]byte{1, 2, 3}}
	e := w.sign(entry.Header{Kind: state.KindGenesis, Critical: true, Format: entry.Format, Journal: entry.VaultJournal, Time: entry.At(w.now)},
		state.Genesis{Founder: w.spec("admin", roles...), Metadata: w.metadata(), Custody: custody(), Policy: policy}, "admin")
	v, err := state.NewVault(e)
	if err != nil {
		tb.Fatal(err)
	}
	w.entries, w.states = []*entry.Entry{e}, []*state.Vault{v}
	return w
}

// newWorld returns a vault with the whole cast. States are immutable, so all
// tests can go on from the same one.
func newWorld(tb testing.TB) *world {
	common.once.Do(func() { common.world = gather(tb) })
	w := *common.world
	w.tb, w.keys = tb, maps.Clone(w.keys)
	w.entries, w.states = slices.Clip(w.entries), slices.Clip(w.states)
	return &w
}

var common struct {
	once  sync.Once
	world *world
}

func gather(tb testing.TB) *world {
	w := found(tb, cast["admin"], state.Policy{Approvals: 1, AdminQuorum: 1})
	for _, name := range slices.Sorted(maps.Keys(cast)) {
		if name != "admin" {
			w.join(name, cast[name]...)
		}
	}
	return w
}

// join adds a member with vault-wide roles.
func (w *world) join(name string, roles ...string) {
	w.tb.Helper()
	w.keys[name] = identities().get(name)
	w.must("admin", state.KindMemberAdd, state.MemberAdd{Member: w.spec(name, roles...), Metadata: w.metadata()})
}

func (w *world) spec(name string, roles ...string) state.MemberSpec {
	s := state.MemberSpec{Name: name, Key: w.keys[name].Public().String(), Roles: []state.Grant{}}
	for _, r := range roles {
		s.Roles = append(s.Roles, state.Grant{Role: r, Glob: "*"})
	}
	return s
}

func custody() state.Custody {
	return state.Custody{Mode: state.AnyOf, Keepers: []state.Keeper{{Instance: "keeper-1", Kind: "local"}, {Instance: "keeper-2", Kind: "object"}}}
}

// id returns an id that was not used before.
func (w *world) id() canonical.ID {
	w.n++
	sum := canonical.Sum(fmt.Append(nil, "id", w.n))
	return canonical.ID(sum[:16])
}

func (w *world) digest() canonical.Digest {
	w.n++
	return canonical.Sum(fmt.Append(nil, "digest", w.n))
}

func (w *world) metadata() state.Metadata {
	return state.Metadata{MID: w.id(), Recipient: "age1pq1metadata", SHA256: w.digest()}
}

func (w *world) doc() state.Object {
	d := w.digest()
	return state.Object{Key: "doc/" + d.String(), SHA256: d}
}

func (w *world) named(prefix string) state.Object {
	return state.Object{Key: prefix + w.id().String(), SHA256: w.digest()}
}

func (w *world) keyID(name string) canonical.Digest { return keyID(w.keys[name]) }

func keyID(id *identity.Identity) canonical.Digest {
	d, err := canonical.ParseDigest(id.Public().Key.KeyID())
	if err != nil {
		panic(err)
	}
	return d
}

// sign signs an entry in the names given; the first is the author.
func (w *world) sign(h entry.Header, body any, names ...string) *entry.Entry {
	w.tb.Helper()
	var signers []dsse.Signer
	for _, n := range names {
		signers = append(signers, w.keys[n].Signing())
	}
	h.Author = w.keyID(names[0])
	e, err := entry.Sign(context.Background(), h, body, signers...)
	if err != nil {
		w.tb.Fatal(err)
	}
	return e
}

// edit changes the header of an entry before it is signed.
type edit func(*entry.Header)

func cosigned(names ...string) cosigners { return names }

type cosigners []string

// next builds the next entry of the vault's journal. What more there may be: edits and cosigners.
func (w *world) next(author, kind string, body any, more ...any) *entry.Entry {
	w.tb.Helper()
	head := w.head()
	h := entry.Header{Kind: kind, Critical: state.Critical(kind), Format: entry.Format, Genesis: w.states[0].Genesis, Journal: entry.VaultJournal,
		Seq: head.Seq + 1, Prev: head.Hash, Vault: head, Time: entry.At(w.now), Op: w.id()}
	names := []string{author}
	for _, m := range more {
		switch m := m.(type) {
		case edit:
			m(&h)
		case cosigners:
			names = append(names, m...)
		default:
			w.tb.Fatalf("%T", m)
		}
	}
	return w.sign(h, body, names...)
}

func (w *world) head() entry.Position { return w.states[len(w.states)-1].Head }

func (w *world) state() *state.Vault { return w.states[len(w.states)-1] }

// put appends an entry to the vault's journal and returns what the fold made of it.
func (w *world) put(author, kind string, body any, more ...any) (*state.Void, error) {
	w.tb.Helper()
	e := w.next(author, kind, body, more...)
	v, void, err := w.state().Apply(e)
	if err == nil {
		w.entries, w.states = append(w.entries, e), append(w.states, v)
	}
	return void, err
}

// try is put for entries that verify.
func (w *world) try(author, kind string, body any, more ...any) *state.Void {
	w.tb.Helper()
	void, err := w.put(author, kind, body, more...)
	if err != nil {
		w.tb.Fatalf("%s by %s: %v", kind, author, err)
	}
	return void
}

// must is put for entries that count.
func (w *world) must(author, kind string, body any, more ...any) {
	w.tb.Helper()
	if void := w.try(author, kind, body, more...); void != nil {
		w.tb.Fatal(void)
	}
}

// at finds the state at a position of the vault's journal.
func (w *world) at(p entry.Position) (*state.Vault, error) {
	for _, s := range w.states {
		if s.Head == p {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: no vault entry %s", state.ErrUnverifiable, p)
}

// pass lets time pass.
func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

// request makes a disposal and returns its id and plan.
func (w *world) request(author string, scope ...state.DisposalScope) (canonical.ID, state.Object) {
	w.tb.Helper()
	id, plan := w.id(), w.doc()
	w.must(author, state.KindDisposalRequest, state.DisposalRequest{ID: id, Scope: scope, Plan: plan, Reason: "end of life"})
	return id, plan
}

func (w *world) approve(author string, id canonical.ID, plan state.Object) *state.Void {
	w.tb.Helper()
	return w.try(author, state.KindDisposalApprove, state.DisposalMark{ID: id, Plan: plan.SHA256})
}

// approved requests a disposal as cust and approves it as cust2.
func (w *world) approved(scope ...state.DisposalScope) canonical.ID {
	w.tb.Helper()
	id, plan := w.request("cust", scope...)
	if void := w.approve("cust2", id, plan); void != nil {
		w.tb.Fatal(void)
	}
	return id
}

func cloneKeys(w *world) map[string]*identity.Identity { return maps.Clone(w.keys) }
