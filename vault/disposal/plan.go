package disposal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/lineage"
	"github.com/aivault/aivault/vault/receipt"
	"github.com/aivault/aivault/vault/state"
)

const planFormat = "aivault-plan/1"

// Plan says what a disposal would destroy, what survives it and why. The request
// binds it by digest, and so does every approval: who approves, approves this.
type Plan struct {
	Format    string         `json:"format"`
	ID        canonical.ID   `json:"id"`
	Made      entry.Time     `json:"made"`
	By        string         `json:"by"`
	Reason    string         `json:"reason"`
	Authority string         `json:"authority,omitempty"`
	After     entry.Time     `json:"after"`
	Approvals int            `json:"approvals"` // that policy asked for when it was made
	Artefacts []PlanArtefact `json:"artefacts"`
	Decisions []Decision     `json:"decisions"`
}

// PlanArtefact is the plan's part about one artefact.
type PlanArtefact struct {
	ID       canonical.Digest `json:"id"`
	Name     string           `json:"name"`
	Whole    bool             `json:"whole"` // all of it, and the name for ever
	Dies     []PlanVersion    `json:"dies"`
	Survives []PlanSurvivor   `json:"survives"`
	Receipts []PlanReceipt    `json:"receipts"` // who took plaintext of what dies; shredding does not reach them
}

// PlanVersion is a version that dies.
type PlanVersion struct {
	VID            canonical.ID     `json:"vid"`
	Number         int              `json:"number"`
	Digest         canonical.Digest `json:"digest"`
	Kind           string           `json:"kind"`
	Classification string           `json:"classification"`
	Pushed         entry.Time       `json:"pushed"`
	By             string           `json:"by"`
	Stored         int64            `json:"stored"`              // bytes of all its objects
	Erased         int64            `json:"erased"`              // of those, bytes that the purge erases
	Shared         int64            `json:"shared"`              // of those, bytes that survivors need
	Objects        int              `json:"objects"`             // of all
	KeptUntil      entry.Time       `json:"kept_until,omitzero"` // by minimum retention
}

// PlanSurvivor is a version that does not die, and why.
type PlanSurvivor struct {
	VID    canonical.ID `json:"vid"`
	Number int          `json:"number"`
	Why    string       `json:"why"`
}

// PlanReceipt is a receipt found for a version that dies.
type PlanReceipt struct {
	Number int        `json:"number"`
	By     string     `json:"by"`
	Time   entry.Time `json:"time"`
	Host   string     `json:"host,omitempty"`
}

// Draft is what somebody asks for.
type Draft struct {
	Scope     []state.DisposalScope
	After     entry.Time // not before; zero: now
	Authority string
	Reason    string
	Decisions map[string]string // by "rule:subject"
}

// Plan makes the plan of a draft and changes nothing. Errors: *UndecidedError,
// with which the plan is returned as far as it goes; ErrUnknown; ErrBadDecision.
func (d *Desk) Plan(ctx context.Context, draft Draft) (*Plan, error) {
	if err := d.Vault.Refresh(ctx); err != nil {
		return nil, err
	}
	v := d.Vault.State()
	self := v.ByKey(d.Vault.Author())
	if self == nil {
		return nil, fmt.Errorf("%w: this identity is no member's", state.ErrNotPermitted)
	}
	now := entry.At(d.Vault.Now())
	p := &Plan{Format: planFormat, ID: canonical.NewID(), Made: now, By: self.Name, Reason: draft.Reason, Authority: draft.Authority,
		After: draft.After, Approvals: v.Policy.Approvals, Artefacts: []PlanArtefact{}, Decisions: []Decision{}}
	if p.After.IsZero() {
		p.After = now
	}
	all := make([]*facts, len(draft.Scope))
	var own []*state.Artefact
	for i, scope := range draft.Scope {
		part, f, err := d.planArtefact(ctx, scope)
		if err != nil {
			return nil, err
		}
		p.Artefacts = append(p.Artefacts, *part)
		all[i], own = f, append(own, f.artefact)
	}
	family, err := d.readFamily(ctx, own...)
	if err != nil {
		return nil, err
	}
	var open []Undecided
	used := map[string]bool{}
	for _, f := range all {
		if err := f.look(family, p.doomed()); err != nil {
			return nil, err
		}
		decisions, undecided, err := decide(*f, draft.Decisions, used)
		if err != nil {
			return nil, err
		}
		p.Decisions, open = append(p.Decisions, decisions...), append(open, undecided...)
	}
	if len(open) > 0 {
		return p, &UndecidedError{open}
	}
	for _, key := range slices.Sorted(maps.Keys(draft.Decisions)) {
		if !used[key] {
			return nil, fmt.Errorf("%w: there is nothing to decide about %q", ErrBadDecision, key)
		}
	}
	return p, nil
}

// doomed returns all that dies.
func (p *Plan) doomed() map[lineage.Key]bool {
	out := map[lineage.Key]bool{}
	for _, a := range p.Artefacts {
		for _, v := range a.Dies {
			out[lineage.Key{Artefact: a.ID, Version: v.VID}] = true
		}
	}
	return out
}

