package keyring

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

var (
	histories = flag.Int("histories", fewer(1000), "random histories with the symbolic cipher")
	real      = flag.Int("real", fewer(50), "random histories with age")
	seed      = flag.Uint64("seed", 1, "the first seed")
)

func fewer(n int) int {
	if raceDetector {
		return n / 100
	}
	return n
}

// history is one random history: which acts and faults it has, and how often,
// is itself drawn, so that rare combinations are not drowned by common ones.
type history struct {
	*machine
	rng     *rand.Rand
	weights map[string]int
	faults  float64
	crashes float64
	corrupt int // how many stored objects of epochs may still be corrupted
	acts    []canonical.ID
	holds   []canonical.ID
}

// runHistory returns the first violation, or "".
func runHistory(t *testing.T, cipher seal.Cipher, seed uint64, steps int, deviate state.Deviation, v variant) (m *machine) {
	rng := rand.New(rand.NewPCG(seed, 1))
	k := templateKey{cipher: cipher, mode: state.AnyOf, keepers: 1}
	switch rng.IntN(6) {
	case 0:
		k.keepers = 2
	case 1:
		k.mode, k.keepers = state.AllOf, 2
	}
	delay := time.Duration(0)
	if rng.IntN(4) == 0 {
		delay = time.Hour
	}
	cryptotest.SetGlobalRandom(t, ^uint64(0)) // a template must not share keys with the history that made it
	template(t, k)
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		h := &history{machine: newMachine(t, t.Context(), k, delay, deviate, v), rng: rng, weights: map[string]int{},
			faults: []float64{0, 0.02, 0.08}[rng.IntN(3)], crashes: []float64{0, 0.02, 0.05}[rng.IntN(3)], corrupt: rng.IntN(3)}
		m = h.machine
		defer h.stop()
		h.run(steps)
	})
	return m
}

func (h *history) run(steps int) {
	for _, what := range []string{"drop", "destroy", "rotate", "purge", "gc", "reap", "push", "execute", "cancel", "hold", "release", "whole", "time", "revive", "arrive"} {
		if h.rng.IntN(3) > 0 {
			h.weights[what] = 1 + h.rng.IntN(4)
		}
	}
	h.weights["whole"] = min(h.weights["whole"], 1)
	h.actor("pusher", h.pat)
	h.actor("developer", h.alice)
	for i := range 2 + h.rng.IntN(2) {
		h.actor(fmt.Sprintf("worker-%d", i), h.alice)
	}
	if h.rng.IntN(4) > 0 {
		must(h.t, h.alice.Register(h.ctx, artefact, readers(h.world, "alice"), canonical.NewID()))
	} else {
		h.actors[2].register()
		h.actors[3].register()
	}
	for range steps {
		if h.bad != "" {
			return
		}
		h.next()
	}
	h.end()
}

// next takes one step: usually of an actor that is busy.
func (h *history) next() {
	var busy, idle []*actor
	for _, ac := range h.actors {
		if ac.Pending != nil {
			busy = append(busy, ac)
		} else {
			idle = append(idle, ac)
		}
	}
	if n := h.rng.IntN(8); len(busy) > 0 && n < 6 {
		// Runs of one actor, or races of all.
		ac := busy[h.rng.IntN(len(busy))]
		for range 1 + h.rng.IntN(6) {
			if ac.Pending == nil || h.bad != "" {
				return
			}
			h.let(ac)
		}
		return
	}
	if len(idle) > 0 && h.rng.IntN(2) == 0 {
		h.begin(idle[h.rng.IntN(len(idle))])
		return
	}
	h.happen()
}

// let decides about a call.
func (h *history) let(ac *actor) {
	c := *ac.Pending
	f, erase := vaulttest.Pass, c.Op == "erase"
	switch x := h.rng.Float64(); {
	case x < h.crashes && erase && h.rng.IntN(3) == 0:
		f = vaulttest.CrashPart
	case x < h.crashes:
		f = []vaulttest.Fate{vaulttest.Crash, vaulttest.CrashKept}[h.rng.IntN(2)]
	case x < h.crashes+h.faults && erase && h.rng.IntN(3) == 0:
		f = vaulttest.Part
	case x < h.crashes+h.faults:
		f = []vaulttest.Fate{vaulttest.Lost, vaulttest.Kept}[h.rng.IntN(2)]
	case x < h.crashes+h.faults+0.02 && h.corrupt > 0 && c.Op == "put" && strings.Contains(c.Key, "/e/"):
		h.corrupt--
		f = vaulttest.Corrupt
		// The bytes as they left the client would look like another object under the same key.
		h.flights = slices.DeleteFunc(h.flights, func(f flight) bool { return f.key == c.Key })
	}
	if c.Op == "put" && (f == vaulttest.Lost || f == vaulttest.Crash) && h.rng.IntN(2) == 0 {
		h.flights = append(h.flights, flight{c.Key, c.Body})
	}
	h.proceed(ac, f)
}

