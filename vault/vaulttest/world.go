package vaulttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Member is somebody in a World.
type Member struct {
	Name     string
	Identity *identity.Identity
	Key      seal.Key // what is sealed to the member opens with it
}

// World is a small vault with its members, storage and keepers.
type World struct {
	Cipher  seal.Cipher // a *Recorder
	Members map[string]*Member
	Mode    string // of custody
	Store   *mem.Store
	Keepers map[string]*custodytest.Mem // by the instance id that the vault pins
	Clock   *Clock
	Genesis canonical.Digest
}

// Clock is a clock that a test moves.
type Clock struct{ now time.Time }

// Now returns the time. It is not safe for concurrent use with Advance.
func (c *Clock) Now() time.Time { return c.now }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.now = c.now.Add(d) }

// Config says what a World is made of.
type Config struct {
	Cipher  seal.Cipher
	Members map[string][]string // roles by name, all vault-wide; "alice" founds the vault and has every role
	Mode    string              // "": state.AnyOf
	Keepers int                 // 0: one
	Delay   time.Duration       // of destruction at the keepers
	Known   map[string]*Member  // who comes with the identity that they have elsewhere
}

// NewWorld makes a vault.
func NewWorld(t testing.TB, c Config) *World {
	t.Helper()
	w := &World{Cipher: NewRecorder(c.Cipher, nil), Members: map[string]*Member{}, Mode: c.Mode, Clock: &Clock{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}}
	w.reset(max(c.Keepers, 1), c.Delay)
	cust := state.Custody{Mode: c.Mode}
	if cust.Mode == "" {
		cust.Mode = state.AnyOf
	}
	for i := range max(c.Keepers, 1) {
		cust.Keepers = append(cust.Keepers, state.Keeper{Instance: instance(i), Kind: "mem"})
	}
	alice := w.newMember(t, "alice", c.Known["alice"])
	meta, sealed, err := ledger.FirstMetadata(w.Cipher, alice.Key.Recipient())
	must(t, err)
	_, err = w.Store.Put(t.Context(), ledger.MetadataKey(meta.MID), sealed)
	must(t, err)
	genesis, err := entry.Sign(t.Context(), entry.Header{Kind: state.KindGenesis, Critical: true, Format: entry.Format, Journal: entry.VaultJournal,
		Author: (&ledger.Session{Signer: alice.Identity.Signing()}).Author(), Time: entry.At(w.Clock.Now()), Op: canonical.NewID()},
		state.Genesis{Founder: spec(alice, state.Roles()), Metadata: meta, Custody: cust, Policy: state.Policy{Approvals: 1, AdminQuorum: 1}}, alice.Identity.Signing())
	must(t, err)
	j := journal.Journal{Store: w.Store, Prefix: "log/", ID: entry.VaultJournal}
	_, err = j.Append(t.Context(), &journal.Log{}, genesis, func(plain []byte) ([]byte, error) { return w.Cipher.Seal(plain, meta.Recipient) })
	must(t, err)
	w.Genesis = genesis.Hash
	v := w.Open(t, "alice", w.Store)
	for _, name := range slices.Sorted(maps.Keys(c.Members)) {
		roles := c.Members[name]
		m := w.newMember(t, name, c.Known[name])
		recipients := []string{m.Key.Recipient()}
		for _, p := range v.State().Recipients() {
			recipients = append(recipients, p.Recipient.String())
		}
		bound, sealed, err := v.NewMetadata(t.Context(), recipients)
		must(t, err)
		_, err = w.Store.Put(t.Context(), ledger.MetadataKey(bound.MID), sealed)
		must(t, err)
		must(t, v.Append(t.Context(), state.KindMemberAdd, state.MemberAdd{Member: spec(m, roles), Metadata: bound}, canonical.NewID()))
	}
	return w
}

func instance(i int) string { return fmt.Sprintf("keeper-%d", i) }