func (d *Desk) planArtefact(ctx context.Context, scope state.DisposalScope) (*PlanArtefact, *facts, error) {
	a, err := d.fold(ctx, scope.Artefact)
	if err != nil {
		return nil, nil, err
	}
	if a.Ended {
		return nil, nil, fmt.Errorf("%s: it was destroyed as a whole: %w", a.Name, ErrRefused)
	}
	f := &facts{artefact: a, vault: d.Vault.State(), at: entry.At(d.Vault.Now())}
	for _, id := range scope.Versions {
		v := a.Version(id)
		if v == nil {
			return nil, nil, fmt.Errorf("version %s of %s: %w", id, a.Name, ErrUnknown)
		}
		if v.State != state.Live {
			return nil, nil, fmt.Errorf("%s is %s already: %w", v.Ref(a.Name), v.State, ErrRefused)
		}
		f.dies = append(f.dies, v)
	}
	if scope.Whole {
		for _, v := range a.Versions {
			if v.State == state.Live {
				f.dies = append(f.dies, v)
			}
		}
	}
	slices.SortFunc(f.dies, func(x, y *state.CommittedVersion) int { return x.Number - y.Number })
	if f.references, err = d.ring(a.ID).AllReferences(ctx); err != nil {
		return nil, nil, err
	}
	part := &PlanArtefact{ID: a.ID, Name: a.Name, Whole: scope.Whole, Dies: []PlanVersion{}, Survives: survivors(a, f.dies), Receipts: []PlanReceipt{}}
	for _, v := range f.dies {
		part.Dies = append(part.Dies, planVersion(*f, v, d.Vault.State().Policy))
	}
	part.Receipts, err = d.receipts(ctx, a, f.dies)
	return part, f, err
}

func planVersion(f facts, v *state.CommittedVersion, policy state.Policy) PlanVersion {
	p := PlanVersion{VID: v.VID, Number: v.Number, Digest: v.Digest, Kind: v.Kind, Classification: v.Classification, Pushed: v.Time, By: v.By,
		Stored: v.Stored, KeptUntil: policy.KeptUntil(v.Kind, v.Time)}
	_, p.Shared, _ = sharedChunks(f, v)
	if refs := f.references[v.VID]; refs != nil {
		p.Objects = len(refs.Objects)
	}
	p.Erased = p.Stored - p.Shared
	return p
}

// survivors lists what of an artefact does not die, and why.
func survivors(a *state.Artefact, dies []*state.CommittedVersion) []PlanSurvivor {
	out := []PlanSurvivor{}
	for _, v := range a.Versions {
		if slices.Contains(dies, v) || v.State > state.Executed {
			continue
		}
		why := "not requested"
		if v.State == state.Executed {
			why = fmt.Sprintf("disposal %s disposes of it", v.Disposal)
		}
		if len(v.Holds) > 0 {
			why += fmt.Sprintf("; held by %s since %s: %s", v.Holds[0].By, v.Holds[0].Time, v.Holds[0].Reason)
		}
		out = append(out, PlanSurvivor{VID: v.VID, Number: v.Number, Why: why})
	}
	return out
}

// receipts returns the receipts of versions, oldest first. What does not verify
// is nobody's receipt.
func (d *Desk) receipts(ctx context.Context, a *state.Artefact, of []*state.CommittedVersion) ([]PlanReceipt, error) {
	out := []PlanReceipt{}
	for r, err := range receipt.List(ctx, d.Store, d.Vault, a.ID) {
		if errors.Is(err, receipt.ErrMalformed) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(of, func(v *state.CommittedVersion) bool { return v.VID == r.Version }); i >= 0 {
			out = append(out, PlanReceipt{Number: of[i].Number, By: d.person(r.By), Time: r.Time, Host: r.Host})
		}
	}
	slices.SortFunc(out, func(x, y PlanReceipt) int { return x.Time.Compare(y.Time.Time) })
	return out, nil
}

// person returns the name of the member with this key.
func (d *Desk) person(key canonical.Digest) string {
	if m := d.Vault.State().ByKey(key); m != nil {
		return m.Name
	}
	return key.String()
}

// decodePlan reads a plan that a request binds.
func decodePlan(b []byte, r *state.Request) (*Plan, error) {
	var p Plan
	if err := canonical.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("the plan of disposal %s: %w: %w", r.ID, keyring.ErrIntegrity, err)
	}
	if p.Format != planFormat {
		return nil, fmt.Errorf("the plan of disposal %s: %w (format %q)", r.ID, entry.ErrUpgrade, p.Format)
	}
	if p.ID != r.ID || len(p.Artefacts) != len(r.Scope) {
		return nil, fmt.Errorf("the plan of disposal %s: %w: it is of disposal %s", r.ID, keyring.ErrIntegrity, p.ID)
	}
	return &p, nil
}
