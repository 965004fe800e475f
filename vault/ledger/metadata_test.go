package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// identityText is an identity under an id, as metadata objects spell it.
type identityText struct {
	MID      canonical.ID `json:"mid"`
	Identity string       `json:"identity"`
}

// metadataText is the plaintext of a metadata object, written down anew: what
// the format document says.
type metadataText struct {
	Format   string           `json:"format"`
	MID      canonical.ID     `json:"mid"`
	Identity string           `json:"identity"`
	Older    []identityText   `json:"older"`
	NameKey  canonical.Digest `json:"name_key"`
}

// attacker can put objects into the bucket, and knows the members' public lines.
type attacker struct {
	*place
	key     seal.Key
	nameKey canonical.Digest
}

func (p *place) attacker() *attacker {
	k, err := seal.Age{}.Generate()
	p.ok(err)
	return &attacker{place: p, key: k, nameKey: canonical.Sum([]byte("chosen by the attacker"))}
}

// plant puts a metadata object that opens for the members named, newer than all others.
func (a *attacker) plant(older []identityText, victims ...string) canonical.ID {
	a.tb.Helper()
	a.now = a.now.Add(time.Minute)
	mid := canonical.NewID()
	a.store(ledger.MetadataKey(mid), a.sealed(metadataText{Format: "aivault-metadata/1", MID: mid, Identity: a.key.Reveal(), Older: older, NameKey: a.nameKey}, victims...))
	return mid
}

func (a *attacker) sealed(m metadataText, victims ...string) []byte {
	a.tb.Helper()
	if m.Older == nil {
		m.Older = []identityText{}
	}
	plain, err := canonical.Marshal(m)
	a.ok(err)
	var to []string
	for _, v := range victims {
		to = append(to, seal.AsKey(a.who(v).Sealing()).Recipient())
	}
	b, err := seal.Age{}.Seal(plain, to...)
	a.ok(err)
	return b
}

// opened returns a metadata object as its member sees it.
func (p *place) opened(mid canonical.ID, name string) metadataText {
	p.tb.Helper()
	plain, err := seal.AsKey(p.who(name).Sealing()).OpenShared(p.read(ledger.MetadataKey(mid)))
	p.ok(err)
	var m metadataText
	p.ok(canonical.Unmarshal(plain, &m))
	return m
}

func (m metadataText) all() []identityText {
	return append([]identityText{{m.MID, m.Identity}}, m.Older...)
}

// trusts checks that a client took nothing from the attacker.
func (a *attacker) trusts(v *ledger.Vault, nameKey [32]byte) {
	a.tb.Helper()
	if v.NameKey() != nameKey || v.NameKey() == [32]byte(a.nameKey) {
		a.tb.Errorf("the name key is %x", v.NameKey())
	}
	sealed, err := v.SealMetadata([]byte("secret"))
	a.ok(err)
	if _, err := a.key.Open(sealed); err == nil {
		a.tb.Error("sealed to the attacker")
	}
	mine, err := seal.Age{}.Seal([]byte("planted"), a.key.Recipient())
	a.ok(err)
	if _, err := v.OpenMetadata(bg, mine); err == nil {
		a.tb.Error("opens what is sealed to the attacker's identity")
	}
}

// TestPlantedMetadata: an object under meta/ that opens for a member and that
// the journal does not bind serves for nothing.
func TestPlantedMetadata(t *testing.T) {
	for _, when := range []string{"cold", "running"} {
		for name, plant := range map[string]func(a *attacker, victims ...string){
			"of a stranger": func(a *attacker, victims ...string) { a.plant(nil, victims...) },
			"of a former member, with all identities": func(a *attacker, victims ...string) {
				newest := a.open("alice").State().CurrentMetadata()
				a.plant(a.opened(newest.MID, "alice").all(), victims...)
			},
			"with the right ids, and other identities": func(a *attacker, victims ...string) {
				var older []identityText
				for _, m := range a.open("alice").State().Metadata {
					older = append(older, identityText{m.MID, a.key.Reveal()})
				}
				a.plant(older, victims...)
			},
			"many": func(a *attacker, victims ...string) {
				for range 40 {
					a.plant(nil, victims...)
				}
			},
			"and a slot far up that is sealed to it": func(a *attacker, victims ...string) {
				a.plant(nil, victims...)
				sealed, err := seal.Age{}.Seal([]byte("aivault-journal/1\n"), a.key.Recipient())
				a.ok(err)
				a.store("log/"+journal.Slot(1000), sealed)
			},
		} {
			t.Run(when+" "+name, func(t *testing.T) {
				p := newPlace(t)
				alice := p.open("alice")
				p.join(alice, "bob", state.Developer, state.Admin)
				nameKey := alice.NameKey()
				bob := p.open("bob")
				a := p.attacker()
				plant(a, "alice", "bob", "carol")
				if when == "cold" {
					bob = p.open("bob")
				}
				a.trusts(bob, nameKey)
				p.ok(bob.Refresh(bg))
				a.trusts(bob, nameKey)
				p.join(bob, "carol", state.Developer)
				bound := bob.State().CurrentMetadata()
				made := p.opened(bound.MID, "carol")
				if made.NameKey != canonical.Digest(nameKey) || len(made.all()) != len(bob.State().Metadata) {
					t.Errorf("the next metadata object has %d identities and name key %s", len(made.all()), made.NameKey)
				}
				for _, id := range made.all() {
					if id.Identity == a.key.Reveal() {
						t.Error("the next metadata object hands the attacker's identity on")
					}
				}
				carol := p.open("carol")
				a.trusts(carol, nameKey)
				p.register(carol, "m")
				if st, err := alice.Artefact(state.ArtefactID(nameKey, "m")).Fold(bg); err != nil || st.Name != "m" {
					t.Errorf("registered by carol, read by alice: %v", err)
				}
			})
		}
	}
}

