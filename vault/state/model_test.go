package state_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

// model is the fold of the model-checked rotation, written down a second time:
// for each epoch only what stands after its intent and after its candidate, and
// for each version how far it has come. Readings R1 to R6 are marked.
type model struct {
	epochs   []*modelEpoch
	current  *modelEpoch
	versions map[canonical.ID]*modelVersion
	holds    map[canonical.ID][]canonical.ID // what each hold in force covers; none: everything
	bad      map[canonical.ID]bool           // in quarantine
	whole    bool
	ended    bool
}

type modelEpoch struct {
	eid canonical.ID
	i   int // 1 intent, nothing since; 2 a death since; 3 an activation since
	c   int // 0 no candidate; 1 open; 2 a death since the candidate; 3 stands before the latest activation; 4 void
}

type modelVersion struct {
	st    int // 0 not committed, 1 live, 2 executed, 3 dropped, 4 destroyed
	whole bool
}

func (m *model) held(vid canonical.ID) bool {
	for _, covers := range m.holds {
		if len(covers) == 0 || slices.Contains(covers, vid) {
			return true
		}
	}
	return m.bad[vid]
}

func (m *model) live(vid canonical.ID) bool {
	v := m.versions[vid]
	return v.st == 1 || v.st == 2 && m.held(vid)
}

func (m *model) death() {
	for _, ep := range m.epochs {
		if ep.i == 1 {
			ep.i = 2
		}
		if ep.c == 1 {
			ep.c = 2
		}
	}
}

func (m *model) activate(ep *modelEpoch) {
	for _, o := range m.epochs {
		o.i = 3
		if o.c == 1 || o.c == 2 || o == ep {
			o.c = 3
		}
	}
	for vid, v := range m.versions {
		if v.st == 2 && !m.live(vid) {
			v.st = 3
		}
	}
	m.current = ep
}

// TestRotationFollowsTheModel writes entries at random, sensible or not, and
// compares what the fold makes of them with the model.
func TestRotationFollowsTheModel(t *testing.T) {
	w := newWorld(t)
	id := state.ArtefactID(w.nameKey, "m")
	vids := []canonical.ID{w.id(), w.id(), w.id(), w.id()}
	disposals := map[canonical.ID]canonical.ID{}
	for _, vid := range vids {
		disposals[vid] = w.approved(state.DisposalScope{Artefact: id, Versions: []canonical.ID{vid}})
	}
	whole := w.approved(state.DisposalScope{Artefact: id, Whole: true})
	rapid.Check(t, func(rt *rapid.T) {
		fork := *w
		r := &modelRun{T: rt, vids: vids, disposals: disposals, whole: whole, a: fork.register("m", nil), m: &model{versions: map[canonical.ID]*modelVersion{}, holds: map[canonical.ID][]canonical.ID{}, bad: map[canonical.ID]bool{}}}
		r.m.current = &modelEpoch{eid: r.a.state.Current.EID, i: 3, c: 3}
		r.m.epochs = []*modelEpoch{r.m.current}
		for _, vid := range vids {
			r.m.versions[vid] = &modelVersion{}
		}
		steps := map[string]func(){"intent": r.intent, "candidate": r.candidate, "activate": r.activate, "end": r.end, "push": r.push, "execute": r.execute,
			"execute whole": r.executeWhole, "cancel": r.cancel, "cancel whole": r.cancelWhole, "hold": r.hold, "release": r.release, "quarantine": r.quarantine, "clear": r.clear, "destroyed": r.destroyed}
		weighted := []string{"intent", "candidate", "candidate", "activate", "activate", "activate", "push", "push", "execute", "execute", "cancel",
			"hold", "release", "quarantine", "clear", "destroyed", "execute whole", "cancel whole", "end"}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			steps[rapid.SampledFrom(weighted).Draw(rt, "step")]()
			r.compare()
		}
	})
}

type modelRun struct {
	*rapid.T
	a         *artefact
	m         *model
	vids      []canonical.ID
	disposals map[canonical.ID]canonical.ID
	whole     canonical.ID
}

// write appends an entry that must count exactly if valid, and then changes the model.
func (r *modelRun) write(author, kind string, body any, valid bool, change func()) {
	void, err := r.a.put(author, kind, body)
	if err != nil {
		r.Fatal(err)
	}
	if valid != (void == nil) {
		r.Fatalf("%s: valid %v in the model, %v", kind, valid, void)
	}
	if valid {
		change()
	}
}

func (r *modelRun) epoch() *modelEpoch { return rapid.SampledFrom(r.m.epochs).Draw(r.T, "epoch") }
func (r *modelRun) vid() canonical.ID  { return rapid.SampledFrom(r.vids).Draw(r.T, "version") }

