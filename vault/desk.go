package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/state"
)

// Desk returns the desk at which disposals of this vault are requested, approved
// and run. keepers says that keys will be destroyed, or tried: without it nothing
// asks the keepers. It reads past this machine's cache.
func (v *Vault) Desk(ctx context.Context, keepers bool) (*disposal.Desk, error) {
	d := &disposal.Desk{Vault: v.ledger, Store: v.config.Store, Warn: v.config.Warn, Jobs: v.config.Jobs, Tool: v.config.Tool, Artefacts: v.artefactIDs, Proof: v.proveInclusion}
	if keepers {
		var err error
		if d.Keepers, err = v.connect(ctx); err != nil {
			return nil, err
		}
		d.Unreached = v.unreached
	}
	return d, nil
}

// Scope turns references into what a disposal is about. A reference that names
// neither version, digest nor channel means the whole artefact, but only if whole
// says so: nobody disposes of all by leaving something out.
//
// Errors: ErrNotFound, ErrDestroyed, ErrBadScope.
func (v *Vault) Scope(ctx context.Context, refs []Ref, whole bool) ([]state.DisposalScope, error) {
	var out []state.DisposalScope
	at := map[canonical.Digest]int{}
	for _, r := range refs {
		all := r == Ref{Artefact: r.Artefact}
		if all && !whole {
			return nil, fmt.Errorf("%w: %s names the whole artefact and not a version of it", ErrBadScope, r)
		}
		_, a, err := v.fold(ctx, r.Artefact)
		if err != nil {
			return nil, err
		}
		if a.Ended {
			return nil, fmt.Errorf("%s: it was destroyed as a whole: %w", r.Artefact, ErrDestroyed)
		}
		i, known := at[a.ID]
		if !known {
			i, at[a.ID] = len(out), len(out)
			out = append(out, state.DisposalScope{Artefact: a.ID})
		}
		if all || out[i].Whole {
			out[i] = state.DisposalScope{Artefact: a.ID, Whole: true}
			continue
		}
		cv, err := find(a, r)
		if err != nil {
			return nil, err
		}
		if cv.State > state.Executed {
			return nil, fmt.Errorf("%s was destroyed by disposal %s: %w", cv.Ref(a.Name), cv.Disposal, ErrDestroyed)
		}
		out[i].Versions = append(out[i].Versions, cv.VID)
	}
	return out, nil
}

// ErrBadScope refuses references that a disposal cannot mean.
var ErrBadScope = errors.New("not what a disposal can be about")