// TestGarbageMetadata: objects that do not open, or are none, are passed over.
func TestGarbageMetadata(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	p.join(alice, "bob", state.Developer)
	a := p.attacker()
	p.now = p.now.Add(time.Minute)
	mid := canonical.NewID()
	good := metadataText{Format: "aivault-metadata/1", MID: mid, Identity: a.key.Reveal(), NameKey: a.nameKey}
	other, badIdentity, newer := good, good, good
	other.MID, badIdentity.Identity, newer.Format = canonical.NewID(), "AGE-SECRET-KEY-PQ-1X", "aivault-metadata/2"
	plain, err := canonical.Marshal(good)
	p.ok(err)
	spaced, err := seal.Age{}.Seal(append(plain, ' '), seal.AsKey(p.who("bob").Sealing()).Recipient())
	p.ok(err)
	for name, b := range map[string][]byte{
		"empty": nil, "no age file": []byte("garbage"), "for somebody else": a.sealed(good, "alice"), "another id": a.sealed(other, "bob"),
		"no identity": a.sealed(badIdentity, "bob"), "a newer format": a.sealed(newer, "bob"), "another spelling": spaced,
	} {
		p.overwrite(ledger.MetadataKey(mid), b)
		a.trusts(p.open("bob"), alice.NameKey())
		_ = name
	}
	p.store("meta/strange", []byte("x"))
	p.store("meta/"+mid.String()+"/deeper", []byte("x"))
	p.open("bob")
}

