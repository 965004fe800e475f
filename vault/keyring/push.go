package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/backends"
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
	// Begin stores the version's row, unless it stands. Upload calls it before it
	// stores anything, so that a push that finds nothing to store stores nothing.
	Begin func(context.Context) error
}

// Push commits a version (vault/FORMAT.md §6.3). It checks every right before
// the first byte is sent. Where the journal moves on meanwhile it does what the
// fold asks for: a new row if the epoch changed, and everything anew, with another
// id and identity, if a source died, the generation changed or gc condemned the
// version. A version that this author's operation committed
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
	under := &push{Ring: r, Push: p}
	if p.Resume != nil {
		under.at.VID, under.at.Key = p.Resume.VID, p.Resume.Key
	}
	for attempt := 0; ; attempt++ {
		if v := r.committed(a, p.Op, under.at.VID); v != nil {
			return v, nil
		}
		if err := r.mayPush(a, p); err != nil {
			return nil, err
		}
		began := r.Vault.Now()
		committed, err := under.step(ctx, a)
		if lost(err) {
			err = journal.PauseAfter(ctx, attempt, r.Vault.Now().Sub(began))
		}
		if err == nil && !committed {
			a, err = r.fold(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
}

// push is a push under way.
type push struct {
	*Ring
	Push
	at       Attempt
	body     state.Version
	row      canonical.Digest
	uploaded bool
}

// step does what the fold asks for, and reports whether that was the entry.
func (p *push) step(ctx context.Context, a *state.Artefact) (committed bool, err error) {
	// A manifest that names chunks of a version that died is stored already. No row
	// may carry its identity any further.
	dead := p.uploaded && !p.sourcesLive(a)
	if p.at.Key == nil || dead || a.Condemned(p.at.VID) || a.Version(p.at.VID) != nil || p.uploaded && p.body.GID != a.Generation().GID {
		if err := p.afresh(); err != nil {
			return false, err
		}
	}
	begin := func(ctx context.Context) error {
		if p.body.EID == a.Current.EID || p.variant.stalePush && p.uploaded {
			return nil
		}
		return p.putRow(ctx, a)
	}
	if p.uploaded || p.Resume != nil {
		if err := begin(ctx); err != nil {
			return false, err
		}
	}
	if p.uploaded {
		body := p.body
		body.Row = p.row
		if err := p.Ledger.Append(ctx, state.KindVersion, body, p.Op); err != nil {
			return false, fmt.Errorf("committing version %s: %w", p.at.VID, err)
		}
		return true, nil
	}
	p.at.Artefact, p.at.Begin = a, begin
	body, err := p.Upload(ctx, p.at)
	if err == nil {
		err = begin(ctx)
	}
	if err != nil {
		return false, err
	}
	body.VID, body.EID, body.GID, body.Recipient = p.at.VID, p.body.EID, p.body.GID, p.at.Key.Recipient()
	p.body, p.uploaded = body, true
	return false, nil // uploading takes long: the head is another by now
}

// afresh begins a version with an id and identity of its own.
func (p *push) afresh() error {
	key, err := p.cipher().Generate()
	if err != nil {
		return fmt.Errorf("drawing a version identity: %w", err)
	}
	p.at, p.body, p.uploaded, p.Resume = Attempt{VID: canonical.NewID(), Key: key}, state.Version{}, false, nil
	return nil
}

// putRow sees to the version's row under the current epoch: the one that a
// resumed push left there, if it may be resumed, or a new one.
func (p *push) putRow(ctx context.Context, a *state.Artefact) (err error) {
	if p.Resume != nil {
		key, row, err := p.OpenPending(ctx, a, p.at.VID)
		if err == nil && key.Recipient() != p.at.Key.Recipient() {
			err = fmt.Errorf("%w: the row of version %s holds another identity", ErrIntegrity, p.at.VID)
		}
		if err == nil {
			p.row, p.body.EID, p.body.GID, p.Resume = row, a.Current.EID, a.Generation().GID, nil
		}
		if !errors.Is(err, backends.NotExist) {
			return err
		}
		if err := p.afresh(); err != nil {
			return err
		}
	}
	if p.row, err = p.NewRow(ctx, a, p.at.VID, p.at.Key); err != nil {
		return err
	}
	p.body.EID, p.body.GID = a.Current.EID, a.Generation().GID
	return nil
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
func (p *push) sourcesLive(a *state.Artefact) bool {
	if p.variant.deadSource {
		return true
	}
	return !slices.ContainsFunc(p.body.Borrowed, func(vid canonical.ID) bool {
		v := a.Version(vid)
		return v == nil || v.State != state.Live
	})
}