func (w *World) reset(keepers int, delay time.Duration) {
	w.Store = mem.New(mem.Options{Now: w.Clock.Now})
	w.Keepers = map[string]*custodytest.Mem{}
	for i := range keepers {
		w.Keepers[instance(i)] = custodytest.NewMem(w.Clock.Now, delay)
	}
}

// Copy returns a vault that continues from the storage of this one as it is now,
// with the same members, and empty keepers whose destruction takes delay.
func (w *World) Copy(t testing.TB, delay time.Duration) *World {
	t.Helper()
	c := &World{Cipher: NewRecorder(w.Cipher.(*Recorder).Cipher, w.Cipher.(*Recorder)), Members: w.Members, Mode: w.Mode, Genesis: w.Genesis, Clock: &Clock{w.Clock.now}}
	c.reset(len(w.Keepers), delay)
	for _, key := range w.Store.Keys() {
		b, err := ledger.ReadObject(t.Context(), w.Store, key, 0)
		must(t, err)
		_, err = c.Store.Put(t.Context(), key, b)
		must(t, err)
	}
	return c
}

func (w *World) newMember(t testing.TB, name string, known *Member) *Member {
	t.Helper()
	if known != nil {
		w.Members[name] = known
		return known
	}
	id, err := identity.New()
	must(t, err)
	m := &Member{Name: name, Identity: id, Key: seal.AsKey(id.Sealing())}
	if s, ok := w.Cipher.(*Recorder).Cipher.(Symbolic); ok {
		m.Key = s.Member(m.Key.Recipient())
	}
	w.Members[name] = m
	return m
}

func spec(m *Member, roles []string) state.MemberSpec {
	s := state.MemberSpec{Name: m.Name, Key: m.Identity.Public().String()}
	for _, r := range roles {
		s.Roles = append(s.Roles, state.Grant{Role: r, Glob: "*"})
	}
	return s
}

// Session returns a member's session on a store that shows this world's storage.
func (w *World) Session(name string, s backends.Store) *ledger.Session {
	m := w.Members[name]
	return &ledger.Session{Store: s, Cipher: w.Cipher, Self: m.Key, Signer: m.Identity.Signing(), Now: w.Clock.Now}
}

// Open opens the vault as a member.
func (w *World) Open(t testing.TB, name string, s backends.Store) *ledger.Vault {
	t.Helper()
	v, err := ledger.Open(t.Context(), w.Session(name, s), w.Genesis)
	must(t, err)
	return v
}

// AllKeepers returns the keepers as a ring takes them.
func (w *World) AllKeepers() map[string]custody.Keeper {
	out := map[string]custody.Keeper{}
	for id, k := range w.Keepers {
		out[id] = k
	}
	return out
}

// Dispose requests and approves a disposal of versions of an artefact, or of
// all of it if none is named, due at once: alice asks, by consents.
func (w *World) Dispose(ctx context.Context, alice, by *ledger.Vault, aid canonical.Digest, vids ...canonical.ID) (canonical.ID, error) {
	id := canonical.NewID()
	plan := state.Object{Key: "doc/" + canonical.Sum(id[:]).String(), SHA256: canonical.Sum(id[:])}
	scope := state.DisposalScope{Artefact: aid, Versions: vids, Whole: len(vids) == 0}
	if err := alice.Refresh(ctx); err != nil {
		return id, err
	}
	if err := alice.Append(ctx, state.KindDisposalRequest, state.DisposalRequest{ID: id, Scope: []state.DisposalScope{scope},
		After: entry.At(w.Clock.Now()), Plan: plan, Reason: "test"}, canonical.NewID()); err != nil {
		return id, err
	}
	if err := by.Refresh(ctx); err != nil {
		return id, err
	}
	return id, by.Append(ctx, state.KindDisposalApprove, state.DisposalMark{ID: id, Plan: plan.SHA256}, canonical.NewID())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
