package vault

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/lineage"
	"github.com/aivault/aivault/vault/state"
)

// GraphVersion is a version in a graph, as every member sees it.
type GraphVersion struct {
	Artefact    string
	Number      int
	VID         canonical.ID
	Digest      canonical.Digest
	Kind        string
	State       string // "live", "disabled", "dropped", "destroyed" or "purged"
	Quarantined bool
	Channels    []string // that point to it
	Complete    bool     // its lineage is declared complete
	By          string
	Time        time.Time
}

// Ref names the version for people.
func (g GraphVersion) Ref() string { return fmt.Sprintf("%s@v%d", g.Artefact, g.Number) }

// Link is an edge of lineage between two versions of a graph.
type Link struct {
	From, To int // of the graph's versions; To is the later one, which names From
	Role     string
}

// GraphReport is how the versions of a vault hang together.
type GraphReport struct {
	Versions  []GraphVersion // by artefact and number
	Links     []Link
	Missing   int // edges that lead to what storage shows nothing of
	Freshness string
}

// Graph tells how versions of the artefacts that match glob ("" or "*": all) hang
// together, with the versions of others that they name. Like List it takes no
// keeper and no right to read.
func (v *Vault) Graph(ctx context.Context, glob string) (*GraphReport, error) {
	glob = cmp.Or(glob, "*")
	if err := state.CheckGlob(glob); err != nil {
		return nil, err
	}
	w, err := v.readLineage(ctx)
	if err != nil {
		return nil, err
	}
	in := map[lineage.Key]bool{}
	for _, k := range w.order {
		if a := w.kin[k.Artefact]; state.MatchGlob(glob, a.Name) {
			in[k] = true
			for _, e := range edgesOf(a.Version(k.Version)) {
				in[lineage.Key{Artefact: e.Artefact, Version: e.Version}] = true
			}
		}
	}
	var keys []lineage.Key
	for _, k := range w.order {
		if in[k] {
			keys = append(keys, k)
		}
	}
	out := &GraphReport{Freshness: v.freshness(entry.VaultJournal)}
	for _, k := range keys {
		out.Versions = append(out.Versions, w.version(k))
		for _, e := range edgesOf(w.kin[k.Artefact].Version(k.Version)) {
			if !w.has(lineage.Key{Artefact: e.Artefact, Version: e.Version}) {
				out.Missing++
			}
		}
	}
	out.Links = w.links(keys)
	v.keep()
	return out, nil
}

// web is the lineage of a whole vault.
type web struct {
	kin     state.Kin
	ledgers map[canonical.Digest]*ledger.Artefact
	order   []lineage.Key // of all versions, by artefact's name and number
	graph   *lineage.Graph
}

// readLineage folds every artefact's journal, several at a time.
func (v *Vault) readLineage(ctx context.Context) (*web, error) {
	w := &web{}
	var err error
	if w.kin, w.ledgers, err = v.foldAll(ctx); err != nil {
		return nil, err
	}
	var nodes []lineage.Node
	for _, a := range w.sorted() {
		a.Kin = w.kin
		for _, cv := range a.Versions {
			k := lineage.Key{Artefact: a.ID, Version: cv.VID}
			w.order = append(w.order, k)
			nodes = append(nodes, lineage.Node{Key: k, Edges: edgesOf(cv), Complete: cv.Complete})
		}
	}
	w.graph = lineage.New(nodes)
	return w, nil
}

// pins is the role of what a system pins: they go together, and neither descends
// from the other.
const pins = "pins"

// edgesOf returns a version's lineage, and what it pins.
func edgesOf(cv *state.CommittedVersion) []state.Edge {
	out := slices.Clone(cv.Lineage)
	for _, p := range cv.Parts {
		out = append(out, state.Edge{Artefact: p.Artefact, Version: p.Version, Role: pins})
	}
	return out
}

// sorted returns the artefacts by name.
func (w *web) sorted() []*state.Artefact {
	var out []*state.Artefact
	for _, a := range w.kin {
		out = append(out, a)
	}
	slices.SortFunc(out, func(x, y *state.Artefact) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), bytes.Compare(x.ID[:], y.ID[:]))
	})
	return out
}

func (w *web) has(k lineage.Key) bool { return w.committed(k) != nil }

func (w *web) committed(k lineage.Key) *state.CommittedVersion {
	if a := w.kin[k.Artefact]; a != nil {
		return a.Version(k.Version)
	}
	return nil
}

func (w *web) version(k lineage.Key) GraphVersion {
	a := w.kin[k.Artefact]
	cv := a.Version(k.Version)
	return GraphVersion{a.Name, cv.Number, cv.VID, cv.Digest, cv.Version.Kind, cv.State.String(), cv.Quarantined != nil, channelsTo(a, cv.VID), cv.Complete, cv.By, cv.Time.UTC()}
}

func (w *web) ref(k lineage.Key) string {
	if cv := w.committed(k); cv != nil {
		return cv.Ref(w.kin[k.Artefact].Name)
	}
	return ""
}

// links returns the edges between these versions.
func (w *web) links(keys []lineage.Key) []Link {
	at := map[lineage.Key]int{}
	for i, k := range keys {
		at[k] = i
	}
	out := []Link{}
	for i, k := range keys {
		for _, e := range edgesOf(w.committed(k)) {
			if from, ok := at[lineage.Key{Artefact: e.Artefact, Version: e.Version}]; ok {
				out = append(out, Link{from, i, e.Role})
			}
		}
	}
	return out
}

// folders is how many journals are read at once where nobody says otherwise.
const folders = 8

// foldAll folds every registered artefact, several at a time.
func (v *Vault) foldAll(ctx context.Context) (state.Kin, map[canonical.Digest]*ledger.Artefact, error) {
	ids, err := v.artefactIDs(ctx)
	if err != nil {
		return nil, nil, err
	}
	kin, ledgers := state.Kin{}, map[canonical.Digest]*ledger.Artefact{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(v.config.Jobs, folders))
	for _, id := range ids {
		group.Go(func() error {
			l := v.ledger.Artefact(id)
			a, err := l.Fold(ctx)
			if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, ErrRolledBack) || err == nil && a.Name == "" {
				return nil
			}
			if err != nil {
				return fmt.Errorf("artefact %s: %w", id, err)
			}
			mu.Lock()
			defer mu.Unlock()
			kin[id], ledgers[id] = a, l
			return nil
		})
	}
	return kin, ledgers, group.Wait()
}
