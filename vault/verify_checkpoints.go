package vault

import "context"

// checkpoints verifies what checkpoint entries bind, and accounts for what
// witnesses have cosigned; what that says is for AuditVerify.
func (r *verification) checkpoints(ctx context.Context) error {
	for _, c := range r.vault.State().Checkpoints {
		r.account(c.Heads.Key)
		if err := r.compare(ctx, c.Heads.Key, c.Heads.SHA256, Problem{Object: c.Heads.Key}); err != nil {
			return err
		}
	}
	notes, err := r.vault.readNotes(ctx, 0)
	if err != nil {
		return err
	}
	for _, n := range notes {
		if n.note != "" {
			r.account(n.key)
			r.Objects++
		}
	}
	return nil
}
