// Package lineage follows how versions come of one another, through all the
// artefacts of a vault (vault/FORMAT.md §5.12): what is suspect if a version is,
// and what cannot be excluded because somebody has not said all.
//
// Edges are what their authors claim. They may lead to nothing and, between
// artefacts, in circles: everything here visits a version once. It is pure.
package lineage

import (
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

// Key names a version of an artefact.
type Key struct {
	Artefact canonical.Digest
	Version  canonical.ID
}

// Node is a version and what its entry says of its origin.
type Node struct {
	Key
	Edges    []state.Edge
	Complete bool // the edges name all that it descends from
}

// Graph is the lineage of a vault. It is immutable, and safe for concurrent use.
type Graph struct {
	nodes    []Node
	index    map[Key]int
	children [][]arc // by parent
}

// arc leads from a version to one that names it.
type arc struct {
	child int
	role  string
}

// New builds the graph of versions, each of which is given once. The time it
// takes, and its memory, grow with the number of versions and edges.
func New(nodes []Node) *Graph {
	g := &Graph{nodes: nodes, index: make(map[Key]int, len(nodes)), children: make([][]arc, len(nodes))}
	for i, n := range nodes {
		g.index[n.Key] = i
	}
	for i, n := range nodes {
		for _, e := range n.Edges {
			if parent, ok := g.index[keyOf(e)]; ok && parent != i {
				g.children[parent] = append(g.children[parent], arc{i, e.Role})
			}
		}
	}
	return g
}

func keyOf(e state.Edge) Key { return Key{e.Artefact, e.Version} }

// Effect is what it means for a version that others are suspect.
type Effect string

// The effects. Of several the first in this order stands.
const (
	Source    Effect = "source"    // it is what was asked about
	Suspect   Effect = "suspect"   // it descends from a source
	Evidence  Effect = "evidence"  // it was evaluated with something suspect: what that showed is void, its content is not
	Companion Effect = "companion" // a tokenizer, config or prompt of something suspect, or what a suspect one belongs to; a system that pins something suspect, or what a suspect one pins
)

// Found is a version that is affected.
type Found struct {
	Key
	Effect Effect
	Via    Key    // through which version; zero for a source
	Role   string // of the edge between them; "" for a source
	Steps  int    // from the nearest source
}

// Open is a version that cannot be excluded.
type Open struct {
	Key
	Why  Reason
	From Key // the version to which that applies: itself, or one that it descends from
}

// Reason says why something cannot be excluded.
type Reason string

// The reasons.
const (
	Incomplete Reason = "incomplete" // its lineage is not declared complete
	Missing    Reason = "missing"    // it names a version of which storage shows nothing
	Unread     Reason = "unread"     // what is in it could not be looked into
)

// Impact is what follows if versions are suspect.
type Impact struct {
	Found []Found // the sources first, then the nearest
	Open  []Open  // none of which is a source or suspect
}

// Impact follows what came of versions. unread are versions of which nobody can
// tell whether they belong to the sources. Sources that are not in the graph are
// left out.
func (g *Graph) Impact(sources, unread []Key) Impact {
	var out Impact
	found := make(map[int]int, len(sources)) // where in out.Found
	add := func(i int, f Found) bool {
		if _, known := found[i]; known {
			return false
		}
		f.Key = g.nodes[i].Key
		found[i] = len(out.Found)
		out.Found = append(out.Found, f)
		return true
	}
	for _, k := range sources {
		if i, ok := g.index[k]; ok {
			add(i, Found{Effect: Source})
		}
	}
	for at := 0; at < len(out.Found); at++ {
		parent := out.Found[at]
		for _, c := range g.children[g.index[parent.Key]] {
			if state.Descends(c.role) {
				add(c.child, Found{Effect: Suspect, Via: parent.Key, Role: c.role, Steps: parent.Steps + 1})
			}
		}
	}
	suspects := out.Found
	touched := func(effect Effect, c arc, via Found) {
		add(c.child, Found{Effect: effect, Via: via.Key, Role: c.role, Steps: via.Steps + 1})
	}
	for _, s := range suspects {
		for _, c := range g.children[g.index[s.Key]] {
			if c.role == state.EvaluatedWith {
				touched(Evidence, c, s)
			}
		}
	}
	for _, s := range suspects {
		i := g.index[s.Key]
		for _, c := range g.children[i] {
			if belongs(c.role) {
				touched(Companion, c, s)
			}
		}
		for _, e := range g.nodes[i].Edges {
			if to, ok := g.index[keyOf(e)]; ok && belongs(e.Role) {
				touched(Companion, arc{to, e.Role}, s)
			}
		}
	}
	excluded := make(map[int]bool, len(suspects))
	for _, s := range suspects {
		excluded[g.index[s.Key]] = true
	}
	out.Open = g.open(excluded, unread)
	return out
}

// belongs reports whether a role says that one thing is used with the other.
func belongs(role string) bool { return !state.Descends(role) && role != state.EvaluatedWith }

// open finds what cannot be excluded: versions that have not said all, and what
// descends from them. but are those about which nothing is open.
func (g *Graph) open(but map[int]bool, unread []Key) []Open {
	var out []Open
	seen := make(map[int]bool, len(g.nodes))
	add := func(i int, why Reason, from Key) {
		if !but[i] && !seen[i] {
			seen[i] = true
			out = append(out, Open{g.nodes[i].Key, why, from})
		}
	}
	for _, k := range unread {
		if i, ok := g.index[k]; ok {
			add(i, Unread, k)
		}
	}
	for i, n := range g.nodes {
		if !n.Complete {
			add(i, Incomplete, n.Key)
		}
		for _, e := range n.Edges {
			if _, there := g.index[keyOf(e)]; !there && state.Descends(e.Role) {
				add(i, Missing, n.Key)
			}
		}
	}
	for at := 0; at < len(out); at++ {
		for _, c := range g.children[g.index[out[at].Key]] {
			if state.Descends(c.role) {
				add(c.child, out[at].Why, out[at].From)
			}
		}
	}
	return out
}

// Ancestors returns what versions descend from, directly or not, nearest first,
// without the versions themselves: where to look for the cause.
func (g *Graph) Ancestors(of []Key) []Found {
	var out []Found
	seen := map[Key]bool{}
	for _, k := range of {
		if _, ok := g.index[k]; ok && !seen[k] {
			seen[k] = true
			out = append(out, Found{Key: k})
		}
	}
	n := len(out)
	for at := 0; at < len(out); at++ {
		for _, e := range g.nodes[g.index[out[at].Key]].Edges {
			k := keyOf(e)
			if _, there := g.index[k]; there && state.Descends(e.Role) && !seen[k] {
				seen[k] = true
				out = append(out, Found{Key: k, Via: out[at].Key, Role: e.Role, Steps: out[at].Steps + 1})
			}
		}
	}
	return out[n:]
}
