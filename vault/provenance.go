package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Derivation names a version that a new one is related to.
type Derivation struct {
	Ref  Ref
	Role string // one of state.LineageRoles; "": state.DefaultRole for the kinds of both
}

// ErrRole says that it must be said how two versions are related.
var ErrRole = errors.New("its role must be named")

// describeOrigin enters where a version comes from, as options say. Every version
// that is named must exist, in whatever state: that something was made of what is
// destroyed or in quarantine by now is worth knowing.
func (v *Vault) describeOrigin(ctx context.Context, o PushOptions, b *state.Version) error {
	b.Complete, b.Sources = o.Complete, slices.Clone(o.Sources)
	slices.SortFunc(b.Sources, state.Source.Compare)
	b.Sources = slices.CompactFunc(b.Sources, func(x, y state.Source) bool { return x.Compare(y) == 0 })
	for _, s := range b.Sources {
		if now := v.session.Time(); s.Acquired.After(now.Time) {
			return fmt.Errorf("%s was acquired on %s: that time has not come: %w", s.URL, s.Acquired, ErrRefused)
		}
	}
	for _, d := range o.DerivedFrom {
		_, a, cv, err := v.resolve(ctx, d.Ref)
		if err != nil {
			return fmt.Errorf("derived from %s: %w", d.Ref, err)
		}
		role := d.Role
		if role == "" {
			role = state.DefaultRole(b.Kind, cv.Version.Kind)
		}
		if role == "" {
			return fmt.Errorf("how a %s is derived from %s, a %s: %w (%v)", b.Kind, cv.Ref(a.Name), cv.Version.Kind, ErrRole, state.LineageRoles())
		}
		b.Lineage = append(b.Lineage, state.Edge{Artefact: a.ID, Version: cv.VID, Role: role})
	}
	slices.SortFunc(b.Lineage, state.Edge.Compare)
	b.Lineage = slices.Compact(b.Lineage)
	return b.Check()
}

// justify stores why what comes from outside is used, as a document of the
// companion artefact, unless this operation has made its version already.
func (v *Vault) justify(ctx context.Context, l *ledger.Artefact, a *state.Artefact, o PushOptions, b *state.Version) error {
	if o.Justification == "" || a.ByOp(v.session.Author(), o.Op) != nil {
		return nil
	}
	res, err := v.storeDocument(ctx, l, a, o.Classification, a.Name, o.Justification)
	if err != nil {
		return fmt.Errorf("the justification: %w", err)
	}
	id, err := v.artefactID(res.Artefact)
	if err != nil {
		return err
	}
	b.Justification = state.Document{Artefact: id, Version: res.VID, Digest: res.Digest}
	return b.Check()
}

// readKin reads the journals of the artefacts that versions of a descend from,
// directly or not, or are related to, and lets a know them. What an edge names and
// storage shows nothing of stays unknown. Errors are those of folding: a journal
// that cannot be read must not hide a quarantine.
func (v *Vault) readKin(ctx context.Context, a *state.Artefact, of ...*state.CommittedVersion) error {
	type key struct {
		artefact canonical.Digest
		version  canonical.ID
	}
	a.Kin = state.Kin{}
	tried := map[canonical.Digest]bool{a.ID: true}
	seen := map[key]bool{}
	for queue := of; len(queue) > 0; queue = queue[1:] {
		for _, e := range queue[0].Lineage {
			if seen[key{e.Artefact, e.Version}] {
				continue
			}
			seen[key{e.Artefact, e.Version}] = true
			if !tried[e.Artefact] {
				tried[e.Artefact] = true
				other, err := v.ledger.Artefact(e.Artefact).Fold(ctx)
				if err != nil && (!errors.Is(err, journal.ErrEmpty) || errors.Is(err, ErrRolledBack)) {
					return fmt.Errorf("artefact %s, which %s descends from: %w", e.Artefact, a.Name, err)
				}
				if err == nil && other.Name != "" {
					a.Kin[e.Artefact] = other
				}
			}
			if _, found := a.Find(e); found != nil {
				queue = append(queue, found)
			}
		}
	}
	return nil
}

// readKinIfSound is readKin for who only wants the names of what is named: a
// journal that does not verify leaves its versions without one.
func (v *Vault) readKinIfSound(ctx context.Context, a *state.Artefact, of ...*state.CommittedVersion) error {
	if err := v.readKin(ctx, a, of...); err != nil && !broken(err) && !errors.Is(err, journal.ErrUnverifiable) {
		return err
	}
	return nil
}

// Relation is one edge of a version's lineage.
type Relation struct {
	Ref         string // of the version that it leads to; "" where storage shows nothing of it
	Artefact    canonical.Digest
	Version     canonical.ID
	Digest      canonical.Digest // the version digest; zero with Ref ""
	Role        string
	State       string
	Quarantined bool
}

// relations names what a version is related to, from what a knows.
func relations(a *state.Artefact, cv *state.CommittedVersion) []Relation {
	out := []Relation{}
	for _, e := range cv.Lineage {
		r := Relation{Artefact: e.Artefact, Version: e.Version, Role: e.Role}
		if of, found := a.Find(e); found != nil {
			r.Ref, r.Digest, r.State, r.Quarantined = found.Ref(of.Name), found.Digest, found.State.String(), found.Quarantined != nil
		}
		out = append(out, r)
	}
	return out
}

// text says in a few words what a version is related to.
func (r Relation) text() string {
	if r.Ref == "" {
		return fmt.Sprintf("version %s of artefact %s (%s)", r.Version, r.Artefact, r.Role)
	}
	return fmt.Sprintf("%s (%s)", r.Ref, r.Role)
}
