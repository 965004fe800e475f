package vault_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// write appends an entry to an artefact's journal for which there is no command.
func (p *place) write(t testing.TB, artefact, kind string, body any) {
	t.Helper()
	l, err := ledger.Open(t.Context(), &ledger.Session{Store: p.store, Cipher: seal.Age{}, Self: seal.AsKey(p.id.Sealing()), Signer: p.id.Signing(), Now: p.now}, canonical.Digest{})
	if err != nil {
		t.Fatal(err)
	}
	a := l.Artefact(state.ArtefactID(l.NameKey(), artefact))
	if _, err := a.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Append(t.Context(), kind, body, canonical.NewID()); err != nil {
		t.Fatal(err)
	}
}

// flip spoils the newest object of a journal and returns its key.
func (p *place) flip(t testing.TB, prefix string, m *mem.Store) string {
	t.Helper()
	keys := slices.DeleteFunc(slices.Sorted(slices.Values(m.Keys())), func(k string) bool { return len(k) != len(prefix)+16 || k[:len(prefix)] != prefix })
	body, err := ledger.ReadObject(t.Context(), m, keys[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	body = slices.Clone(body)
	body[len(body)-1] ^= 4
	m.Remove(keys[0])
	if _, err := m.Put(t.Context(), keys[0], body); err != nil {
		t.Fatal(err)
	}
	return keys[0]
}

// TestFlippedBitStopsReaders: must show 4. Whoever spoils the newest entry that
// denies something gets no reader past it, with or without memory of it, and each
// is told that it is damaged (exit code 13), not that storage was rolled back.
func TestFlippedBitStopsReaders(t *testing.T) {
	for _, c := range []struct {
		what string
		deny func(t *testing.T, p *place, vid canonical.ID)
		log  func(p *place) string
	}{
		{"quarantine", func(t *testing.T, p *place, vid canonical.ID) {
			p.write(t, "m", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{vid}, Reason: "poisoned"})
		}, nil},
		{"hold", func(t *testing.T, p *place, vid canonical.ID) {
			p.write(t, "m", state.KindHold, state.Hold{ID: canonical.NewID(), Versions: []canonical.ID{vid}, Reason: "litigation"})
		}, nil},
		{"removal", func(t *testing.T, p *place, _ canonical.ID) {
			if _, _, err := p.open(t).MemberRemove(t.Context(), "mal", ""); err != nil {
				t.Fatal(err)
			}
		}, func(*place) string { return "log/" }},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newPlace(t)
			p.init(t)
			bob := p.join(t, "bob")
			p.join(t, "mal")
			ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), "m", []string{"bob"}))
			p.push(t, "m", 1)
			info, err := p.open(t).Show(t.Context(), vault.Ref{Artefact: "m"})
			if err != nil {
				t.Fatal(err)
			}
			c.deny(t, p, info.VID)
			prefix := "a/" + info.Head.Journal + "/log/"
			if c.log != nil {
				prefix = c.log(p)
			}
			m := newMachine()
			warm := bob.on(m, p.open(t).Genesis())
			v, err := vault.Open(t.Context(), warm)
			if err != nil {
				t.Fatal(err)
			}
			ok[*vault.History](t)(v.History(t.Context(), "m"))
			clear(m.kept) // the heads stay; who kept the entries themselves needs no storage to obey them
			p.flip(t, prefix, p.mem)
			for name, c := range map[string]vault.Config{"who wrote it": p.config(), "a reader": bob.config(), "one who remembers it": warm} {
				err := pulls(t, c, "m", 1)
				if !isIntegrity(err) || errors.Is(err, vault.ErrRolledBack) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if c.what == "removal" {
				return
			}
			// And it comes back to force with its bytes, not before.
			if r, err := vault.Verify(t.Context(), p.config(), vault.VerifyOptions{}); err != nil || r.OK || len(r.Unknown) > 0 {
				t.Errorf("verify: %+v, %v", r, err)
			}
		})
	}
}

// TestJunkByAStolenPushCredential: an object in the next slot stops the journal
// until an operator or admin passes over it, which is on record.
func TestJunkByAStolenPushCredential(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	olga, dev := p.join(t, "olga", state.Operator), p.join(t, "dev", state.Developer)
	dev.push(t, "m", 1)
	h := ok[*vault.History](t)(p.open(t).History(t.Context(), "m"))
	seq := h.Head.Seq + 1
	key := "a/" + h.Head.Journal + "/log/" + journal.Slot(seq)
	junk := []byte("age-encryption.org/v1 or what looks like it")
	if _, err := p.mem.Put(t.Context(), key, junk); err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]*place{"a reader": dev, "the founder": p} {
		if err := who.reads(t, "m", 1); !errors.Is(err, vault.ErrJunk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	slots := []entry.SkippedSlot{{Seq: seq, SHA256: canonical.Sum(junk)}}
	if _, err := vault.Skip(t.Context(), dev.config(), "m", slots, "junk"); !errors.Is(err, vault.ErrNotPermitted) {
		t.Errorf("passed over by a developer: %v", err)
	}
	wrong := []entry.SkippedSlot{{Seq: seq, SHA256: canonical.Sum([]byte("other"))}}
	if _, err := vault.Skip(t.Context(), olga.config(), "m", wrong, "junk"); !errors.Is(err, vault.ErrConflict) {
		t.Errorf("passed over unseen: %v", err)
	}
	if _, err := vault.Skip(t.Context(), olga.config(), "m", slots, "stolen credential"); err != nil {
		t.Fatal(err)
	}
	if err := dev.reads(t, "m", 1); err != nil {
		t.Errorf("after it: %v", err)
	}
	events := ok[*vault.History](t)(p.open(t).History(t.Context(), "m")).Events
	if last := events[len(events)-1]; last.By != "olga" || last.What != "passed over 1 unverifiable slots: stolen credential" {
		t.Errorf("on record: %+v", last)
	}
	// A removal does not wait for a journal that is blocked: it names it.
	if _, err := p.mem.Put(t.Context(), "a/"+h.Head.Journal+"/log/"+journal.Slot(seq+2), junk); err != nil {
		t.Fatal(err)
	}
	_, s, err := p.open(t).MemberRemove(t.Context(), "dev", "")
	if err != nil || !p.open(t).State().Member("dev").Removed || !waits(s, h.Head.Journal, "its journal does not verify") {
		t.Errorf("a removal beside a blocked journal: %+v, %v", s, err)
	}
}
