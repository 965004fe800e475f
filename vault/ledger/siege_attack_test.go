package ledger_test

import (
	"crypto/elliptic"
	"maps"
	"math/big"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// lowered returns a DER signature with s in the lower half, as envelopes hold it.
func lowered(der []byte) []byte {
	r, s := new(big.Int), new(big.Int)
	input := cryptobyte.String(der)
	var inner cryptobyte.String
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(r) || !inner.ReadASN1Integer(s) {
		return der
	}
	n := elliptic.P256().Params().N
	if s.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
		s.Sub(n, s)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	return b.BytesOrPanic()
}

// attacks are what storage does, alone or with a stolen key.
var attacks = []string{"hide", "hide tail", "flip", "truncate", "swap", "replay", "junk", "freeze", "fork", "join", "swallow", "lift", "respell",
	"forge act", "forge role", "forge order", "forge gap", "forge vault", "forge genesis", "forge skip", "stranger", "removed", "removed anew", "metadata", "document", "twin", "heal"}

// attack makes storage do something to one client's view.
func (s *siege) attack(rt *rapid.T) {
	c := rapid.SampledFrom(s.clients).Draw(rt, "victim")
	defer s.look(rt, c)
	what := rapid.SampledFrom(attacks).Draw(rt, "attack")
	name := rapid.SampledFrom(append([]string{""}, s.names...)).Draw(rt, "journal")
	keys := c.view.Keys(s.prefix(name))
	s.log("attack %s on %s, journal %q of %d", what, c.name, name, len(keys))
	switch what {
	case "heal":
		c.view.Heal()
		return
	case "freeze":
		c.view.Freeze()
		return
	case "fork":
		c.view.Fork()
		return
	case "join":
		c.view.Join(rapid.SampledFrom(s.clients).Draw(rt, "other").view)
		return
	case "swallow":
		c.view.Swallow(rapid.IntRange(1, 3).Draw(rt, "puts"))
		return
	case "metadata", "document":
		if there := c.view.Keys(map[string]string{"metadata": "meta/", "document": "doc/"}[what]); len(there) > 0 {
			s.damage(rt, c.view, rapid.SampledFrom(there).Draw(rt, "object"))
		}
		return
	case "twin":
		s.swapVaults(rt, c, name)
		return
	}
	if len(keys) == 0 {
		return
	}
	key := keys[0] // the newest
	if rapid.Bool().Draw(rt, "older") {
		key = rapid.SampledFrom(keys).Draw(rt, "key")
	}
	switch what {
	case "hide":
		c.view.Hide(key)
	case "hide tail":
		for _, k := range keys[:rapid.IntRange(1, len(keys)).Draw(rt, "tail")] {
			c.view.Hide(k)
		}
	case "flip", "truncate":
		s.damage(rt, c.view, key)
	case "swap":
		there := c.view.Keys(rapid.SampledFrom([]string{"log/", "a/", "meta/", ""}).Draw(rt, "where"))
		if len(there) == 0 {
			return
		}
		other := rapid.SampledFrom(there).Draw(rt, "with")
		a, b := c.view.Read(key), c.view.Read(other)
		c.view.Show(key, b)
		c.view.Show(other, a)
	case "replay": // an older object in a newer slot
		c.view.Show(s.next(name, keys), c.view.Read(key))
	case "junk":
		c.view.Show(s.next(name, keys), []byte("junk"))
	default:
		s.forge(rt, c, what, name, keys, key)
	}
}

// swapVaults shows a client what stands in another vault of the same people: in
// one slot, for a whole journal, or for all that a vault begins with.
func (s *siege) swapVaults(rt *rapid.T, c *client, name string) {
	show := func(prefix, of string) {
		for _, key := range c.view.Keys(prefix) {
			c.view.Hide(key)
		}
		for _, key := range s.twin.keys(of) {
			c.view.Show(prefix+strings.TrimPrefix(key, of), s.twin.read(key))
		}
	}
	prefix, of := s.prefix(name), journalPrefix(s.twin.nameKey, name)
	switch rapid.SampledFrom([]string{"slot", "journal", "vault"}).Draw(rt, "how much") {
	case "slot":
		if theirs := s.twin.keys(of); len(theirs) > 0 {
			key := rapid.SampledFrom(theirs).Draw(rt, "theirs")
			c.view.Show(prefix+strings.TrimPrefix(key, of), s.twin.read(key))
		}
	case "journal":
		show(prefix, of)
	case "vault":
		show("log/", "log/")
		show("meta/", "meta/")
		show("a/", "a/")
	}
}

// look mostly lets the victim read at once, before storage heals, and often as a
// new process.
func (s *siege) look(rt *rapid.T, c *client) {
	next := rapid.IntRange(0, 5).Draw(rt, "next")
	if next == 0 || s.bad != "" {
		return
	}
	if next < 3 {
		c.stop()
	}
	c.readAll()
}

func (s *siege) damage(rt *rapid.T, v *vaulttest.View, key string) {
	b := slices.Clone(v.Read(key))
	if len(b) == 0 {
		return
	}
	n := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
	if rapid.Bool().Draw(rt, "cut") {
		v.Show(key, b[:n])
		return
	}
	b[n] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
	v.Show(key, b)
}

// next is the slot above those that are shown.
func (s *siege) next(name string, keys []string) string {
	prefix := s.prefix(name)
	for seq := uint64(len(keys)); ; seq++ {
		if k := prefix + journal.Slot(seq); !slices.Contains(keys, k) {
			return k
		}
	}
}

// forge puts objects into a view that take a stolen identity to make.
func (s *siege) forge(rt *rapid.T, c *client, what, name string, keys []string, key string) {
	ctx := s.t.Context()
	forger := s.thief()
	tail := forger.Entries(ctx, c.view.Read(keys[0]))
	if len(tail) == 0 {
		return
	}
	last := tail[len(tail)-1]
	id := s.world.Members["dana"].Identity
	h := entry.Header{Kind: state.KindFence, Critical: true, Genesis: s.world.Genesis, Journal: last.Journal, Seq: last.Seq + 1, Prev: last.Hash, Vault: last.Vault,
		Time: last.Time, Op: canonical.NewID()}
	if h.Journal == entry.VaultJournal {
		h.Vault = last.Position()
	}
	body := any(state.Fence{})
	at := s.prefix(name) + journal.Slot(h.Seq)
	sign := func(id *identity.Identity) {
		e := forger.Sign(ctx, id, h, body)
		s.record(e)
		tail = append(tail, e)
	}
	put := func(key string, sealed []byte) {
		if rapid.IntRange(0, 3).Draw(rt, "for all") == 0 {
			if _, err := s.hostile.Truth.Put(ctx, key, sealed); err == nil {
				return
			}
		}
		c.view.Show(key, sealed)
	}
	switch what {
	case "lift": // into its own number, or on top, of another journal
		from := rapid.SampledFrom(append([]string{""}, s.names...)).Draw(rt, "from")
		there := c.view.Keys(s.prefix(from))
		if len(there) == 0 {
			return
		}
		lifted := forger.Entries(ctx, c.view.Read(rapid.SampledFrom(there).Draw(rt, "object")))
		if len(lifted) == 0 {
			return
		}
		at = s.prefix(name) + journal.Slot(lifted[len(lifted)-1].Seq)
		c.view.Show(at, forger.Object(lifted))
		return
	case "respell":
		there := forger.Entries(ctx, c.view.Read(key))
		if len(there) == 0 {
			return
		}
		e := there[len(there)-1]
		spellings := vaulttest.Respellings(s.t, e)
		raw := spellings[rapid.SampledFrom(slices.Sorted(maps.Keys(spellings))).Draw(rt, "spelling")]
		var lines [][]byte
		for _, before := range there[:len(there)-1] {
			lines = append(lines, before.Raw)
		}
		c.view.Show(key, forger.Raw(append(lines, raw)...))
		return
	case "forge act": // what the stolen key may do
	case "forge role": // what it may not
		h.Kind, h.Critical, body = state.KindHold, true, state.Hold{ID: canonical.NewID(), Reason: "forged"}
		if h.Journal == entry.VaultJournal {
			h.Kind, body = state.KindMemberSuspend, state.MemberMark{Name: "alice"}
		}
	case "forge order":
		h.Prev = canonical.Sum([]byte("elsewhere"))
	case "forge gap":
		h.Seq += rapid.Uint64Range(1, 3).Draw(rt, "gap")
		at = s.prefix(name) + journal.Slot(h.Seq)
	case "forge vault":
		h.Vault = entry.Position{Seq: h.Vault.Seq + rapid.Uint64Range(0, 2).Draw(rt, "ahead"), Hash: canonical.Sum([]byte("another head"))}
	case "forge genesis": // signed for another vault
		h.Genesis = canonical.Sum([]byte("another vault"))
	case "forge skip":
		h.Kind, body = state.KindSkip, entry.Skip{Slots: []entry.SkippedSlot{{Seq: h.Seq, SHA256: canonical.Sum(nil)}}, Reason: "forged"}
		h.Seq++
		at = s.prefix(name) + journal.Slot(h.Seq)
	case "stranger":
		id = s.world.Members["stranger"].Identity
		e := forger.Sign(ctx, id, h, body)
		put(at, forger.Object(append(tail, e)))
		return
	case "removed": // back-dated to when mel was a member
		id = s.world.Members["mel"].Identity
		if h.Journal != entry.VaultJournal && rapid.Bool().Draw(rt, "back-dated") {
			h.Vault = tail[0].Vault
			h.Time = tail[0].Time
		}
	case "removed anew": // in an artefact that was not there
		id = s.world.Members["mel"].Identity
		v := forger.Vault()
		fresh := rapid.SampledFrom([]string{"c", "d"}).Draw(rt, "name")
		if !slices.Contains(s.names, fresh) {
			s.names = append(s.names, fresh)
		}
		aid := state.ArtefactID(v.NameKey(), fresh)
		h = entry.Header{Kind: state.KindRegister, Critical: true, Genesis: s.world.Genesis, Journal: aid.String(), Vault: v.State().Head, Time: v.State().Time, Op: canonical.NewID()}
		if past := v.Log().Entries; rapid.Bool().Draw(rt, "back-dated") {
			then := rapid.SampledFrom(past[len(s.world.Members)-2:]).Draw(rt, "when")
			h.Vault, h.Time = then.Position(), then.Time
		}
		body, tail, at = state.Register{Name: fresh}, nil, ledger.ArtefactPrefix(aid)+"log/"+journal.Slot(0)
	}
	sign(id)
	put(at, forger.Object(tail))
}
