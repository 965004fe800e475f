package ledger_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

func TestOpen(t *testing.T) {
	p := newPlace(t)
	if v := p.open("alice"); v.State().Genesis != p.genesis.Hash || len(v.State().Members()) != 1 {
		t.Errorf("%+v", v.State())
	}
	if v, err := ledger.Open(bg, p.session("alice"), canonical.Digest{}); err != nil || v.State().Genesis != p.genesis.Hash {
		t.Errorf("without a genesis: %v", err)
	}
	v := p.open("alice")
	for _, name := range []string{"bob", "carol"} {
		p.join(v, name, state.Developer)
	}
	if v, err := ledger.Open(bg, p.session("bob"), canonical.Digest{}); err != nil || len(v.State().Members()) != 3 {
		t.Errorf("a member, without a genesis: %v", err)
	}
	if _, err := ledger.Open(bg, p.session("stranger"), p.genesis.Hash); !errors.Is(err, ledger.ErrNoAccess) || errors.Is(err, journal.ErrUnverifiable) || errors.Is(err, journal.ErrJunk) {
		t.Errorf("a stranger: %v", err)
	}
	empty := newPlace(t)
	for _, k := range empty.mem.Keys() {
		empty.mem.Remove(k)
	}
	if _, err := ledger.Open(bg, empty.session("alice"), canonical.Digest{}); !errors.Is(err, journal.ErrEmpty) {
		t.Errorf("no vault: %v", err)
	}
}

func TestAnotherVault(t *testing.T) {
	p := newPlace(t)
	other := canonical.Sum([]byte("another vault"))
	for range 3 {
		if _, err := ledger.Open(bg, p.session("alice"), other); !errors.Is(err, journal.ErrRolledBack) || !strings.Contains(err.Error(), p.genesis.Hash.String()) {
			t.Errorf("pinned to another: %v", err)
		}
		p.join(p.open("alice"), "member"+string(rune('a'+len(p.people))), state.Developer)
	}
}

func TestHeads(t *testing.T) {
	p := newPlace(t)
	v := p.open("alice")
	p.join(v, "bob", state.Developer)
	a := p.register(v, "m")
	vaultHead, head := v.State().Head, a.State().Head
	id := a.ID.String()
	open := func(m ledger.Memory, pins ...ledger.Pin) error {
		s := p.session("bob")
		s.Memory, s.Pins = m, pins
		v, err := ledger.Open(bg, s, canonical.Digest{})
		if err == nil {
			_, err = v.Artefact(a.ID).Fold(bg)
		}
		return err
	}
	pins := []ledger.Pin{{Journal: entry.VaultJournal, Position: vaultHead}, {Journal: id, Position: head}, {Journal: id, Position: a.Log().Entries[0].Position()}}
	m := &memory{}
	p.ok(open(m, pins...))
	if h, _ := m.Head(entry.VaultJournal); h != vaultHead {
		t.Errorf("remembers %s of the vault", h)
	}
	if h, _ := m.Head(id); h != head {
		t.Errorf("remembers %s of the artefact", h)
	}
	if got, want := pins[1].String(), id+"/3/"+head.Hash.String(); got != want {
		t.Errorf("a pin is %s, want %s", got, want)
	}
	for name, pin := range map[string]ledger.Pin{
		"of the vault, further up":       {Journal: entry.VaultJournal, Position: entry.Position{Seq: 9, Hash: head.Hash}},
		"of the vault, another entry":    {Journal: entry.VaultJournal, Position: entry.Position{Seq: 1, Hash: head.Hash}},
		"of the artefact, further up":    {Journal: id, Position: entry.Position{Seq: 4, Hash: head.Hash}},
		"of the artefact, another entry": {Journal: id, Position: entry.Position{Seq: 2, Hash: head.Hash}},
	} {
		if err := open(nil, pin); !errors.Is(err, journal.ErrRolledBack) {
			t.Errorf("a pin %s: %v", name, err)
		}
	}
	stranger := canonical.Sum([]byte("never registered"))
	s := p.session("bob")
	s.Pins = []ledger.Pin{{Journal: stranger.String(), Position: head}}
	w, err := ledger.Open(bg, s, canonical.Digest{})
	p.ok(err)
	if _, err := w.Artefact(stranger).Fold(bg); !errors.Is(err, journal.ErrRolledBack) {
		t.Errorf("a pin of an empty journal: %v", err)
	}
	for _, c := range []struct{ name, key string }{
		{"the artefact's newest slot removed", logPrefix(a) + journal.Slot(3)},
		{"the vault's newest slot removed", "log/" + journal.Slot(1)},
	} {
		kept := p.read(c.key)
		p.mem.Remove(c.key)
		if err := open(m); !errors.Is(err, journal.ErrRolledBack) {
			t.Errorf("%s, with memory: %v", c.name, err)
		}
		if err := open(nil, pins...); !errors.Is(err, journal.ErrRolledBack) {
			t.Errorf("%s, with pins: %v", c.name, err)
		}
		p.store(c.key, kept)
	}
	for i := range uint64(4) {
		kept := p.read(logPrefix(a) + journal.Slot(i))
		p.mem.Remove(logPrefix(a) + journal.Slot(i))
		defer p.store(logPrefix(a)+journal.Slot(i), kept)
	}
	if err := open(m); !errors.Is(err, journal.ErrRolledBack) || !errors.Is(err, journal.ErrEmpty) {
		t.Errorf("the artefact's journal emptied, with memory: %v", err)
	}
	for i := range uint64(2) {
		p.mem.Remove("log/" + journal.Slot(i))
	}
	if err := open(m); !errors.Is(err, journal.ErrRolledBack) {
		t.Errorf("the vault's journal emptied, with memory: %v", err)
	}
}