// TestDamagedMetadata: the object that the journal binds last is named if it is
// not what is bound, also to a client that had it.
func TestDamagedMetadata(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	behind := p.open("alice")
	p.join(alice, "bob", state.Developer)
	p.ok(alice.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	p.ok(alice.Refresh(bg))
	newest := ledger.MetadataKey(alice.State().CurrentMetadata().MID)
	first := ledger.MetadataKey(alice.State().Metadata[0].MID)
	original := p.read(newest)
	a := p.attacker()
	forged := a.sealed(metadataText{Format: "aivault-metadata/1", MID: alice.State().CurrentMetadata().MID, Identity: a.key.Reveal(),
		Older: p.opened(alice.State().CurrentMetadata().MID, "alice").all()[1:], NameKey: a.nameKey}, "alice", "bob")
	for name, b := range map[string][]byte{"flipped": append([]byte{original[0] ^ 1}, original[1:]...), "truncated": original[:len(original)-1],
		"swapped": p.read(first), "forged": forged, "removed": nil} {
		p.mem.Remove(newest)
		if b != nil {
			p.store(newest, b)
		}
		for who, open := range map[string]func() error{
			"bob, cold":                func() error { _, err := ledger.Open(bg, p.session("bob"), p.genesis.Hash); return err },
			"alice, cold":              func() error { _, err := ledger.Open(bg, p.session("alice"), p.genesis.Hash); return err },
			"alice, who has read half": func() error { return behind.Refresh(bg) },
		} {
			err := open()
			if !errors.Is(err, ledger.ErrMetadata) && !errors.Is(err, ledger.ErrNoAccess) {
				t.Errorf("%s, %s: %v", name, who, err)
			}
			if who != "bob, cold" && (!errors.Is(err, ledger.ErrMetadata) || !errors.Is(err, journal.ErrUnverifiable) || !strings.Contains(err.Error(), newest)) {
				t.Errorf("%s, %s: %v does not name %s", name, who, err, newest)
			}
		}
		p.ok(alice.Refresh(bg)) // has all it needs
	}
	p.overwrite(newest, original)
	p.open("bob")
	p.ok(behind.Refresh(bg))
}

// TestAdminBindsAnotherNameKey: an admin can bind what they like; a running
// client does not follow.
func TestAdminBindsAnotherNameKey(t *testing.T) {
	p := newPlace(t)
	alice, running := p.open("alice"), p.open("alice")
	a := p.attacker()
	mid := canonical.NewID()
	object := a.sealed(metadataText{Format: "aivault-metadata/1", MID: mid, Identity: a.key.Reveal(),
		Older: p.opened(alice.State().Metadata[0].MID, "alice").all(), NameKey: a.nameKey}, "alice", "bob")
	p.store(ledger.MetadataKey(mid), object)
	p.ok(alice.Append(bg, state.KindMemberAdd, state.MemberAdd{Member: p.spec("bob"), Metadata: state.Metadata{MID: mid, Recipient: a.key.Recipient(),
		SHA256: canonical.Sum(object)}}, canonical.NewID()))
	before := running.NameKey()
	if err := running.Refresh(bg); !errors.Is(err, ledger.ErrMetadata) || running.NameKey() != before {
		t.Errorf("the name key changes under a running client: %v", err)
	}
}

// TestMetadataCache: what a client kept saves requests, and is believed no more
// than what storage says.
func TestMetadataCache(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	p.join(alice, "bob", state.Developer)
	p.ok(alice.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	open := func(c cache) (*ledger.Vault, int) {
		t.Helper()
		counting := backendtest.NewCounting(p.mem)
		s := p.session("bob")
		s.Store, s.Cache = counting, c
		v, err := ledger.Open(bg, s, p.genesis.Hash)
		p.ok(err)
		return v, counting.Count("", "meta/")
	}
	kept := cache{}
	if _, n := open(kept); n != 2 || len(kept) != 1 {
		t.Errorf("%d requests for metadata, %d objects kept", n, len(kept))
	}
	if _, n := open(kept); n != 0 {
		t.Errorf("with it kept: %d requests for metadata", n)
	}
	current := p.read(ledger.MetadataKey(alice.State().CurrentMetadata().MID))
	if string(kept["metadata"]) != string(current) {
		t.Error("what is kept is not the object that is bound")
	}
	old := cache{"metadata": current}
	p.join(alice, "carol", state.Developer)
	p.ok(alice.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	v, n := open(old)
	if n > 2 || v.NameKey() != alice.NameKey() || string(old["metadata"]) == string(current) {
		t.Errorf("out of date: %d requests for metadata", n)
	}
	a := p.attacker()
	mid := canonical.NewID()
	for name, b := range map[string][]byte{
		"garbage": []byte("garbage"), "empty": nil,
		"planted": a.sealed(metadataText{Format: "aivault-metadata/1", MID: mid, Identity: a.key.Reveal(), NameKey: a.nameKey}, "bob"),
		"forged": a.sealed(metadataText{Format: "aivault-metadata/1", MID: alice.State().CurrentMetadata().MID, Identity: a.key.Reveal(),
			Older: p.opened(alice.State().CurrentMetadata().MID, "bob").all(), NameKey: a.nameKey}, "bob"),
	} {
		poisoned := cache{"metadata": b}
		v, _ := open(poisoned)
		a.trusts(v, alice.NameKey())
		if string(poisoned["metadata"]) == string(b) {
			t.Errorf("%s: it is still kept", name)
		}
	}
}

// TestMetadataRequests: a client that runs looks for identities only when it must.
func TestMetadataRequests(t *testing.T) {
	p := newPlace(t)
	alice := p.open("alice")
	counting := backendtest.NewCounting(p.mem)
	s := p.session("alice")
	s.Store = counting
	v, err := ledger.Open(bg, s, p.genesis.Hash)
	p.ok(err)
	requests := func() string {
		defer counting.Reset()
		return fmt.Sprintf("%d for metadata, %d in all", counting.Count("", "meta/"), len(counting.Requests()))
	}
	if got := requests(); got != "2 for metadata, 4 in all" {
		t.Errorf("cold: %s", got)
	}
	p.ok(v.Refresh(bg))
	if got := requests(); got != "0 for metadata, 1 in all" {
		t.Errorf("nothing new: %s", got)
	}
	p.join(alice, "bob", state.Developer)
	p.ok(v.Refresh(bg))
	if got := requests(); got != "1 for metadata, 3 in all" {
		t.Errorf("a new member: %s", got)
	}
	p.ok(alice.Append(bg, state.KindFence, state.Fence{}, canonical.NewID()))
	p.ok(v.Refresh(bg))
	if got := requests(); got != "0 for metadata, 2 in all" {
		t.Errorf("an entry sealed to it: %s", got)
	}
	p.store("log/"+journal.Slot(entry.MaxSeq), []byte("junk"))
	p.ok(v.Refresh(bg))
	if got := requests(); got != "0 for metadata, 2 in all" {
		t.Errorf("junk far up: %s", got)
	}
}
