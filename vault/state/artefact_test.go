package state_test

import (
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// artefact is an artefact's journal, in memory, folded as it grows.
type artefact struct {
	*world
	id      canonical.Digest
	entries []*entry.Entry
	state   *state.Artefact
}

// blank begins the journal of the artefact called name, without an entry.
func (w *world) blank(name string, deviate state.Deviation) *artefact {
	id := state.ArtefactID(w.nameKey, name)
	return &artefact{world: w, id: id, state: state.NewArtefact(id, w.nameKey, w.at, deviate)}
}

// register makes an artefact with readers and a first epoch.
func (w *world) register(name string, deviate state.Deviation) *artefact {
	w.tb.Helper()
	a := w.blank(name, deviate)
	a.must("dev", state.KindRegister, state.Register{Name: name})
	a.must("dev", state.KindReaders, a.readers(a.world.id()))
	a.rotate()
	return a
}

func (a *artefact) nextEntry(author, kind string, body any, more ...any) *entry.Entry {
	a.tb.Helper()
	h := entry.Header{Kind: kind, Critical: state.Critical(kind), Format: entry.Format, Genesis: a.states[0].Genesis, Journal: a.id.String(),
		Vault: a.head(), Time: entry.At(a.now), Op: a.world.id()}
	if n := len(a.entries); n > 0 {
		h.Seq, h.Prev = a.entries[n-1].Seq+1, a.entries[n-1].Hash
	}
	names := []string{author}
	for _, m := range more {
		switch m := m.(type) {
		case edit:
			m(&h)
		case cosigners:
			names = append(names, m...)
		default:
			a.tb.Fatalf("%T", m)
		}
	}
	return a.sign(h, body, names...)
}

// put appends an entry and returns what the fold made of it.
func (a *artefact) put(author, kind string, body any, more ...any) (*state.Void, error) {
	a.tb.Helper()
	e := a.nextEntry(author, kind, body, more...)
	void, err := a.state.Apply(e)
	if err == nil {
		a.entries = append(a.entries, e)
	}
	return void, err
}

func (a *artefact) try(author, kind string, body any, more ...any) *state.Void {
	a.tb.Helper()
	void, err := a.put(author, kind, body, more...)
	if err != nil {
		a.tb.Fatalf("%s by %s: %v", kind, author, err)
	}
	return void
}

func (a *artefact) must(author, kind string, body any, more ...any) {
	a.tb.Helper()
	if void := a.try(author, kind, body, more...); void != nil {
		a.tb.Fatal(void)
	}
}

func (a *artefact) key(dir string, id canonical.ID) string {
	return "a/" + a.id.String() + "/" + dir + "/" + id.String()
}

func (a *artefact) readers(gid canonical.ID) state.Readers {
	return state.Readers{GID: gid, Recipient: "age1pq1generation" + gid.String(), Object: a.named(a.key("g", gid) + "-"), List: a.doc()}
}

func (a *artefact) intent(eid canonical.ID) state.Intent {
	return state.Intent{EID: eid, Label: state.EpochLabel(a.states[0].Genesis, a.id, eid), Custody: a.world.state().Custody}
}

func (a *artefact) candidate(eid canonical.ID) state.Candidate {
	c := state.Candidate{EID: eid, Mode: a.world.state().Custody.Mode, Recipient: "age1pq1epoch" + eid.String()}
	for _, k := range a.world.state().Custody.Keepers {
		c.Keys = append(c.Keys, state.KeyRef{Instance: k.Instance, Ref: "ref-" + eid.String()})
	}
	return c
}

func (a *artefact) activate(eid canonical.ID) state.Activate {
	return state.Activate{EID: eid, Seed: a.digest(), Index: a.named(a.key("e", eid) + "/i-"), Survivors: a.state.Survivors()}
}

// prepare brings an epoch as far as its candidate.
func (a *artefact) prepare() canonical.ID {
	a.tb.Helper()
	eid := a.world.id()
	a.must("run", state.KindIntent, a.intent(eid))
	a.must("run", state.KindCandidate, a.candidate(eid))
	return eid
}

// rotate makes a new epoch current.
func (a *artefact) rotate() canonical.ID {
	a.tb.Helper()
	eid := a.prepare()
	a.must("run", state.KindActivate, a.activate(eid))
	return eid
}

// version returns a version that fits here and now.
func (a *artefact) version(vid canonical.ID) state.Version {
	v := state.Version{VID: vid, Recipient: "age1pq1version" + vid.String(), Row: a.digest(), Secret: a.digest(), Digest: a.digest(),
		Manifest: a.named(a.key("v", vid) + "/m-"), References: a.named(a.key("v", vid) + "/r-"), Kind: "model", Classification: "internal"}
	if a.state.Current != nil {
		v.EID = a.state.Current.EID
	}
	if g := a.state.Generation(); g != nil {
		v.GID = g.GID
	}
	return v
}

// push commits a version and returns its id.
func (a *artefact) push() canonical.ID {
	a.tb.Helper()
	vid := a.world.id()
	a.must("push", state.KindVersion, a.version(vid))
	return vid
}

// scope names versions of the artefact, or with none all of it.
func (a *artefact) scope(vids ...canonical.ID) state.DisposalScope {
	return state.DisposalScope{Artefact: a.id, Versions: vids, Whole: len(vids) == 0}
}

// execute disposes of versions, or with none of the artefact, as far as the execute entry.
func (a *artefact) execute(vids ...canonical.ID) canonical.ID {
	a.tb.Helper()
	id := a.approved(a.scope(vids...))
	a.must("run", state.KindExecute, state.Execute{Disposal: id, Versions: vids, Whole: len(vids) == 0})
	return id
}

// hold places a hold as op.
func (a *artefact) hold(vids ...canonical.ID) canonical.ID {
	a.tb.Helper()
	id := a.world.id()
	a.must("op", state.KindHold, state.Hold{ID: id, Versions: vids, Reason: "litigation"})
	return id
}

// release releases a hold as cust.
func (a *artefact) release(id canonical.ID) {
	a.tb.Helper()
	a.must("cust", state.KindRelease, state.Release{ID: id, Reason: "settled"})
}

// keys names every key of the given epochs as destroyed.
func (a *artefact) destroyedKeys(eids ...canonical.ID) []state.DestroyedKey {
	out := []state.DestroyedKey{}
	for _, eid := range eids {
		for _, k := range a.state.Epoch(eid).Candidate.Keys {
			out = append(out, state.DestroyedKey{EID: eid, KeyRef: k, State: "destroyed", At: entry.At(a.now)})
		}
	}
	return out
}

func (a *artefact) stateOf(vid canonical.ID) state.VersionState {
	a.tb.Helper()
	v := a.state.Version(vid)
	if v == nil {
		a.tb.Fatalf("no version %s", vid)
	}
	return v.State
}

func TestLifeOfAnArtefact(t *testing.T) {
	w := newWorld(t)
	a := w.register("team/model", nil)
	first := a.state.Current.EID
	v1, v2 := a.push(), a.push()
	a.must("op", state.KindChannel, state.Channel{Channel: "prod", To: v2})
	if a.state.Name != "team/model" || len(a.state.Versions) != 2 || a.state.Latest().VID != v2 || a.state.Channel("prod") != v2 {
		t.Fatalf("after two pushes: %+v", a.state)
	}
	a.execute(v1)
	if a.stateOf(v1) != state.Executed || a.state.Latest().VID != v2 {
		t.Errorf("executed: %v", a.stateOf(v1))
	}
	second := a.rotate()
	if a.stateOf(v1) != state.Dropped || a.state.Current.EID != second || len(a.state.Doomed()) != 1 || a.state.Doomed()[0].EID != first {
		t.Errorf("activated: %v, doomed %v", a.stateOf(v1), a.state.Doomed())
	}
	a.must("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{v1}, Keys: a.destroyedKeys(first)})
	a.must("run", state.KindPurged, state.Purged{Versions: []canonical.ID{v1}})
	if a.stateOf(v1) != state.Erased || a.stateOf(v2) != state.Live || len(a.state.Doomed()) != 0 || a.state.Version(v1).Number != 1 {
		t.Errorf("in the end: %v, %v", a.stateOf(v1), a.stateOf(v2))
	}
	a.execute()
	a.must("run", state.KindActivate, state.Activate{None: true, Survivors: a.state.Survivors()})
	a.must("run", state.KindDestroyed, state.Destroyed{Versions: []canonical.ID{v2}, Keys: a.destroyedKeys(second)})
	if !a.state.Ended || a.state.Current != nil || a.stateOf(v2) != state.Shredded {
		t.Errorf("ended: %v, %v", a.state.Ended, a.stateOf(v2))
	}
}
