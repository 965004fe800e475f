package vault

import (
	"context"

	"github.com/aivault/aivault/vault/lineage"
	"github.com/aivault/aivault/vault/state"
)

// Descendant is a version that references name, or one that descends from it.
type Descendant struct {
	Ref Ref
	Why string // how it descends; "" for what references name
}

// Descendants returns the versions that references name and all that descend from
// them and are not destroyed, the nearest first: those whose origin is nearest to
// the cause. open are versions that cannot be excluded.
func (v *Vault) Descendants(ctx context.Context, refs []Ref) (all []Descendant, open []Unexcluded, err error) {
	w, err := v.readLineage(ctx)
	if err != nil {
		return nil, nil, err
	}
	i := &impact{Vault: v, web: w, options: ImpactOptions{Refs: refs}, why: map[lineage.Key]string{}, report: &ImpactReport{}}
	if err := i.findRefs(); err != nil {
		return nil, nil, err
	}
	i.follow()
	for _, a := range i.report.Versions {
		d := Descendant{Ref: Ref{Artefact: a.Artefact, Number: a.Number}}
		switch {
		case a.Effect == lineage.Suspect && (a.State == state.Live.String() || a.State == state.Executed.String()):
			d.Why = a.Why
		case a.Effect != lineage.Source:
			continue
		}
		all = append(all, d)
	}
	return all, i.report.Open, nil
}
