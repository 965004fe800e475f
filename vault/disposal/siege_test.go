package disposal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// siege is one vault, the clerks that work on it through the real code one call
// at a time, and the coercive adversary, who is asked whenever something changed.
type siege struct {
	t     testing.TB
	ctx   context.Context
	rng   *rand.Rand
	world *vaulttest.World
	store *guarded
	wrong wrong

	view      *Desk // of rita, who reads, on what storage shows
	artefacts []canonical.Digest
	clerks    []*clerk

	adversary    *vaulttest.Adversary
	attempts     map[canonical.ID]*attempt    // all that the data plane ever began to store, by version
	shared       *attempt                     // where the wrong push takes its secrets from
	confirmed    map[canonical.ID]bool        // versions whose guesses were tried since they died
	seen         map[canonical.Digest]string  // what an artefact's versions were opened at last
	certificates map[string]*Certificate      // by key
	lies         map[custody.KeyRef]time.Time // keys that a lying keeper calls destroyed, since when
	revoked      map[string]bool              // who was, for a while, no reader any more

	step  int
	trace []string
	bad   string         // the first violation
	ends  map[string]int // how many versions and disposals came to what
}

// clerk works as one member, on a desk of their own.
type clerk struct {
	*vaulttest.Actor
	s      *siege
	vault  *ledger.Vault
	desk   *Desk
	what   string
	broken *keyring.Resume // a push that a crash cut off
}

// guarded tells the siege what changes.
type guarded struct {
	backends.Store
	once              *backendtest.WriteOnce
	before            []backendtest.Object // what stood there at the start
	dirty             bool                 // a journal, a certificate or a key changed
	erased, destroyed bool
}

func (g *guarded) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	g.dirty = g.dirty || strings.Contains(key, "/log/") || strings.HasPrefix(key, CertificatePrefix)
	return g.Store.Put(ctx, key, body)
}

func (g *guarded) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	g.dirty, g.erased = true, true
	return g.Store.Erase(ctx, keys...)
}

// history returns every object ever written.
func (g *guarded) history() []backendtest.Object {
	return append(g.before[:len(g.before):len(g.before)], g.once.History()...)
}

// guardedKeeper tells the siege that a key may have died.
type guardedKeeper struct {
	custody.Keeper
	store *guarded
}

func (k *guardedKeeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	k.store.dirty, k.store.destroyed = true, true
	return k.Keeper.Destroy(ctx, ref)
}

// besieged is who works in a siege: two who push, one of whom operates; two
// custodians; two runners.
var besieged = map[string][]string{
	"rita": {state.Developer}, "olaf": {state.Developer, state.Operator}, "cust": {state.Custodian}, "dora": {state.Custodian},
	"run": {state.Runner}, "rob": {state.Runner},
}

// templates holds vaults with members and nothing else, to start from.
var templates sync.Map

type templateKey struct {
	mode    string
	keepers int
}

func founded(t testing.TB, k templateKey) *vaulttest.World {
	t.Helper()
	if w, ok := templates.Load(k); ok {
		return w.(*vaulttest.World)
	}
	w := vaulttest.NewWorld(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Mode: k.mode, Keepers: k.keepers, Members: besieged})
	templates.Store(k, w)
	return w
}

func newSiege(t testing.TB, ctx context.Context, k templateKey, delay time.Duration, rng *rand.Rand, w wrong) *siege {
	s := &siege{t: t, ctx: ctx, rng: rng, world: founded(t, k).Copy(t, delay), wrong: w,
		attempts: map[canonical.ID]*attempt{}, confirmed: map[canonical.ID]bool{}, lies: map[custody.KeyRef]time.Time{}, certificates: map[string]*Certificate{}, seen: map[canonical.Digest]string{}, revoked: map[string]bool{}, ends: map[string]int{}}
	once := backendtest.NewWriteOnce(reporter{t, s}, s.world.Store, func(key string) bool {
		return strings.Contains(key, "log/") || strings.HasPrefix(key, CertificatePrefix)
	})
	s.store = &guarded{Store: once, once: once}
	for _, key := range s.world.Store.Keys() {
		b, err := ledger.ReadObject(ctx, s.world.Store, key, 0)
		must(t, err)
		s.store.before = append(s.store.before, backendtest.Object{Key: key, Body: b})
	}
	s.adversary = vaulttest.NewThoroughAdversary(s.world)
	s.view = &Desk{Vault: s.world.Open(t, "rita", s.store), Store: s.store, Keepers: s.world.AllKeepers(), Jobs: 1}
	for _, name := range []string{"rita", "olaf", "cust", "dora", "run", "rob"} {
		c := &clerk{Actor: vaulttest.NewActor(name), s: s}
		c.vault = s.world.Open(t, name, c.Store(s.store))
		s.clerks = append(s.clerks, c)
	}
	for i := range 1 + rng.IntN(5)/4 {
		s.register(fmt.Sprintf("team/model-%d", i))
	}
	return s
}