func (r *modelRun) intent() {
	eid := r.a.world.id()
	r.write("run", state.KindIntent, r.a.intent(eid), !r.m.ended, func() { r.m.epochs = append(r.m.epochs, &modelEpoch{eid: eid, i: 1}) })
}

func (r *modelRun) candidate() {
	ep := r.epoch()
	valid := !r.m.ended && ep.c == 0 && ep.i != 3 // R3, R4
	r.write("run", state.KindCandidate, r.a.candidate(ep.eid), valid, func() { ep.c = 1 })
	if !valid && !r.m.ended && ep.c == 0 {
		ep.c = 4
	}
}

func (r *modelRun) activate() {
	ep := r.epoch()
	b := r.a.activate(ep.eid)
	right := rapid.IntRange(0, 4).Draw(r.T, "survivors") > 0
	if !right {
		b.Survivors = state.BindSurvivors([]canonical.ID{{0xff}})
	}
	r.write("run", state.KindActivate, b, right && !r.m.ended && ep.i == 1 && ep.c == 1, func() { r.m.activate(ep) }) // R2
}

func (r *modelRun) end() {
	valid := r.m.whole && !r.m.ended
	for vid := range r.m.versions {
		valid = valid && !r.m.live(vid)
	}
	r.write("run", state.KindActivate, state.Activate{None: true, Survivors: r.a.state.Survivors()}, valid, func() { r.m.activate(nil); r.m.ended = true })
}

func (r *modelRun) push() {
	vid := r.vid()
	b := r.a.version(vid)
	b.EID = r.epoch().eid
	v := r.m.versions[vid]
	valid := !r.m.ended && !r.m.whole && v.st == 0 && r.m.current != nil && b.EID == r.m.current.eid // R6
	r.write("push", state.KindVersion, b, valid, func() { v.st = 1 })
}

func (r *modelRun) execute() {
	vid := r.vid()
	v := r.m.versions[vid]
	r.write("run", state.KindExecute, state.Execute{Disposal: r.disposals[vid], Versions: []canonical.ID{vid}}, !r.m.ended && v.st == 1 && !r.m.held(vid), func() {
		v.st, v.whole = 2, false
		r.m.death() // R1
	})
}

func (r *modelRun) executeWhole() {
	r.write("run", state.KindExecute, state.Execute{Disposal: r.whole, Whole: true}, !r.m.ended && !r.m.whole && !r.anyHeld(), func() {
		for _, v := range r.m.versions {
			if v.st == 1 {
				v.st, v.whole = 2, true
			}
		}
		r.m.whole = true
		r.m.death() // R1
	})
}

// anyHeld reports whether a hold covers the artefact or a version that is not gone.
func (r *modelRun) anyHeld() bool {
	for _, covers := range r.m.holds {
		if len(covers) == 0 {
			return true
		}
		for _, vid := range covers {
			if st := r.m.versions[vid].st; st == 1 || st == 2 {
				return true
			}
		}
	}
	for vid := range r.m.bad {
		if st := r.m.versions[vid].st; st == 1 || st == 2 {
			return true
		}
	}
	return false
}

// cancel makes a version live again: more tables for the same candidate, R5.
func (r *modelRun) cancel() {
	vid := r.vid()
	v := r.m.versions[vid]
	r.write("cust", state.KindCancel, state.Disposal{Disposal: r.disposals[vid]}, !r.m.ended && v.st == 2 && !v.whole, func() {
		if v.whole = r.m.whole; !v.whole {
			v.st = 1
		}
	})
}

func (r *modelRun) cancelWhole() {
	valid := r.m.whole && !r.m.ended
	for _, v := range r.m.versions {
		valid = valid && !(v.whole && v.st > 2)
	}
	r.write("cust", state.KindCancel, state.Disposal{Disposal: r.whole}, valid, func() {
		for _, v := range r.m.versions {
			if v.whole && v.st == 2 {
				v.st, v.whole = 1, false
			}
		}
		r.m.whole = false
	})
}

// hold makes an executed version live again, R5.
func (r *modelRun) hold() {
	b := state.Hold{ID: r.a.world.id(), Reason: "r"}
	valid := !r.m.ended
	if rapid.IntRange(0, 3).Draw(r.T, "whole") > 0 {
		vid := r.vid()
		b.Versions = []canonical.ID{vid}
		valid = valid && (r.m.versions[vid].st == 1 || r.m.versions[vid].st == 2)
	}
	r.write("op", state.KindHold, b, valid, func() { r.m.holds[b.ID] = b.Versions })
}

