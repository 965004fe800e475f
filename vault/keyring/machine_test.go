package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
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
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// machine is one vault with one artefact, the actors that work on it through
// the real code, and oracles that watch every step. Whatever is not an actor's
// happens at once.
type machine struct {
	t       testing.TB
	ctx     context.Context
	world   *vaulttest.World
	store   *watched
	deviate state.Deviation
	variant variant
	rogue   bool // somebody activates what they have not checked

	actors  []*actor
	alice   *Ring // who asks, executes, cancels, holds, and reads
	bob     *Ring // who approves and releases
	pat     *Ring // who pushes, and reads nothing
	running *actor
	content map[string]byte // what a stored chunk holds, by key

	step      int
	trace     []string
	bad       string // the first violation
	adversary *vaulttest.Adversary
	commits   map[canonical.ID]int // the step at which a version committed
	lists     map[canonical.ID][]string
	voids     int
	flights   []flight
}

// flight is a put whose bytes left an actor and have not arrived.
type flight struct {
	key  string
	body []byte
}

// templates holds vaults with members and nothing else, to start from.
var templates sync.Map

type templateKey struct {
	cipher  seal.Cipher
	mode    string
	keepers int
}

func template(t testing.TB, k templateKey) *vaulttest.World {
	t.Helper()
	if w, ok := templates.Load(k); ok {
		return w.(*vaulttest.World)
	}
	w := vaulttest.NewWorld(t, vaulttest.Config{Cipher: k.cipher, Mode: k.mode, Keepers: k.keepers, Members: map[string][]string{
		"bob": {state.Custodian, state.Operator}, "pat": {state.Pusher}, "run": {state.Runner}, "rita": {state.Developer}}})
	templates.Store(k, w)
	return w
}

func newMachine(t testing.TB, ctx context.Context, k templateKey, delay time.Duration, deviate state.Deviation, v variant) *machine {
	m := &machine{t: t, ctx: ctx, world: template(t, k).Copy(t, delay), deviate: deviate, variant: v,
		content: map[string]byte{}, commits: map[canonical.ID]int{}, lists: map[canonical.ID][]string{}}
	once := backendtest.NewWriteOnce(reporter{t, m}, m.world.Store, func(key string) bool { return strings.Contains(key, "log/") })
	m.store = &watched{Store: once, m: m, once: once, puts: map[string]int{}}
	for _, key := range m.world.Store.Keys() {
		b, err := ledger.ReadObject(ctx, m.world.Store, key, 0)
		must(t, err)
		m.store.before = append(m.store.before, backendtest.Object{Key: key, Body: b})
	}
	m.adversary = vaulttest.NewAdversary(m.world)
	m.alice, m.bob, m.pat = m.ring("alice"), m.ring("bob"), m.ring("pat")
	return m
}

// ring returns a ring of somebody who is no actor. Actors who work as the same
// member share their view of the vault's own journal, to save time.
func (m *machine) ring(member string) *Ring {
	session := m.world.Session(member, &whoever{m.store, m})
	session.Deviate = m.deviate
	v, err := ledger.Open(m.ctx, session, m.world.Genesis)
	must(m.t, err)
	return &Ring{Vault: v, Ledger: v.Artefact(state.ArtefactID(v.NameKey(), artefact)), Store: m.store, Keepers: m.world.AllKeepers(), Jobs: 1}
}

// whoever is the store as the actor that runs sees it; the vault's own journal,
// which several actors read through one lock, as it is.
type whoever struct {
	backends.Store
	m *machine
}

func (w *whoever) of(key string) backends.Store {
	if w.m.running == nil || !strings.HasPrefix(key, "a/") {
		return w.Store
	}
	return w.m.running.Store(w.Store)
}

func (w *whoever) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	return w.of(key).Put(ctx, key, body)
}

func (w *whoever) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	return w.of(ref.Key).Get(ctx, ref, off, n)
}

func (w *whoever) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return w.of(prefix).List(ctx, prefix, o)
}

// reporter turns what a WriteOnce complains of into a violation.
type reporter struct {
	testing.TB
	m *machine
}

func (r reporter) Errorf(format string, args ...any) { r.m.violated("overwrite: "+format, args...) }
func (r reporter) Helper()                           {}

// violated records the first violation.
func (m *machine) violated(format string, args ...any) {
	if m.bad == "" {
		m.bad = fmt.Sprintf(format, args...)
		m.log("VIOLATION %s", m.bad)
	}
}

func (m *machine) log(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf("%4d  ", m.step)+fmt.Sprintf(format, args...))
}

// watched tells the machine what storage accepts.
type watched struct {
	backends.Store
	m      *machine
	once   *backendtest.WriteOnce
	before []backendtest.Object // what stood there at the start
	puts   map[string]int       // key: step of the put that was accepted last
	dirty  bool                 // the journal, or what opens a version, changed
}

// history returns every object ever written.
func (w *watched) history() []backendtest.Object {
	return append(w.before[:len(w.before):len(w.before)], w.once.History()...)
}

func (w *watched) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	info, err := w.Store.Put(ctx, key, body)
	if err == nil {
		w.puts[key] = w.m.step
		w.dirty = w.dirty || strings.Contains(key, "/log/")
	}
	return info, err
}