// A damaged head that the client remembers is nothing to pass over.
func TestDamagedHeadIsRemembered(t *testing.T) {
	p := newPlace(t)
	v := p.open("alice")
	a := p.register(v, "m")
	p.mem.Tamper(logPrefix(a)+journal.Slot(3), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	cold := p.open("alice").Artefact(a.ID)
	if _, err := cold.Fold(bg); !errors.Is(err, journal.ErrJunk) || errors.Is(err, journal.ErrRolledBack) {
		t.Errorf("cold: %v", err)
	}
	s := p.session("alice")
	s.Pins = []ledger.Pin{{Journal: a.ID.String(), Position: a.State().Head}}
	w, err := ledger.Open(bg, s, p.genesis.Hash)
	p.ok(err)
	pinned := w.Artefact(a.ID)
	if _, err := pinned.Fold(bg); !errors.Is(err, journal.ErrUnverifiable) || errors.Is(err, journal.ErrRolledBack) {
		t.Errorf("pinned: %v", err)
	}
	if err := pinned.Skip(bg, pinned.Log().Blocking(), "a bit flipped"); !errors.Is(err, journal.ErrUnverifiable) {
		t.Errorf("pinned, skip: %v", err)
	}
	spoilt, err := ledger.ReadObject(bg, p.mem, logPrefix(a)+journal.Slot(3), 0)
	p.ok(err)
	p.mem.Remove(logPrefix(a) + journal.Slot(3))
	if _, err := w.Artefact(a.ID).Fold(bg); !errors.Is(err, journal.ErrRolledBack) {
		t.Errorf("pinned, its place empty: %v", err)
	}
	_, err = p.mem.Put(bg, logPrefix(a)+journal.Slot(3), spoilt)
	p.ok(err)
	p.ok(cold.Skip(bg, cold.Log().Blocking(), "a bit flipped"))
	if st, err := p.open("alice").Artefact(a.ID).Fold(bg); err != nil || st.Head.Seq != 4 {
		t.Errorf("after the skip: %v", err)
	}
}

// TestStoreErrorsPass: trouble with the store is never junk, wherever it happens.
func TestStoreErrorsPass(t *testing.T) {
	p := newPlace(t)
	v := p.open("alice")
	p.join(v, "bob", state.Developer)
	p.join(v, "carol", state.Developer)
	a := p.register(v, "m")
	for _, op := range []backendtest.Op{backendtest.Get, backendtest.List} {
		for n := 1; ; n++ {
			faulty := backendtest.NewFaulty(p.mem, backendtest.FailNth(op, n, backendtest.Fail))
			s := p.session("bob")
			s.Store = faulty
			v, err := ledger.Open(bg, s, p.genesis.Hash)
			if err == nil {
				_, err = v.Artefact(a.ID).Fold(bg)
			}
			if faulty.Calls(op) < n {
				p.ok(err)
				if n < 3 {
					t.Errorf("%s was called %d times", op, n-1)
				}
				break
			}
			if !errors.Is(err, backends.Unavailable) || errors.Is(err, journal.ErrJunk) || errors.Is(err, journal.ErrUnverifiable) || errors.Is(err, ledger.ErrNoAccess) {
				t.Errorf("%s %d fails: %v", op, n, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := ledger.Open(ctx, p.session("bob"), p.genesis.Hash); !errors.Is(err, context.Canceled) || errors.Is(err, journal.ErrJunk) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestMembersComeAndGo while a client is running.
func TestMembersComeAndGo(t *testing.T) {
	p := newPlace(t)
	alice, running := p.open("alice"), p.open("alice")
	a := p.register(running, "m")
	p.join(alice, "bob", state.Developer, state.Operator)
	bob := p.open("bob")
	b := bob.Artefact(a.ID)
	_, err := b.Fold(bg)
	p.ok(err)
	p.ok(b.Append(bg, state.KindFence, state.Fence{}, canonical.NewID())) // sealed to an identity that running has not seen
	if st, err := a.Fold(bg); err != nil || st.Head != b.State().Head || len(running.State().Members()) != 2 {
		t.Errorf("a running client reads on: %v", err)
	}
	p.ok(a.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	p.join(alice, "carol", state.Developer)
	p.ok(running.Refresh(bg))
	p.ok(running.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	p.ok(alice.Refresh(bg))
	carol := p.open("carol")
	if st, err := carol.Artefact(a.ID).Fold(bg); err != nil || st.Name != "m" {
		t.Errorf("a new member reads what was before: %v", err)
	}
	if carol.NameKey() != alice.NameKey() || bob.NameKey() != alice.NameKey() {
		t.Error("members have different name keys")
	}
	p.remove(alice, "bob")
	p.ok(alice.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	if err := bob.Refresh(bg); !errors.Is(err, ledger.ErrNoAccess) || errors.Is(err, journal.ErrJunk) {
		t.Errorf("a removed member, running: %v", err)
	}
	if _, err := ledger.Open(bg, p.session("bob"), p.genesis.Hash); !errors.Is(err, ledger.ErrNoAccess) {
		t.Errorf("a removed member, cold: %v", err)
	}
	p.ok(running.Refresh(bg))
	p.ok(carol.Refresh(bg))
}

func TestOpenMetadata(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	before, err := alice.SealMetadata([]byte("before"))
	p.ok(err)
	old := p.open("alice")
	p.join(alice, "bob", state.Developer)
	after, err := alice.SealMetadata([]byte("after"))
	p.ok(err)
	bob := p.open("bob")
	for _, v := range []*ledger.Vault{alice, old, bob} {
		for want, sealed := range map[string][]byte{"before": before, "after": after} {
			if got, err := v.OpenMetadata(bg, sealed); err != nil || string(got) != want {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		}
	}
	elsewhere, err := seal.Age{}.Generate()
	p.ok(err)
	foreign, err := seal.Age{}.Seal([]byte("x"), elsewhere.Recipient())
	p.ok(err)
	if _, err := alice.OpenMetadata(bg, foreign); !errors.Is(err, seal.ErrNoMatch) {
		t.Errorf("sealed to nobody: %v", err)
	}
	if _, err := alice.OpenMetadata(bg, []byte("garbage")); !errors.Is(err, seal.ErrFormat) {
		t.Errorf("garbage: %v", err)
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	p := newPlace(t)
	v := p.open("alice")
	a := p.register(v, "m")
	p.now = p.now.Add(-time.Hour)
	p.ok(v.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	p.ok(a.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	if times := []entry.Time{v.State().Time, a.State().Time}; slices.ContainsFunc(times, func(x entry.Time) bool { return x.Before(p.genesis.Time.Time) }) {
		t.Errorf("entries at %v", times)
	}
}
