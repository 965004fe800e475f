package ledger_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// skipOver makes the body of a skip entry over the n slots above a log.
func skipOver(log *journal.Log, n uint64) entry.Skip {
	b := entry.Skip{Reason: "junk"}
	for i := range n {
		b.Slots = append(b.Slots, entry.SkippedSlot{Seq: log.Head().Seq + 1 + i})
	}
	return b
}

func at(seq uint64) func(*entry.Header) { return func(h *entry.Header) { h.Seq = seq } }

// TestSkipJunk lets operators go on above everything that no member has signed,
// and above a member's entry that cannot stand where it stands.
func TestSkipJunk(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	p.join(alice, "bob", state.Pusher)
	p.who("stranger")
	recipient := alice.State().CurrentMetadata().Recipient
	a := p.register(alice, "m")
	nobody := canonical.Sum([]byte("no vault entry"))
	sealed := func(plain string) []byte {
		b, err := seal.Age{}.Seal([]byte(plain), recipient)
		p.ok(err)
		return b
	}
	for name, make := range map[string]func(log *journal.Log) *entry.Entry{
		"garbage": nil,
		"a stranger's": func(log *journal.Log) *entry.Entry {
			return p.sign("stranger", log, state.KindFence, state.Fence{}, nil)
		},
		"a member's that cites no vault entry": func(log *journal.Log) *entry.Entry {
			return p.sign("bob", log, state.KindFence, state.Fence{}, func(h *entry.Header) { h.Vault = entry.Position{Seq: 500, Hash: nobody} })
		},
	} {
		_, err := a.Fold(bg)
		p.ok(err)
		next := a.State().Head.Seq + 1
		if make == nil {
			p.store(logPrefix(a)+journal.Slot(next), sealed("garbage"))
		} else {
			p.slot(logPrefix(a), append(slices.Clip(a.Log().Entries), make(a.Log())), recipient)
		}
		for _, l := range []*ledger.Artefact{a, p.open("alice").Artefact(a.ID), p.open("bob").Artefact(a.ID)} {
			if _, err := l.Fold(bg); !errors.Is(err, journal.ErrJunk) || len(l.Log().Blocking()) != 1 || l.Log().Blocking()[0].Seq != next {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := a.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()); !errors.Is(err, journal.ErrLost) {
			t.Errorf("%s: appending into it: %v", name, err)
		}
		p.ok(a.Skip(bg, a.Log().Blocking(), "junk"))
		p.ok(a.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
		if st, err := p.open("bob").Artefact(a.ID).Fold(bg); err != nil || st.Head != a.State().Head || len(st.Voids) != 0 {
			t.Errorf("%s: after the skip: %v", name, err)
		}
	}
	next := alice.State().Head.Seq + 1
	p.slot("log/", append(slices.Clip(alice.Log().Entries), p.sign("stranger", alice.Log(), state.KindFence, state.Fence{}, nil)), recipient)
	if err := alice.Refresh(bg); !errors.Is(err, journal.ErrJunk) {
		t.Fatalf("a stranger's in the vault's journal: %v", err)
	}
	blocked, err := ledger.Open(bg, p.session("alice"), p.genesis.Hash)
	if !errors.Is(err, journal.ErrJunk) || blocked == nil || blocked.Log().Blocking()[0].Seq != next {
		t.Fatalf("cold: %v", err)
	}
	p.ok(blocked.Skip(bg, blocked.Log().Blocking(), "junk"))
	p.ok(alice.Refresh(bg))
	if h := p.open("bob").State().Head; h.Seq != next+1 || h != alice.State().Head {
		t.Errorf("after the skip the head is %s", h)
	}
}

// TestForgedFarUp: entries that chain and that no member has signed are junk,
// wherever they stand and however many.
func TestForgedFarUp(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	p.who("thief")
	a := p.register(alice, "m")
	recipient := alice.State().CurrentMetadata().Recipient
	running := p.open("alice").Artefact(a.ID)
	_, err := running.Fold(bg)
	p.ok(err)
	forge := func(prefix string, log *journal.Log, n int) {
		for range n {
			e := p.sign("thief", log, state.KindFence, state.Fence{}, nil)
			log = &journal.Log{Entries: append(slices.Clip(log.Entries), e)}
		}
		p.slot(prefix, log.Entries, recipient)
	}
	for _, n := range []int{2, 5, 40} {
		forge(logPrefix(a), a.Log(), n)
		forge("log/", alice.Log(), n)
	}
	v := p.open("alice")
	for _, l := range []*ledger.Artefact{a, running, v.Artefact(a.ID)} {
		if st, err := l.Fold(bg); err != nil || st.Head != a.State().Head || len(l.Log().Junk) != 3 {
			t.Errorf("%v", err)
		}
	}
	if v.State().Head != alice.State().Head || len(v.Log().Junk) != 3 {
		t.Errorf("the vault's head is %s", v.State().Head)
	}
	p.ok(alice.Refresh(bg))
	forge(logPrefix(a), a.Log(), 1)
	forge("log/", alice.Log(), 1)
	if _, err := running.Fold(bg); !errors.Is(err, journal.ErrJunk) || len(running.Log().Blocking()) != 2 {
		t.Errorf("in the next slot: %v", err)
	}
	if err := alice.Refresh(bg); !errors.Is(err, journal.ErrJunk) || len(alice.Log().Blocking()) != 2 {
		t.Errorf("in the vault's next slot: %v", err)
	}
}

// TestSkipIsNoEraser: a skip entry that passes over what a member has signed is
// refused by its author's client and by every reader; so is one without the right.
func TestSkipIsNoEraser(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	p.join(alice, "op", state.Operator)
	p.join(alice, "bob", state.Pusher)
	recipient := alice.State().CurrentMetadata().Recipient
	a := p.register(alice, "m")
	good := a.Log()
	refused := func(name string, e *entry.Entry, log *journal.Log) {
		t.Helper()
		p.slot(logPrefix(a), append(slices.Clip(log.Entries), e), recipient)
		for _, who := range []string{"alice", "bob"} {
			if st, err := p.open(who).Artefact(a.ID).Fold(bg); !errors.Is(err, state.ErrUnverifiable) {
				t.Errorf("%s: %s reads up to %v, %v", name, who, st, err)
			}
		}
		p.mem.Remove(logPrefix(a) + journal.Slot(e.Seq))
	}
	refused("over the head", p.sign("op", good.Before(3), state.KindSkip, skipOver(good.Before(3), 1), at(4)), good.Before(3))
	refused("over the last two", p.sign("op", good.Before(2), state.KindSkip, skipOver(good.Before(2), 2), at(4)), good.Before(2))
	refused("by a pusher, over nothing", p.sign("bob", good, state.KindSkip, skipOver(good, 2), at(6)), good)
	third := p.read(logPrefix(a) + journal.Slot(2))
	p.mem.Tamper(logPrefix(a)+journal.Slot(2), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	refused("over a damaged one and what stands on it", p.sign("op", good.Before(2), state.KindSkip, skipOver(good.Before(2), 2), at(4)), good.Before(2))
	p.overwrite(logPrefix(a)+journal.Slot(2), third)
	p.ok(func() error { _, err := p.open("bob").Artefact(a.ID).Fold(bg); return err }())

	// The ledger does not send it.
	op := p.open("op").Artefact(a.ID)
	kept := p.read(logPrefix(a) + journal.Slot(3))
	p.mem.Remove(logPrefix(a) + journal.Slot(3))
	_, err := op.Fold(bg)
	p.ok(err)
	p.store(logPrefix(a)+journal.Slot(3), kept)
	keys := len(p.mem.Keys())
	if err := op.Skip(bg, []entry.SkippedSlot{{Seq: 3}}, "r"); !errors.Is(err, state.ErrUnverifiable) {
		t.Errorf("skipping what is good: %v", err)
	}
	for name, slots := range map[string][]entry.SkippedSlot{"none": nil, "not the next": {{Seq: 4}}, "one left out": {{Seq: 3}, {Seq: 5}},
		"too many": make([]entry.SkippedSlot, entry.MaxSkipped+1)} {
		if err := op.Skip(bg, slots, "r"); err == nil {
			t.Errorf("skipping %s: no error", name)
		}
	}
	if len(p.mem.Keys()) != keys {
		t.Error("something was stored")
	}
	vaultLog := alice.Log()
	e := p.sign("op", vaultLog.Before(2), state.KindSkip, skipOver(vaultLog.Before(2), 1), at(3))
	p.slot("log/", append(slices.Clip(vaultLog.Before(2).Entries), e), recipient)
	if _, err := ledger.Open(bg, p.session("alice"), p.genesis.Hash); !errors.Is(err, state.ErrUnverifiable) {
		t.Errorf("over the vault's head: %v", err)
	}
}

// TestSkipFirst: junk in the first slot of a name that nobody has registered.
func TestSkipFirst(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	a := alice.Artefact(state.ArtefactID(alice.NameKey(), "m"))
	p.store(logPrefix(a)+journal.Slot(0), []byte("junk"))
	if _, err := a.Fold(bg); !errors.Is(err, journal.ErrJunk) {
		t.Fatal(err)
	}
	p.ok(a.Skip(bg, a.Log().Blocking(), "junk"))
	p.ok(a.Append(bg, state.KindRegister, state.Register{Name: "m"}, canonical.NewID()))
	if st, err := p.open("alice").Artefact(a.ID).Fold(bg); err != nil || st.Name != "m" || st.Registered.Seq != 2 {
		t.Errorf("registered as %+v, %v", st, err)
	}
	far := alice.Artefact(state.ArtefactID(alice.NameKey(), "n"))
	p.store(logPrefix(far)+journal.Slot(7), []byte("junk"))
	if _, err := far.Fold(bg); !errors.Is(err, journal.ErrEmpty) {
		t.Errorf("junk further up: %v", err)
	}
	p.ok(far.Append(bg, state.KindRegister, state.Register{Name: "n"}, canonical.NewID()))
}

// TestRefusedEntryLendsNothing: the authority that an unverifiable entry cites is
// not that of the entry after it, for a client that has seen it and for one that
// has not.
func TestRefusedEntryLendsNothing(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	p.join(alice, "bob", state.Developer)
	p.who("stranger")
	a := p.register(alice, "m")
	running := p.open("alice").Artefact(a.ID)
	_, err := running.Fold(bg)
	p.ok(err)
	p.remove(alice, "bob")
	recipient := alice.State().CurrentMetadata().Recipient
	newer := alice.State().Head
	next := a.State().Head.Seq + 1
	p.slot(logPrefix(a), append(slices.Clip(a.Log().Entries), p.sign("stranger", a.Log(), state.KindFence, state.Fence{}, func(h *entry.Header) { h.Vault = newer })), recipient)
	if _, err := running.Fold(bg); !errors.Is(err, journal.ErrJunk) {
		t.Fatal(err)
	}
	skip := p.sign("alice", a.Log(), state.KindSkip, skipOver(a.Log(), 1), at(next+1))
	log := &journal.Log{Entries: append(slices.Clip(a.Log().Entries), skip)}
	late := p.sign("bob", log, state.KindFence, state.Fence{}, nil) // by what it cites, bob is still there
	p.slot(logPrefix(a), append(slices.Clip(log.Entries), late), recipient)
	for name, l := range map[string]*ledger.Artefact{"running": running, "cold": p.open("alice").Artefact(a.ID)} {
		if st, err := l.Fold(bg); err != nil || len(st.Voids) != 0 || st.Head != late.Position() {
			t.Errorf("%s: %v, %+v", name, err, st)
		}
	}
}
