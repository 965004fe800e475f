package disposal

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

var (
	histories = flag.Int("histories", fewer(80), "random histories of whole acts")
	seed      = flag.Uint64("seed", 1, "the first seed")
)

func fewer(n int) int {
	if raceDetector {
		return n / 20
	}
	return n
}

// history is one random history: which acts and faults it has, and how often,
// is itself drawn, so that rare combinations are not drowned by common ones.
type history struct {
	*siege
	weights map[string]int
	faults  float64
	crashes float64
	pushes  int
}

// besiege runs one random history, and returns it with its first violation.
func besiege(t *testing.T, seed uint64, steps int, w wrong) (s *siege) {
	rng := rand.New(rand.NewPCG(seed, 2))
	k := templateKey{state.AnyOf, 1}
	switch rng.IntN(6) {
	case 0:
		k.keepers = 2
	case 1:
		k = templateKey{state.AllOf, 2}
	}
	delay := time.Duration(0)
	if rng.IntN(4) == 0 {
		delay = time.Hour
	}
	cryptotest.SetGlobalRandom(t, ^uint64(0)) // a template must not share keys with the history that made it
	founded(t, k)
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		h := &history{siege: newSiege(t, t.Context(), k, delay, rng, w), weights: map[string]int{},
			faults: []float64{0, 0.02, 0.06}[rng.IntN(3)], crashes: []float64{0, 0.01, 0.03}[rng.IntN(3)]}
		s = h.siege
		defer h.stop()
		h.run(steps)
	})
	return s
}

func (h *history) run(steps int) {
	for _, what := range []string{"push", "receipt", "channel", "hold", "grant", "revoke", "request", "cancel", "approve", "release", "accept", "run", "verify", "rotate", "purge", "gc", "revive", "time"} {
		if h.rng.IntN(4) > 0 {
			h.weights[what] = 1 + h.rng.IntN(4)
		}
	}
	h.weights["run"] += 3
	h.weights["approve"] += 3
	h.weights["push"]++
	h.weights["request"]++
	h.weights["revive"] = min(h.weights["revive"], 1)
	for range steps {
		if h.bad != "" {
			return
		}
		h.next()
	}
	h.end()
}

// next takes one step: usually of a clerk who is busy.
func (h *history) next() {
	var busy, idle []*clerk
	for _, c := range h.clerks {
		if c.Pending != nil {
			busy = append(busy, c)
		} else {
			idle = append(idle, c)
		}
	}
	switch n := h.rng.IntN(8); {
	case len(busy) > 0 && n < 6:
		// Runs of one clerk, or races of all.
		c := busy[h.rng.IntN(len(busy))]
		for range 1 + h.rng.IntN(12) {
			if c.Pending == nil || h.bad != "" {
				return
			}
			h.let(c)
		}
	case len(idle) > 0 && n < 7 || len(busy) == 0:
		h.begin(idle[h.rng.IntN(len(idle))])
	case h.pick("time", "revive") == "revive":
		h.revive()
	default:
		h.world.Clock.Advance(30 * time.Minute)
		h.store.dirty = true
		h.look()
	}
}

