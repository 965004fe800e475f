package ledger_test

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// sieges is how many random histories TestSieges runs, in hundreds.
var sieges = flag.Int("sieges", 20, "random histories under a hostile store, in hundreds")

// TestSieges runs random histories of a vault whose storage does to each client
// what it likes, with a stolen developer's key and that of a member who was
// removed. Alteration, gaps and reordering are accepted by nobody; what a client
// accepts continues what it accepted before; who remembers, was given a head, or
// knows a cosigned one, is never shown less.
func TestSieges(t *testing.T) {
	n := *sieges
	if raceDetector || testing.Short() {
		n = (n + 19) / 20
	}
	f := newFortress(t)
	var accepted, refused atomic.Int64
	t.Run("all", func(t *testing.T) {
		for i := range n {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				var told sync.Once // keys are random: what rapid makes of it may be another story, or none
				rapid.Check(t, func(rt *rapid.T) {
					s := besiege(t, rt, f, sound)
					if s.bad != "" {
						told.Do(func() { t.Log(s.story()) })
						rt.Fatal(s.bad)
					}
					accepted.Add(int64(s.accepted))
					refused.Add(int64(s.refused))
				})
			})
		}
	})
	t.Logf("%d histories: %d reads of a journal accepted, %d refused", n*100, accepted.Load(), refused.Load())
	if a, r := accepted.Load(), refused.Load(); a < r/4 || r < a/30 {
		t.Errorf("%d reads accepted, %d refused: the sieges show little", a, r)
	}
}

// TestSiegesOfTheWeak: of clients that lack one defence, a siege finds out each.
func TestSiegesOfTheWeak(t *testing.T) {
	f := newFortress(t)
	for _, weak := range []weakness{forgetful, unpinned, unwitness, gullible, trusting} {
		t.Run(string(weak), func(t *testing.T) {
			t.Parallel()
			gen := rapid.Custom(func(rt *rapid.T) string {
				return besiege(t, rt, f, weak).bad
			})
			for seed := range 600 {
				if bad := gen.Example(seed); bad != "" {
					t.Logf("history %d: %s", seed, bad)
					return
				}
			}
			t.Error("600 histories do not show it")
		})
	}
}

// besiege runs one history, in a time of its own: writers who lose a slot pause.
func besiege(t *testing.T, rt *rapid.T, f *fortress, weak weakness) (s *siege) {
	var stopped any
	synctest.Test(t, func(t *testing.T) {
		s = newSiege(t, f, weak)
		defer func() {
			stopped = recover() // rapid ends a history that way
			switch stopped.(type) {
			case runtime.Error, string: // what rapid ends one with has types of its own
				s.violated("panic: %v\n%s", stopped, debug.Stack())
				stopped = nil
			}
		}()
		s.run(rt)
	})
	if stopped != nil {
		panic(stopped)
	}
	return s
}

// run runs one history.
func (s *siege) run(rt *rapid.T) {
	least := 4
	if s.weak != sound {
		least = 24 // what is there to find is found in fewer histories
	}
	for range rapid.IntRange(least, least+12).Draw(rt, "steps") {
		if s.bad != "" {
			return
		}
		if rapid.IntRange(0, 1).Draw(rt, "who") == 0 {
			s.attack(rt)
		} else {
			s.act(rt)
		}
	}
}

// act lets a client do something honest.
func (s *siege) act(rt *rapid.T) {
	c := rapid.SampledFrom(s.clients).Draw(rt, "client")
	name := rapid.SampledFrom(s.names).Draw(rt, "artefact")
	switch what := rapid.SampledFrom([]string{"read", "read", "read", "write", "write", "policy", "restart", "pin", "cosign", "remove", "time"}).Draw(rt, "act"); what {
	case "read":
		c.readAll()
	case "write":
		kind, body := state.KindFence, any(state.Fence{})
		if c.name == "alice" || c.name == "bob" {
			kind, body = state.KindHold, state.Hold{ID: canonical.NewID(), Reason: "r"}
		}
		c.write(name, kind, body)
	case "policy":
		s.clients[0].writeVault(state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: rapid.IntRange(1, 3).Draw(rt, "approvals"), AdminQuorum: 1}})
	case "restart":
		s.log("%s starts anew", c.name)
		c.stop()
	case "pin", "cosign":
		s.vouch(c, what)
	case "remove":
		s.clients[0].remove()
	case "time":
		s.world.Clock.Advance(1 << 32)
	}
}

// vouch gives a client, when it next starts, heads that stand in the truth and
// that somebody else, or a witness, has seen there.
func (s *siege) vouch(c *client, what string) {
	v := s.thief().Vault()
	heads := map[string]entry.Position{entry.VaultJournal: v.State().Head}
	for _, name := range s.names {
		a := v.Artefact(state.ArtefactID(v.NameKey(), name))
		if _, err := a.Fold(s.t.Context()); err == nil {
			heads[a.ID.String()] = a.State().Head
		}
	}
	s.log("%s of %d heads for %s", what, len(heads), c.name)
	c.stop()
	if what == "cosign" {
		c.vouched = heads
		return
	}
	c.pins = nil
	for id, p := range heads {
		c.pins = append(c.pins, ledger.Pin{Journal: id, Position: p})
	}
}

// readAll reads every journal.
func (c *client) readAll() {
	if !c.readVault() {
		return
	}
	for _, name := range c.s.names {
		c.readArtefact(name)
		if c.s.weak == gullible {
			c.believe(name)
		}
	}
}

// believe reads a journal as a client would that checks no signatures.
func (c *client) believe(name string) {
	a := c.vault.Artefact(state.ArtefactID(c.vault.NameKey(), name))
	j := journal.Journal{Store: c.view, Prefix: c.s.prefix(name), ID: a.ID.String(), Genesis: c.s.world.Genesis,
		Open: func(sealed []byte) ([]byte, error) {
			plain, err := c.vault.OpenMetadata(c.s.t.Context(), sealed)
			if err != nil {
				return nil, journal.Unverified(err)
			}
			return plain, nil
		}}
	if log, err := j.Read(c.s.t.Context(), nil); err == nil {
		for _, e := range log.Entries {
			if why := c.s.genuine(e); why != "" {
				c.s.violated("%s believes entry %d of %s, which %s", c.name, e.Seq, name, why)
			}
		}
	}
}
