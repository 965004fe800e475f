package disposal

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Request enters a plan that Plan made. Nothing is destroyed by it. Errors:
// state.ErrNotPermitted; a *state.Void for what a rule forbids.
func (d *Desk) Request(ctx context.Context, p *Plan) (*state.Request, error) {
	plain, err := canonical.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding a plan: %w", err)
	}
	body := state.DisposalRequest{ID: p.ID, After: p.After, Authority: p.Authority, Reason: p.Reason}
	for _, a := range p.Artefacts {
		s := state.DisposalScope{Artefact: a.ID, Whole: a.Whole}
		for _, v := range a.Dies {
			if !a.Whole {
				s.Versions = append(s.Versions, v.VID)
			}
		}
		body.Scope = append(body.Scope, s)
	}
	if len(body.Scope) == 0 {
		return nil, fmt.Errorf("a disposal of nothing: %w", ErrUnknown)
	}
	plan, err := d.ring(body.Scope[0].Artefact).PutDocument(ctx, plain)
	if err != nil {
		return nil, fmt.Errorf("storing a plan: %w", err)
	}
	body.Plan = *plan
	if err := d.append(ctx, state.KindDisposalRequest, body, p.ID); err != nil {
		return nil, err
	}
	return d.request(p.ID)
}

// append writes an entry of the vault's journal; lost slots are tried again.
func (d *Desk) append(ctx context.Context, kind string, body any, op canonical.ID) error {
	for attempt := 0; ; attempt++ {
		err := d.Vault.Append(ctx, kind, body, op)
		if !errors.Is(err, journal.ErrLost) {
			return err
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return err
		}
		if err := d.Vault.Refresh(ctx); err != nil {
			return err
		}
	}
}

// PlanOf reads the plan that a request binds.
func (d *Desk) PlanOf(ctx context.Context, id canonical.ID) (*Plan, error) {
	if err := d.Vault.Refresh(ctx); err != nil {
		return nil, err
	}
	r, err := d.request(id)
	if err != nil {
		return nil, err
	}
	return d.plan(ctx, r)
}

func (d *Desk) plan(ctx context.Context, r *state.Request) (*Plan, error) {
	b, err := d.ring(r.Scope[0].Artefact).Document(ctx, r.Plan)
	if err != nil {
		return nil, fmt.Errorf("the plan of disposal %s: %w", r.ID, err)
	}
	return decodePlan(b, r)
}

// Approve approves the plan with this digest, that of the stored object, as the
// request binds it. A *state.Void says why it does not count: another plan, an
// own request, a member who came after the request.
func (d *Desk) Approve(ctx context.Context, id canonical.ID, plan canonical.Digest) error {
	if err := d.Vault.Refresh(ctx); err != nil {
		return err
	}
	if _, err := d.request(id); err != nil {
		return err
	}
	return d.append(ctx, state.KindDisposalApprove, state.DisposalMark{ID: id, Plan: plan}, canonical.NewID())
}

// Cancel takes a disposal back: the request, and every version that it has
// disabled. What no epoch carries any more cannot be taken back: those artefacts
// are returned, and all others are cancelled all the same.
func (d *Desk) Cancel(ctx context.Context, id canonical.ID, reason string) (late []string, err error) {
	if err := d.Vault.Refresh(ctx); err != nil {
		return nil, err
	}
	r, err := d.request(id)
	if err != nil {
		return nil, err
	}
	if !r.Cancelled {
		// The request first: from here on no execute counts, nor an activation that
		// would complete one.
		if err := d.append(ctx, state.KindDisposalCancel, state.DisposalMark{ID: id, Reason: reason}, canonical.NewID()); err != nil {
			return nil, err
		}
	}
	for _, scope := range r.Scope {
		gone, err := d.cancelIn(ctx, r, scope, reason)
		if err != nil {
			return late, err
		}
		late = append(late, gone...)
	}
	return late, nil
}

func (d *Desk) cancelIn(ctx context.Context, r *state.Request, scope state.DisposalScope, reason string) (late []string, err error) {
	for attempt := 0; ; attempt++ {
		a, err := d.fold(ctx, scope.Artefact)
		if err != nil {
			return nil, err
		}
		disabled := a.Whole && scope.Whole
		late = nil
		for _, v := range a.Versions {
			switch {
			case v.Disposal != r.ID:
			case v.State == state.Executed:
				disabled = true
			case v.State > state.Executed:
				late = append(late, v.Ref(a.Name))
			}
		}
		if !disabled || a.Ended {
			return late, nil
		}
		err = d.ring(a.ID).Ledger.Append(ctx, state.KindCancel, state.Disposal{Disposal: r.ID, Reason: reason}, canonical.NewID())
		var void *state.Void
		if err == nil || !errors.Is(err, journal.ErrLost) && !errors.As(err, &void) {
			return late, err
		}
		if attempt > 0 && void != nil {
			return late, err
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return late, err
		}
	}
}

// Accept records that a custodian accepts the result: the validation that SP
// 800-88 asks for, an act apart from the verification. It takes a certificate.
func (d *Desk) Accept(ctx context.Context, id canonical.ID, reason string) error {
	s, err := d.Status(ctx, id)
	if err != nil {
		return err
	}
	if s.Phase != Verified {
		return fmt.Errorf("disposal %s is %s, and there is nothing to accept before it is verified: %w", id, s.Phase, ErrRefused)
	}
	if _, err := d.Certificate(ctx, id); err != nil {
		return err
	}
	return d.append(ctx, state.KindDisposalAccept, state.DisposalMark{ID: id, Reason: reason}, canonical.NewID())
}

// Acceptance returns who has accepted a disposal, or nil.
func (d *Desk) Acceptance(s *Status) *Act {
	if s.Accepted == "" {
		return nil
	}
	return &Act{By: named(d.Vault.State(), s.Accepted), Time: s.AcceptedAt, Reason: s.Remark}
}

// MaxDocument is the length of the longest document that AttestRemoved keeps, in
// bytes.
const MaxDocument = 1 << 20

// AttestRemoved records that by attests that holder, who held plaintext of what
// was disposed of, has removed it. document may be nil.
func (d *Desk) AttestRemoved(ctx context.Context, id canonical.ID, holder, by string, document []byte) error {
	if err := d.Vault.Refresh(ctx); err != nil {
		return err
	}
	r, err := d.request(id)
	if err != nil {
		return err
	}
	body := state.DisposalRemoved{ID: id, Holder: holder, By: by}
	if document != nil {
		if len(document) > MaxDocument {
			return fmt.Errorf("a document of %d bytes: at most %d: %w", len(document), MaxDocument, ErrRefused)
		}
		o, err := d.ring(r.Scope[0].Artefact).PutDocument(ctx, document)
		if err != nil {
			return fmt.Errorf("storing a document: %w", err)
		}
		body.Document = *o
	}
	return d.append(ctx, state.KindDisposalRemoved, body, canonical.NewID())
}
