package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/transfer"
)

// DeployedOptions narrows what should be in a directory to what a pull with the
// same patterns puts there.
type DeployedOptions struct {
	Include []string // globs: only what they select
	Exclude []string // globs: not what they select
}

// DeployedReport says how what is deployed differs from a version.
type DeployedReport struct {
	Artefact      string
	Version       int
	Digest        canonical.Digest
	Files         int64 // of the version, that should be there
	Bytes         int64 // of those
	Discrepancies []transfer.Discrepancy
	Head          ledger.Pin
	Freshness     string
}

// VerifyDeployed compares what stands in a directory with a version, or a system
// with its parts, as transfer.CompareDeployed does: every changed, missing and extra file is in the
// report. It reads journals and the manifest, and no content.
//
// Errors: ErrNotFound, also of the directory; ErrDestroyed, and ErrRefused for a
// version that may not be deployed; ErrIntegrity, where the vault does not verify;
// ErrChanged, if the directory was exchanged meanwhile.
func (v *Vault) VerifyDeployed(ctx context.Context, ref Ref, dir string, o DeployedOptions) (*DeployedReport, error) {
	l, a, cv, err := v.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	members, err := v.members(ctx, l, a, cv)
	if err == nil {
		err = usable(members, checkUsable)
	}
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("verifying %s against %s", dir, cv.Ref(a.Name))
	for _, m := range members {
		if err := v.checkFresh(m.artefact.ID.String(), what); err != nil {
			return nil, err
		}
	}
	placed, err := v.placed(ctx, members, v.session.Store)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	done, err := transfer.CompareDeployed(ctx, dir, placed, transfer.DeployedOptions{Include: o.Include, Exclude: o.Exclude, Progress: v.config.Progress})
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	v.keep()
	return &DeployedReport{Artefact: a.Name, Version: cv.Number, Digest: cv.Digest, Files: done.Files, Bytes: done.Bytes,
		Discrepancies: done.Discrepancies, Head: pinOf(a), Freshness: v.freshness(a.ID.String())}, nil
}
