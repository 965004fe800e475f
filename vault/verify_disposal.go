package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/receipt"
	"github.com/aivault/aivault/vault/state"
)

// disposals verifies plans, and the certificates that stand.
func (r *verification) disposals(ctx context.Context) error {
	v := r.vault
	for _, q := range v.State().Disposals() {
		r.account(q.Plan.Key)
		if err := r.compare(ctx, q.Plan.Key, q.Plan.SHA256, Problem{Object: q.Plan.Key}); err != nil {
			return err
		}
	}
	desk := &disposal.Desk{Vault: v.ledger, Store: v.config.Store}
	for info, err := range v.config.Store.List(ctx, disposal.CertificatePrefix, backends.ListOptions{}) {
		if err != nil {
			return fmt.Errorf("listing certificates: %w", err)
		}
		id, err := canonical.ParseID(strings.TrimPrefix(info.Key, disposal.CertificatePrefix))
		if err != nil || v.State().Disposal(id) == nil {
			continue // named as unknown
		}
		r.account(info.Key)
		_, err = desk.Certificate(ctx, id)
		switch {
		case err == nil:
			r.Objects++
		case broken(err):
			r.problem(Problem{Object: info.Key, Why: err.Error()})
		default:
			return err
		}
	}
	return nil
}

// evidence verifies what entries of an artefact bind about disposals, and the
// receipts of its pulls. That a receipt is missing nobody can tell.
func (r *verification) evidence(ctx context.Context, a *state.Artefact) error {
	bound := map[string]canonical.Digest{}
	for _, ep := range a.Epochs {
		for _, k := range ep.Destroyed {
			if !k.Evidence.IsZero() {
				bound["doc/"+k.Evidence.String()] = k.Evidence
			}
		}
	}
	for _, x := range a.AllAttacks() {
		bound[x.Report.Key] = x.Report.SHA256
	}
	for key, sum := range bound {
		r.account(key)
		if err := r.compare(ctx, key, sum, Problem{Object: key, Artefact: a.Name}); err != nil {
			return err
		}
	}
	for got, err := range receipt.List(ctx, r.vault.config.Store, r.vault.ledger, a.ID) {
		key := got.Key
		r.account(key)
		switch {
		case err == nil:
			r.Objects++
		case errors.Is(err, receipt.ErrMalformed):
			r.problem(Problem{Object: key, Artefact: a.Name, Why: err.Error()})
		default:
			return err
		}
	}
	return nil
}
