package vault

import (
	"context"
	"errors"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/receipt"
	"github.com/aivault/aivault/vault/state"
)

// evidence verifies the statements about versions of an artefact, what its entries
// bind about disposals, and the receipts of its pulls. That a receipt is missing nobody can tell.
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
	if err := r.statements(ctx, a); err != nil {
		return err
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

// statements verifies the statements that attestations bind: they must say what
// the journal says. Documents are versions, and verified as such.
func (r *verification) statements(ctx context.Context, a *state.Artefact) error {
	for _, cv := range a.Versions {
		for _, e := range cv.Evidence {
			r.account(e.Statement.Key)
			_, _, err := r.vault.openEvidence(ctx, r.vault.config.Store, a, e)
			switch {
			case err == nil:
				r.Objects++
			case errors.Is(err, backends.NotExist):
				r.problem(Problem{Object: e.Statement.Key, Artefact: a.Name, Version: cv.Name(), Why: "it is missing"})
			case broken(err):
				r.problem(Problem{Object: e.Statement.Key, Artefact: a.Name, Version: cv.Name(), Why: err.Error()})
			default:
				return err
			}
		}
	}
	return nil
}