func (w *watched) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	w.dirty = true
	return w.Store.Erase(ctx, keys...)
}

// actor works as a member, through a ring of its own.
type actor struct {
	*vaulttest.Actor
	m       *machine
	as      *Ring // the member
	ring    *Ring
	variant variant
	what    string
	broken  *Resume // a push that a crash cut off
}

func (m *machine) actor(name string, as *Ring) *actor {
	ac := &actor{Actor: vaulttest.NewActor(name), m: m, as: as, variant: m.variant}
	m.actors = append(m.actors, ac)
	return ac
}

// start begins an operation. After a crash the actor has forgotten all but, in
// order to save time, what it read of journals, and sometimes that as well.
func (ac *actor) start(what string, code func(context.Context, *Ring) error) {
	m := ac.m
	if ac.ring == nil {
		keepers := map[string]custody.Keeper{}
		for id, k := range m.world.Keepers {
			if ac.as != m.pat {
				keepers[id] = ac.Keeper(&watchedKeeper{k, m.store})
			}
		}
		ac.ring = &Ring{Vault: ac.as.Vault, Ledger: ac.as.Vault.Artefact(m.alice.Ledger.ID), Store: ac.Store(m.store), Keepers: keepers, Jobs: 1, variant: ac.variant}
	}
	if ac.Crashed() {
		ac.ring = &Ring{Vault: ac.ring.Vault, Ledger: ac.ring.Ledger, Store: ac.ring.Store, Keepers: ac.ring.Keepers, Jobs: 1, variant: ac.variant}
		if m.step%8 == 0 {
			ac.ring.Ledger = ac.ring.Vault.Artefact(m.alice.Ledger.ID)
		}
	}
	ac.what = what
	m.log("%s: %s", ac.Name, what)
	m.running = ac
	ac.Start(m.ctx, func(ctx context.Context) error { return code(ctx, ac.ring) })
	m.running = nil
	m.after(ac)
}

// watchedKeeper tells the machine that a key may have died.
type watchedKeeper struct {
	*custodytest.Mem
	store *watched
}

func (k *watchedKeeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	k.store.dirty = true
	return k.Mem.Destroy(ctx, ref)
}

// proceed decides about an actor's call, and looks at what came of it.
func (m *machine) proceed(ac *actor, f vaulttest.Fate) {
	c := ac.Pending
	m.step++
	m.world.Clock.Advance(time.Second)
	m.log("%s: %s %s%s", ac.Name, m.describe(c), [...]string{"", "LOST ", "KEPT ", "CRASH ", "CRASH, KEPT ", "PART ", "CRASH, PART ", "CORRUPT "}[f], short(c.Key))
	m.running = ac
	ac.Proceed(f)
	m.running = nil
	m.after(ac)
}

func (m *machine) after(ac *actor) {
	m.look()
	if ac.Pending != nil {
		return
	}
	m.log("%s: %s ends: %v", ac.Name, ac.what, ac.Err)
	var void *state.Void
	switch {
	case ac.Err == nil || ac.Crashed() || m.rogue:
	case errors.Is(ac.Err, ErrIntegrity):
		m.violated("%s reports damage: %v", ac.what, ac.Err)
	case errors.As(ac.Err, &void):
		m.violated("%s wrote an entry that is void: %v", ac.what, ac.Err)
	}
}

// describe names a call: of a journal slot the kind of entry.
func (m *machine) describe(c *vaulttest.Call) string {
	if c.Op == "put" && strings.Contains(c.Key, "/log/") {
		return "append " + m.kind(c.Body)
	}
	return c.Op + " "
}

func short(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		if len(p) > 12 {
			parts[i] = p[:8]
		}
	}
	if len(parts) > 2 && parts[0] == "a" {
		parts = parts[2:]
	}
	return strings.Join(parts, "/")
}

// run lets an actor go on, everything passing, until its pending call matches,
// or it is done. It reports whether one matched.
func (m *machine) until(ac *actor, match func(*vaulttest.Call) bool) bool {
	for range maxCalls {
		if ac.Pending == nil || m.bad != "" {
			return false
		}
		if match(ac.Pending) {
			return true
		}
		m.proceed(ac, vaulttest.Pass)
	}
	m.violated("(d) %s does not end", ac.what)
	m.proceed(ac, vaulttest.Crash)
	return false
}

// maxCalls bounds what one operation of a lone actor may take.
const maxCalls = 2000

// finish lets an actor end what it does.
func (m *machine) finish(ac *actor) error {
	m.until(ac, func(*vaulttest.Call) bool { return false })
	return ac.Err
}

// stop crashes everybody.
func (m *machine) stop() {
	for _, ac := range m.actors {
		if ac.Pending != nil {
			m.proceed(ac, vaulttest.Crash)
		}
	}
}

// deliver lets a put arrive.
func (m *machine) deliver(i int) {
	f := m.flights[i]
	m.flights = slices.Delete(m.flights, i, i+1)
	m.step++
	_, err := m.store.Put(m.ctx, f.key, f.body)
	m.log("arrives: %s (%v)", short(f.key), err)
	m.look()
}