func (s *siege) register(name string) {
	id := s.view.id(name)
	must(s.t, s.view.ring(id).Register(s.ctx, name, []keyring.Reader{s.reader("rita"), s.reader("olaf")}, canonical.NewID()))
	s.artefacts = append(s.artefacts, id)
}

// clerk returns a clerk by name.
func (s *siege) clerk(name string) *clerk {
	return s.clerks[slices.IndexFunc(s.clerks, func(c *clerk) bool { return c.Name == name })]
}

// reporter turns what a WriteOnce complains of into a violation.
type reporter struct {
	testing.TB
	s *siege
}

func (r reporter) Errorf(format string, args ...any) { r.s.violated("overwrite: "+format, args...) }
func (r reporter) Helper()                           {}

// violated records the first violation.
func (s *siege) violated(format string, args ...any) {
	if s.bad == "" {
		s.bad = fmt.Sprintf(format, args...)
		s.log("VIOLATION %s", s.bad)
	}
}

func (s *siege) log(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%4d  ", s.step)+fmt.Sprintf(format, args...))
}

// start begins an act. After a crash the clerk has forgotten all but, in order
// to save time, what they read of the vault's journal.
func (c *clerk) start(what string, code func(context.Context, *Desk) error) {
	if c.desk == nil || c.Crashed() {
		c.desk = &Desk{Vault: c.vault, Store: c.Store(c.s.store), Keepers: map[string]custody.Keeper{}, Jobs: 1, Tool: "aivault test"}
		for id, k := range c.s.world.Keepers {
			c.desk.Keepers[id] = c.Keeper(&guardedKeeper{c.s.keeper(k), c.s.store})
		}
	}
	c.what = what
	c.s.log("%s: %s", c.Name, what)
	c.Start(c.s.ctx, func(ctx context.Context) error { return code(ctx, c.desk) })
	c.s.after(c)
}

// proceed decides about a clerk's call, and looks at what came of it.
func (s *siege) proceed(c *clerk, f vaulttest.Fate) {
	s.step++
	s.world.Clock.Advance(time.Second)
	if f != vaulttest.Pass || c.Pending.Op == "put" || c.Pending.Op == "erase" || c.Pending.Op == "destroy" {
		fates := [...]string{"", "LOST ", "KEPT ", "CRASH ", "CRASH, KEPT ", "PART ", "CRASH, PART ", "CORRUPT "}
		s.log("%s: %s%s %s", c.Name, fates[f], c.Pending.Op, c.Pending.Key)
	}
	c.Proceed(f)
	s.after(c)
}

func (s *siege) after(c *clerk) {
	s.look()
	if c.Pending != nil {
		return
	}
	s.log("%s: %s ends: %v", c.Name, c.what, c.Err)
	switch {
	case c.Err == nil || c.Crashed():
	case errors.Is(c.Err, keyring.ErrIntegrity), errors.Is(c.Err, ErrFailed):
		s.violated("(d) %s reports damage: %v", c.what, c.Err)
	}
}

// maxCalls bounds what one act of a lone clerk may take.
const maxCalls = 4000

// finish lets a clerk end what they do.
func (s *siege) finish(c *clerk) error {
	for range maxCalls {
		if c.Pending == nil || s.bad != "" {
			return c.Err
		}
		s.proceed(c, vaulttest.Pass)
	}
	s.violated("(d) %s does not end", c.what)
	return c.Err
}

// stop crashes everybody.
func (s *siege) stop() {
	for _, c := range s.clerks {
		if c.Pending != nil {
			s.proceed(c, vaulttest.Crash)
		}
	}
}

// state folds an artefact as rita.
func (s *siege) state(aid canonical.Digest) *state.Artefact {
	a, err := s.view.fold(s.ctx, aid)
	if err != nil {
		s.violated("(d) a journal does not verify: %v", err)
		return s.view.ring(aid).Ledger.State()
	}
	return a
}

func (s *siege) requests() []*state.Request {
	all, err := s.view.Requests(s.ctx)
	if err != nil {
		s.violated("(d) the vault's journal does not verify: %v", err)
	}
	return all
}

func (s *siege) keepers() map[string]custodytest.State {
	out := map[string]custodytest.State{}
	for id, k := range s.world.Keepers {
		out[id] = k.CurrentState()
	}
	return out
}