// let decides about a call.
func (h *history) let(c *clerk) {
	f, erase := vaulttest.Pass, c.Pending.Op == "erase"
	switch x := h.rng.Float64(); {
	case x < h.crashes && erase && h.rng.IntN(3) == 0:
		f = vaulttest.CrashPart
	case x < h.crashes:
		f = []vaulttest.Fate{vaulttest.Crash, vaulttest.CrashKept}[h.rng.IntN(2)]
	case x < h.crashes+h.faults && erase && h.rng.IntN(3) == 0:
		f = vaulttest.Part
	case x < h.crashes+h.faults:
		f = []vaulttest.Fate{vaulttest.Lost, vaulttest.Kept}[h.rng.IntN(2)]
	}
	h.proceed(c, f)
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

// begin starts an act of an idle clerk.
func (h *history) begin(c *clerk) {
	aid := h.artefacts[h.rng.IntN(len(h.artefacts))]
	live := h.in(aid, state.Live)
	switch c.Name {
	case "rita", "olaf":
		what := h.pick("push", "receipt")
		if c.Name == "olaf" {
			what = h.pick("push", "receipt", "channel", "hold", "grant", "revoke")
		}
		switch {
		case what == "push" && !h.ended(aid) && len(h.state(aid).Versions) < 6:
			// A file that no other version has, and some that others may have.
			h.pushes++
			paths := append([]string{fmt.Sprintf("own-%d", h.pushes)}, []string{"x", "y", "z"}[:h.rng.IntN(4)]...)
			c.push(aid, paths, h.rng.IntN(3) > 0, h.rng.IntN(2) == 0)
		case what == "grant":
			c.grant(aid, []string{"cust", "dora"}[h.rng.IntN(2)])
		case what == "revoke":
			c.revoke(aid, []string{"cust", "dora"}[h.rng.IntN(2)])
		case len(live) == 0:
		case what == "receipt":
			c.pull(aid, live[h.rng.IntN(len(live))])
		case what == "channel":
			c.move(aid, live[h.rng.IntN(len(live))].VID)
		case what == "hold":
			c.hold(aid, live[h.rng.IntN(len(live))].VID)
		}
	case "cust", "dora":
		h.decide(c)
	default:
		h.work(c)
	}
}

// decide is what custodians do.
func (h *history) decide(c *clerk) {
	acts := []string{"request", "cancel"}
	if c.Name == "dora" {
		acts = []string{"approve", "release", "accept"}
	}
	requests, what := h.requests(), h.pick(acts...)
	if what == "request" {
		if len(requests) < 4 {
			h.ask(c)
		}
		return
	}
	if what == "release" {
		for _, aid := range h.artefacts {
			if held := h.held(aid); len(held) > 0 {
				c.release(aid, held[h.rng.IntN(len(held))])
				return
			}
		}
		return
	}
	if len(requests) == 0 {
		return
	}
	r := requests[h.rng.IntN(len(requests))]
	switch {
	case what == "approve" && approvable(r):
		c.approve(r)
	case what == "cancel" && h.rng.IntN(3) == 0:
		c.cancel(r)
	case what == "accept":
		c.accept(r)
	}
}

// ask requests a disposal, of several artefacts as it happens.
func (h *history) ask(c *clerk) {
	var scopes []state.DisposalScope
	for _, aid := range h.artefacts {
		if x, ok := h.scopeOf(aid, h.rng.IntN(8) == 0); ok && !h.ended(aid) && (len(scopes) == 0 || h.rng.IntN(2) == 0) {
			scopes = append(scopes, x)
		}
	}
	if len(scopes) > 0 {
		c.request(scopes...)
	}
}

// work is what runners do.
func (h *history) work(c *clerk) {
	aid := h.artefacts[h.rng.IntN(len(h.artefacts))]
	what := h.pick("run", "verify", "rotate", "purge", "gc")
	switch what {
	case "rotate":
		c.rotate(aid)
		return
	case "purge":
		c.purge(aid)
		return
	case "gc":
		c.gc(aid)
		return
	}
	requests := h.requests()
	if len(requests) == 0 {
		return
	}
	r := requests[h.rng.IntN(len(requests))]
	switch {
	case what == "verify":
		c.verify(r)
	case h.wrong.hasty && h.rng.IntN(2) == 0:
		c.certify(r)
	default:
		c.run(r)
	}
}

// end crashes everybody, may take away whatever is in the way of disposals, and
// lets one runner alone complete what can be completed.
func (h *history) end() {
	h.stop()
	h.siege.look()
	if h.rng.IntN(2) == 0 {
		h.clearWay()
	}
	// Who cancels does so to the end: half a cancel keeps an artefact's keys as they are.
	for _, r := range h.requests() {
		if r.Cancelled && h.bad == "" {
			h.clerk("cust").cancel(r)
			_ = h.finish(h.clerk("cust")) // what came too late for it is not cancelled
		}
	}
	run := h.clerk("run")
	for range 3 {
		for _, r := range h.requests() {
			if h.bad == "" {
				run.run(r)
				_ = h.finish(run) // judged below
			}
		}
		h.world.Clock.Advance(2 * time.Hour)
		h.store.dirty, h.store.erased = true, true
		h.look()
	}
	if h.bad != "" {
		return
	}
	h.completed(run)
	clear(h.confirmed)
	h.store.dirty, h.store.erased = true, true
	h.look()
	if h.bad == "" {
		h.closed()
	}
	if h.bad == "" {
		h.control()
	}
	h.tally()
}

// tally counts what came of versions and disposals.
func (h *history) tally() {
	for _, aid := range h.artefacts {
		for _, v := range h.state(aid).Versions {
			h.ends["version "+v.State.String()]++
		}
	}
	for _, r := range h.requests() {
		s, err := h.view.Status(h.ctx, r.ID)
		must(h.t, err)
		h.ends["disposal "+string(s.Phase)]++
	}
}

// clearWay releases every hold, and requests and approves the end of something.
func (h *history) clearWay() {
	cust, dora := h.clerk("cust"), h.clerk("dora")
	for _, aid := range h.artefacts {
		for _, id := range h.held(aid) {
			dora.release(aid, id)
			_ = h.finish(dora) // one hold may be on several versions
		}
		if x, ok := h.scopeOf(aid, h.rng.IntN(3) == 0); ok && h.bad == "" {
			cust.request(x)
			_ = h.finish(cust)
		}
	}
	for _, r := range h.requests() {
		if approvable(r) && h.bad == "" {
			dora.approve(r)
			_ = h.finish(dora)
		}
	}
}

// completed is (d): what no epoch carries any more has its certificate, or waits
// for others of its disposal that cannot go on.
func (h *history) completed(run *clerk) {
	for _, r := range h.requests() {
		s, err := h.view.Status(h.ctx, r.ID)
		must(h.t, err)
		if slices.Index(order, s.Phase) < slices.Index(order, Pending) || s.Phase == Verified || s.Phase == Accepted {
			continue
		}
		h.violated("(d) one runner alone leaves disposal %s %s: %v", r.ID, s.Phase, run.Err)
	}
}

// TestCoercion lets the coercive adversary loose on random histories of whole
// disposals.
func TestCoercion(t *testing.T) {
	n := *histories
	if testing.Short() {
		n /= 20
	}
	ends := map[string]int{}
	for i := range uint64(n) {
		s := besiege(t, *seed+i, 250, wrong{})
		if s.bad != "" {
			t.Fatalf("seed %d: %s\n%s", *seed+i, s.bad, strings.Join(s.trace, "\n"))
		}
		for what, n := range s.ends {
			ends[what] += n
		}
	}
	t.Logf("at the end: %v", ends)
}
