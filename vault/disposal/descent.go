package disposal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/lineage"
	"github.com/aivault/aivault/vault/state"
)

// family is how the versions of all artefacts descend from one another.
type family struct {
	kin   state.Kin
	graph *lineage.Graph
}

// readFamily folds every artefact of the vault but those given, which are taken as
// they are: what is judged must be what the desk's ledgers go on from. A journal
// that cannot be read may hold a descendant, and is an error.
func (d *Desk) readFamily(ctx context.Context, own ...*state.Artefact) (*family, error) {
	ids, err := d.artefactIDs(ctx)
	if err != nil {
		return nil, err
	}
	f := &family{kin: state.Kin{}}
	for _, a := range own {
		f.kin[a.ID] = a
	}
	for _, id := range ids {
		if f.kin[id] != nil {
			continue
		}
		a, err := d.Vault.Artefact(id).Fold(ctx)
		if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, journal.ErrRolledBack) || err == nil && a.Name == "" {
			continue // its registration was never finished
		}
		if err != nil {
			return nil, fmt.Errorf("looking for descendants in artefact %s: %w", id, err)
		}
		f.kin[id] = a
	}
	var nodes []lineage.Node
	for id, a := range f.kin {
		a.Kin = f.kin
		for _, v := range a.Versions {
			nodes = append(nodes, lineage.Node{Key: lineage.Key{Artefact: id, Version: v.VID}, Edges: v.Lineage, Complete: v.Complete})
		}
	}
	f.graph = lineage.New(nodes)
	return f, nil
}

// artefactIDs lists the artefacts that have anything in storage.
func (d *Desk) artefactIDs(ctx context.Context) ([]canonical.Digest, error) {
	if d.Artefacts != nil {
		return d.Artefacts(ctx)
	}
	var ids []canonical.Digest
	for info, err := range d.Store.List(ctx, "a/", backends.ListOptions{OneLevel: true}) {
		if err != nil {
			return nil, fmt.Errorf("listing artefacts: %w", err)
		}
		if id, err := canonical.ParseDigest(strings.TrimSuffix(strings.TrimPrefix(info.Key, "a/"), "/")); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// descendants finds versions, in whatever artefact, that descend from what dies
// and live on after this disposal. What they learned is not destroyed with it.
func descendants(f facts) []Subject {
	if f.family == nil {
		return nil
	}
	var out []Subject
	for _, v := range f.dies {
		found := f.family.graph.Impact([]lineage.Key{{Artefact: f.artefact.ID, Version: v.VID}}, nil).Found
		for _, d := range found {
			a := f.family.kin[d.Artefact]
			living := a.Version(d.Version)
			if d.Effect != lineage.Suspect || living.State > state.Executed || f.doomed[d.Key] {
				continue
			}
			how := d.Role
			if d.Steps > 1 {
				how = fmt.Sprintf("%d steps, the last of them %s", d.Steps, d.Role)
			}
			out = append(out, Subject{Name: living.Ref(a.Name), Version: v.VID, Why: fmt.Sprintf("%s descends from v%d (%s), and lives on", living.Ref(a.Name), v.Number, how)})
		}
	}
	return out
}