// pick draws one of the acts that have weight.
func (h *history) pick(acts ...string) string {
	sum := 0
	for _, a := range acts {
		sum += h.weights[a]
	}
	if sum == 0 {
		return ""
	}
	n := h.rng.IntN(sum)
	for _, a := range acts {
		if n -= h.weights[a]; n < 0 {
			return a
		}
	}
	return ""
}

// begin starts an operation of an idle actor.
func (h *history) begin(ac *actor) {
	if ac.Name == "pusher" || ac.Name == "developer" {
		if h.pick("push") != "" && len(h.state().Versions) < 8 {
			items := []string{"x", "y", "xy", "xyz"}[h.rng.IntN(4)]
			ac.push(items, ac.Name == "developer", ac.Name == "developer" && h.rng.IntN(2) == 0)
		}
		return
	}
	switch h.pick("drop", "destroy", "rotate", "purge", "gc", "reap") {
	case "drop":
		ac.drop()
	case "destroy":
		ac.destroy()
	case "rotate":
		ac.rotate()
	case "purge":
		ac.purge()
	case "gc":
		ac.gc()
	case "reap":
		ac.reap()
	}
}

// in returns the versions in some state.
func (h *history) in(s state.VersionState) []canonical.ID { return inState(h.state(), s) }

// happen is what nobody here decides.
func (h *history) happen() {
	switch h.pick("execute", "cancel", "hold", "release", "whole", "time", "revive", "arrive") {
	case "execute":
		if live := h.in(state.Live); len(live) > 0 {
			n := h.rng.IntN(len(live))
			h.acts = append(h.acts, h.execute(live[n:min(len(live), n+1+h.rng.IntN(2))]...))
		}
	case "whole":
		h.acts = append(h.acts, h.execute())
	case "cancel":
		if len(h.acts) > 0 {
			h.cancel(h.acts[h.rng.IntN(len(h.acts))])
		}
	case "hold":
		vids := append(h.in(state.Live), h.in(state.Executed)...)
		if len(vids) > 0 {
			h.holds = append(h.holds, h.hold(vids[h.rng.IntN(len(vids))]))
		}
	case "release":
		if n := len(h.holds); n > 0 && h.release(h.holds[n-1]) {
			h.holds = h.holds[:n-1]
		}
	case "time":
		h.pass(30 * time.Minute)
	case "revive":
		h.revive()
	case "arrive":
		if n := len(h.flights); n > 0 {
			h.deliver(h.rng.IntN(n))
		}
	}
}

// end crashes everybody, may dispose of everything, and lets one actor alone
// bring to its end whatever was executed and is not held.
func (h *history) end() {
	h.stop()
	if h.rng.IntN(2) == 0 {
		for _, id := range h.holds {
			h.release(id)
		}
		if live := h.in(state.Live); len(live) > 0 {
			h.execute(live...)
		}
	}
	h.settle()
}

// settle lets one actor finish everything, and judges what is left.
func (m *machine) settle() {
	ac := m.actors[slices.IndexFunc(m.actors, func(ac *actor) bool { return ac.as == m.alice })]
	var pending *PendingError
	for range 4 {
		for _, act := range []func(){ac.register, ac.drop, ac.destroy, ac.purge} {
			if m.bad == "" {
				act()
				if err := m.finish(ac); errors.As(err, &pending) {
					m.pass(2 * time.Hour)
				}
			}
		}
	}
	if m.bad != "" {
		return
	}
	a := m.state()
	if due(a) && !a.Ended {
		m.violated("(d) one actor alone does not drop what was executed: %v", ac.Err)
	}
	if a.Whole && !a.Ended && !slices.ContainsFunc(a.Versions, func(v *state.CommittedVersion) bool { return len(v.Holds) > 0 }) {
		m.violated("(d) one actor alone does not end an artefact that was executed as a whole: %v", ac.Err)
	}
	for _, v := range a.Versions {
		if v.State == state.Dropped || v.State == state.Shredded {
			m.violated("(d) one actor alone leaves v%d %s: %v", v.Number, v.State, ac.Err)
		}
	}
	m.control(a)
	m.left(a)
	for len(m.flights) > 0 {
		m.deliver(0)
	}
	for _, act := range []func(){ac.reap, ac.gc, ac.gc} {
		if m.bad == "" {
			act()
			if err := m.finish(ac); err != nil {
				m.violated("(2) %s by one actor alone: %v", ac.what, err)
			}
		}
	}
	if m.bad == "" {
		m.clean(m.state())
	}
}

func TestHistories(t *testing.T) { testHistories(t, vaulttest.Symbolic{}, *histories) }

func TestHistoriesWithAge(t *testing.T) { testHistories(t, seal.Age{}, *real) }

func testHistories(t *testing.T, c seal.Cipher, n int) {
	if testing.Short() {
		n /= 20
	}
	ends := map[string]int{}
	for i := range uint64(n) {
		m := runHistory(t, c, *seed+i, 300, nil, variant{})
		if m.bad != "" {
			t.Fatalf("seed %d: %s\n%s", *seed+i, m.bad, strings.Join(m.trace, "\n"))
		}
		for _, v := range m.alice.Ledger.State().Versions {
			ends[v.State.String()]++
		}
	}
	t.Logf("versions at the end: %v", ends)
}
