package lineage

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

// key is that of version i, of one of five artefacts.
func key(i int) Key {
	var k Key
	k.Artefact[0] = byte(i%5) + 1
	binary.BigEndian.PutUint32(k.Version[:], uint32(i)+1)
	return k
}

func keys(of ...int) []Key {
	out := make([]Key, len(of))
	for n, i := range of {
		out[n] = key(i)
	}
	return out
}

func edge(to int, role string) state.Edge {
	k := key(to)
	return state.Edge{Artefact: k.Artefact, Version: k.Version, Role: role}
}

// draw makes a graph of up to most versions, of which edges may lead anywhere:
// backwards, in circles, to themselves, and to what is not there.
func draw(t *rapid.T, most int) []Node {
	n := rapid.IntRange(1, most).Draw(t, "versions")
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{Key: key(i), Complete: rapid.IntRange(0, 3).Draw(t, "incomplete") > 0}
		for range rapid.IntRange(0, 3).Draw(t, "edges") {
			nodes[i].Edges = append(nodes[i].Edges, edge(rapid.IntRange(0, n).Draw(t, "to"), rapid.SampledFrom(state.LineageRoles()).Draw(t, "role")))
		}
	}
	return nodes
}

// oracle says the same as Impact in the most simple-minded way: it applies the
// sentences that define it to all pairs of versions until nothing changes.
func oracle(nodes []Node, sources, unread []Key) (effects map[Key]Effect, steps map[Key]int, open map[Key]bool) {
	there := map[Key]bool{}
	for _, n := range nodes {
		there[n.Key] = true
	}
	effects, steps, open = map[Key]Effect{}, map[Key]int{}, map[Key]bool{}
	for _, s := range sources {
		if there[s] {
			effects[s], steps[s] = Source, 0
		}
	}
	each := func(do func(child, parent Node, role string) bool) {
		for changed := true; changed; {
			changed = false
			for _, child := range nodes {
				for _, e := range child.Edges {
					for _, parent := range nodes {
						if parent.Key == keyOf(e) && parent.Key != child.Key && do(child, parent, e.Role) {
							changed = true
						}
					}
				}
			}
		}
	}
	each(func(child, parent Node, role string) bool {
		n, bad := steps[parent.Key]
		have, known := steps[child.Key]
		if !bad || !state.Descends(role) || known && have <= n+1 {
			return false
		}
		effects[child.Key], steps[child.Key] = Suspect, n+1
		return true
	})
	bad := maps.Clone(steps)
	for _, effect := range []Effect{Evidence, Companion} {
		each(func(child, parent Node, role string) bool {
			mark := func(k, via Key) {
				if _, is := bad[via]; is && effects[k] == "" {
					effects[k] = effect
				}
			}
			switch {
			case effect == Evidence && role == state.EvaluatedWith:
				mark(child.Key, parent.Key)
			case effect == Companion && !state.Descends(role) && role != state.EvaluatedWith:
				mark(child.Key, parent.Key)
				mark(parent.Key, child.Key)
			}
			return false
		})
	}
	for _, n := range nodes {
		missing := slices.ContainsFunc(n.Edges, func(e state.Edge) bool { return !there[keyOf(e)] && state.Descends(e.Role) })
		if _, is := bad[n.Key]; !is && (!n.Complete || missing || slices.Contains(unread, n.Key)) {
			open[n.Key] = true
		}
	}
	each(func(child, parent Node, role string) bool {
		if _, is := bad[child.Key]; is || !open[parent.Key] || !state.Descends(role) || open[child.Key] {
			return false
		}
		open[child.Key] = true
		return true
	})
	return effects, steps, open
}

func TestImpactAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := draw(t, 14)
		pick := rapid.SliceOfN(rapid.IntRange(0, len(nodes)), 0, 3)
		sources, unread := keys(pick.Draw(t, "sources")...), keys(pick.Draw(t, "unread")...)
		effects, steps, open := oracle(nodes, sources, unread)
		g := New(nodes)
		got := g.Impact(sources, unread)
		seen := map[Key]Found{}
		for i, f := range got.Found {
			if _, twice := seen[f.Key]; twice {
				t.Fatalf("%v stands twice", f.Key)
			}
			seen[f.Key] = f
			if f.Effect != effects[f.Key] {
				t.Fatalf("%v: %s, want %q", f.Key, f.Effect, effects[f.Key])
			}
			if want, known := steps[f.Key]; known && f.Steps != want {
				t.Fatalf("%v: %d steps, want %d", f.Key, f.Steps, want)
			}
			via, known := seen[f.Via]
			if f.Effect == Source {
				known, via.Steps = f.Via == Key{}, f.Steps-1
			}
			if !known || via.Steps != f.Steps-1 {
				t.Fatalf("%v is reached through %v", f.Key, f.Via)
			}
			if i > 0 && f.Effect == Suspect && f.Steps < got.Found[i-1].Steps {
				t.Fatalf("%v comes after what is farther away", f.Key)
			}
		}
		if len(seen) != len(effects) {
			t.Fatalf("%d found, want %d", len(seen), len(effects))
		}
		for _, o := range got.Open {
			if !open[o.Key] || !open[o.From] {
				t.Fatalf("%+v is no open question", o)
			}
			delete(open, o.Key)
			if o.Key == o.From {
				open[o.From] = true // others may hang on it
			}
		}
		left := 0
		for k := range open {
			if !slices.ContainsFunc(got.Open, func(o Open) bool { return o.Key == k }) {
				left++
			}
		}
		if left > 0 {
			t.Fatalf("%d open questions are missing", left)
		}
		for _, a := range g.Ancestors(sources) {
			back := g.Impact([]Key{a.Key}, nil).Found
			if !slices.ContainsFunc(back, func(f Found) bool { return f.Effect != Companion && slices.Contains(sources, f.Key) }) {
				t.Fatalf("%v is no ancestor", a.Key)
			}
		}
	})
}

// TestLarge: of 10,000 versions with 50,000 edges, some of which lead in circles,
// the descendants are those that a plain search finds.
func TestLarge(t *testing.T) {
	const versions, edges = 10_000, 5
	random := rand.New(rand.NewPCG(1, 2))
	roles := state.LineageRoles()
	nodes := make([]Node, versions)
	up := make([][]int, versions)
	for i := range nodes {
		nodes[i] = Node{Key: key(i), Complete: random.IntN(4) > 0}
		for range edges {
			to := max(0, i-1-random.IntN(400))
			if random.IntN(100) == 0 {
				to = random.IntN(versions) // forwards too: a circle
			}
			role := roles[random.IntN(len(roles))]
			nodes[i].Edges = append(nodes[i].Edges, edge(to, role))
			if state.Descends(role) && to != i {
				up[i] = append(up[i], to)
			}
		}
	}
	got := New(nodes).Impact(keys(7000), nil)
	reach := make([]bool, versions)
	reach[7000] = true
	for changed := true; changed; {
		changed = false
		for i := range up {
			if !reach[i] && slices.ContainsFunc(up[i], func(p int) bool { return reach[p] }) {
				reach[i], changed = true, true
			}
		}
	}
	want, suspects := 0, 0
	for _, r := range reach {
		if r {
			want++
		}
	}
	for _, f := range got.Found {
		if f.Effect == Source || f.Effect == Suspect {
			suspects++
			if !reach[binary.BigEndian.Uint32(f.Version[:])-1] {
				t.Fatalf("%v is no descendant", f.Key)
			}
		}
	}
	if suspects != want || want < 100 {
		t.Errorf("%d suspects, want %d", suspects, want)
	}
	t.Logf("%d suspects and %d open questions among %d versions", suspects, len(got.Open), versions)
}

// TestCircle: versions of two artefacts that name each other.
func TestCircle(t *testing.T) {
	nodes := []Node{
		{Key: key(0), Complete: true, Edges: []state.Edge{edge(1, state.TrainedOn)}},
		{Key: key(1), Complete: true, Edges: []state.Edge{edge(0, state.TrainedOn), edge(1, state.MergedFrom)}},
	}
	got := New(nodes).Impact(keys(0), nil)
	if len(got.Found) != 2 || len(got.Open) != 0 || got.Found[1].Effect != Suspect {
		t.Errorf("%+v", got)
	}
	if a := New(nodes).Ancestors(keys(0)); len(a) != 1 || a[0].Key != key(1) {
		t.Errorf("%+v", a)
	}
	if got := New(nodes).Impact([]Key{{Artefact: canonical.Digest{9}}}, nil); len(got.Found) != 0 {
		t.Errorf("of what is not there: %+v", got)
	}
}