func (r *modelRun) release() {
	id := canonical.ID{0xee}
	if held := r.a.state.Held(); len(held) > 0 {
		id = rapid.SampledFrom(held).Draw(r.T, "hold").ID
	}
	_, valid := r.m.holds[id]
	r.write("cust", state.KindRelease, state.Release{ID: id, Reason: "r"}, valid && !r.m.ended, func() {
		r.m.unhold(func() { delete(r.m.holds, id) })
	})
}

// unhold lets holds end: for an executed version, with the last one, a death.
func (m *model) unhold(end func()) {
	before := map[canonical.ID]bool{}
	for vid, v := range m.versions {
		before[vid] = v.st == 2 && m.held(vid)
	}
	end()
	for vid, was := range before {
		if was && !m.held(vid) {
			m.death() // R1
		}
	}
}

// quarantine holds what is not dropped yet, R5.
func (r *modelRun) quarantine() {
	vid := r.vid()
	r.write("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{vid}, Reason: "r"}, !r.m.ended && r.m.versions[vid].st > 0, func() { r.m.bad[vid] = true })
}

func (r *modelRun) clear() {
	vid := r.vid()
	r.write("op2", state.KindClear, state.Quarantine{Versions: []canonical.ID{vid}, Reason: "r"}, !r.m.ended && r.m.bad[vid], func() {
		r.m.unhold(func() { delete(r.m.bad, vid) })
	})
}

func (r *modelRun) destroyed() {
	b := state.Destroyed{Keys: []state.DestroyedKey{}}
	for _, ep := range r.a.state.Doomed() {
		b.Keys = append(b.Keys, r.a.destroyedKeys(ep.EID)...)
	}
	for _, v := range r.a.state.Versions {
		if v.State == state.Dropped {
			b.Versions = append(b.Versions, v.VID)
		}
	}
	r.write("run", state.KindDestroyed, b, true, func() {
		for _, v := range r.m.versions {
			if v.st == 3 {
				v.st = 4
			}
		}
	})
}

func (r *modelRun) compare() {
	a, m := r.a.state, r.m
	if a.Ended != m.ended || a.Whole != m.whole || (a.Current == nil) != (m.current == nil) || a.Current != nil && a.Current.EID != m.current.eid {
		r.Fatalf("ended %v, whole %v, current %v; in the model %+v", a.Ended, a.Whole, a.Current, m)
	}
	for i, want := range m.epochs {
		ep := a.Epochs[i]
		got := fmt.Sprint(ep.EID, ep.CanActivate(), ep.Superseded(), ep.Abandoned(), ep.DeathSinceIntent() && !ep.Abandoned() && want.i != 3)
		if wanted := fmt.Sprint(want.eid, want.i == 1 && want.c == 1, want.c == 3 && want != m.current, want.i == 3 && (want.c == 0 || want.c == 4), want.i == 2); got != wanted {
			r.Fatalf("epoch %d: %s, in the model %s (%+v)", i, got, wanted, want)
		}
	}
	survivors := 0
	for vid, want := range m.versions {
		got := 0
		if v := a.Version(vid); v != nil {
			got = int(v.State)
		}
		if got != want.st {
			r.Fatalf("version %s: state %d, in the model %d", vid, got, want.st)
		}
		if m.live(vid) {
			survivors++
		}
	}
	if got := a.Survivors().Count; got != survivors {
		r.Fatalf("%d survivors, in the model %d", got, survivors)
	}
}

// TestReadings: each reading that is no refusal by itself changes what follows.
func TestReadings(t *testing.T) {
	run := func(off state.Rule) (dropped bool, open bool) {
		w := newWorld(t)
		a := w.register("m", state.Deviation{off: true})
		vid := a.push()
		a.execute(vid)
		hold := a.hold(vid)
		a.must("run", state.KindActivate, a.activate(a.prepare()))
		dropped = a.stateOf(vid) == state.Dropped
		if !dropped {
			eid := a.prepare()
			a.release(hold)
			open = a.state.Epoch(eid).CanActivate()
		}
		return dropped, open
	}
	if dropped, open := run("none"); dropped || open {
		t.Errorf("by the rules: a held version is dropped %v; after its release a candidate is open %v", dropped, open)
	}
	if dropped, _ := run(state.RuleHoldLives); !dropped {
		t.Errorf("without %s a held version survives", state.RuleHoldLives)
	}
	if _, open := run(state.RuleReleaseDies); !open {
		t.Errorf("without %s a release is a death", state.RuleReleaseDies)
	}
}
