package vault

import (
	"context"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// ApproveResult is a version with an operator's known-good mark.
type ApproveResult struct {
	Artefact  string
	Version   int
	Digest    canonical.Digest
	By        []string // all who have approved it, in order
	Changed   bool     // false: this member had done so
	Head      ledger.Pin
	Freshness string
}

// ApproveVersion marks a version as known good, in the name of this operator, who must
// not be who pushed it.
//
// Errors: ErrNotFound, ErrNotPermitted; ErrRefused for what one has pushed
// oneself, or what is in quarantine; ErrDestroyed.
func (v *Vault) ApproveVersion(ctx context.Context, ref Ref) (*ApproveResult, error) {
	res := &ApproveResult{Artefact: ref.Artefact}
	var vid canonical.ID
	err := v.appendTo(ctx, ref.Artefact, state.KindApprove, func(a *state.Artefact) (any, error) {
		cv, err := find(a, ref)
		if err == nil {
			err = checkUsable(a.Name, cv)
		}
		if err != nil {
			return nil, err
		}
		vid = cv.VID
		self := v.Self().Name
		if cv.By == self {
			return nil, fmt.Errorf("%s: %s pushed it, and somebody else must approve it (rule %s): %w", cv.Ref(a.Name), self, state.RuleSecondPerson, ErrRefused)
		}
		if res.Changed = !slices.ContainsFunc(cv.Approvals, func(ap state.Approval) bool { return ap.By == self }); !res.Changed {
			return nil, nil
		}
		return state.Approve{Version: vid}, nil
	}, func(a *state.Artefact) {
		cv := a.Version(vid)
		res.Version, res.Digest, res.Head, res.Freshness = cv.Number, cv.Digest, pinOf(a), v.freshness(a.ID.String())
		for _, ap := range cv.Approvals {
			res.By = append(res.By, ap.By)
		}
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}
