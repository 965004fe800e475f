package keyring

import (
	"context"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Push describes the push of one version. The data plane does the work between
// the row and the entry, through Upload.
type Push struct {
	Op canonical.ID
	// Check, if not nil, is asked at every fold before an entry is written there:
	// whatever must hold of the artefact for this push. Its error ends the push.
	Check func(*state.Artefact) error
	// Upload stores everything that the version entry names besides the row, and
	// returns the entry's body; VID, EID, GID, Recipient and Row are set for it.
	Upload func(context.Context, Attempt) (state.Version, error)
	// Resume, if not nil, is a version to go on with: begun by this author, its
	// secret signed by them, named by no entry.
	Resume *Resume
}

// Resume is a version whose push was broken off.
type Resume struct {
	VID canonical.ID
	Key seal.Key
}

// Attempt is one call of Upload.
type Attempt struct {
	VID canonical.ID
	Key seal.Key // the version identity; seal to its recipient
	// Artefact is the state at the head. A version may be borrowed through only
	// if it is Live there.
	Artefact *state.Artefact
	// Again says that Upload stored this version's objects before, and that a
	// version it borrowed through has died since: what came from there must be
	// stored, or borrowed through others. What it returned then is in Before.
	Again  bool
	Before state.Version
}

// Push commits a version (vault/FORMAT.md §6.3). It checks every right before
// the first byte is sent. Where the journal moves on meanwhile it does what the
// fold asks for: a new row if the epoch changed, Upload again if a source died,
// and everything anew, with another id and identity, if the generation changed
// or gc condemned the version. A version that this author's operation committed
// before is returned as it is.
//
// Errors: state.ErrNotPermitted; ErrEnding, ErrEnded, ErrIncomplete; a
// *state.Void if the entry stands but does not count; what Check and Upload
// return; those of the store.
func (r *Ring) Push(ctx context.Context, p Push) (*state.CommittedVersion, error) {
	a, err := r.refresh(ctx)
	if err != nil {
		return nil, err
	}
	var at Attempt
	body := state.Version{}
	if p.Resume != nil {
		at.VID, at.Key = p.Resume.VID, p.Resume.Key
	}
	uploaded, row := false, canonical.Digest{}
	for attempt := 0; ; {
		if v := r.committed(a, p.Op, at.VID); v != nil {
			return v, nil
		}
		if err := r.mayPush(a, p); err != nil {
			return nil, err
		}
		if at.Key == nil || a.Condemned(at.VID) || a.Version(at.VID) != nil || uploaded && body.GID != a.Generation().GID {
			at, body, uploaded = Attempt{VID: canonical.NewID()}, state.Version{}, false
			if at.Key, err = r.cipher().Generate(); err != nil {
				return nil, fmt.Errorf("drawing a version identity: %w", err)
			}
		}
		at.Artefact = a
		if body.EID != a.Current.EID && !(r.variant.stalePush && uploaded) {
			body.EID, body.GID = a.Current.EID, a.Generation().GID
			if row, err = r.NewRow(ctx, a, at.VID, at.Key); err != nil {
				return nil, err
			}
		}
		if !uploaded || !r.sourcesLive(a, body.Borrowed) {
			at.Again, at.Before = uploaded, body
			eid, gid := body.EID, body.GID
			if body, err = p.Upload(ctx, at); err != nil {
				return nil, err
			}
			body.VID, body.EID, body.GID, body.Recipient, body.Row = at.VID, eid, gid, at.Key.Recipient(), row
			uploaded = true
			// Uploading takes long: the head is another by now.
			if a, err = r.fold(ctx); err != nil {
				return nil, err
			}
			continue
		}
		body.Row = row
		err = r.Ledger.Append(ctx, state.KindVersion, body, p.Op)
		if err != nil && !lost(err) {
			return nil, fmt.Errorf("committing version %s: %w", at.VID, err)
		}
		if lost(err) {
			if err := journal.Pause(ctx, attempt); err != nil {
				return nil, err
			}
			attempt++
		}
		if a, err = r.fold(ctx); err != nil {
			return nil, err
		}
	}
}

// committed returns the version that this push, or an earlier try of the same
// operation by the same author, has committed.
func (r *Ring) committed(a *state.Artefact, op, vid canonical.ID) *state.CommittedVersion {
	if v := a.Version(vid); v != nil && v.Op == op && v.Key == r.Vault.Author() {
		return v
	}
	return a.ByOp(r.Vault.Author(), op)
}

// mayPush says at every fold whether a push may still succeed.
func (r *Ring) mayPush(a *state.Artefact, p Push) error {
	switch {
	case a.Ended:
		return ErrEnded
	case a.Whole && !r.variant.intoWhole:
		return ErrEnding
	case a.Current == nil || a.Generation() == nil:
		return ErrIncomplete
	}
	if err := r.Vault.State().May(r.Vault.Author(), state.KindVersion, a.Name, entry.At(r.Vault.Now())); err != nil {
		return err
	}
	if p.Check == nil {
		return nil
	}
	return p.Check(a)
}

// sourcesLive reports whether every version that was borrowed through still is live.
func (r *Ring) sourcesLive(a *state.Artefact, borrowed []canonical.ID) bool {
	if r.variant.deadSource {
		return true
	}
	return !slices.ContainsFunc(borrowed, func(vid canonical.ID) bool {
		v := a.Version(vid)
		return v == nil || v.State != state.Live
	})
}
