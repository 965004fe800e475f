package vault

import (
	"context"
	"fmt"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/disposal"
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
