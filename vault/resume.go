package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

const (
	// maxBegun bounds how many versions that were begun a push looks at.
	maxBegun = 16
	// maxPushSecret bounds the object s.
	maxPushSecret = 64 << 10
	// abandonedAfter is how long nothing must have been stored under a version
	// before a push of other files takes it for one that was broken off. One that
	// is still running would lose its work to the newcomer.
	abandonedAfter = time.Hour
)

// begunPush is a version that this author began and that no entry names.
type begunPush struct {
	vid    canonical.ID
	key    seal.Key
	secret manifest.Secret
	stored canonical.Digest // SHA-256 of s
	sent   *transfer.Sent
}

// findBegun looks for a push of this author to go on with (vault/FORMAT.md
// §7.7): of the same paths and sizes, or long abandoned. It returns nil if there
// is none, or if this client may not see. What is found is not trusted with
// anything: its row, its secret and every chunk are verified.
func (p *push) findBegun(ctx context.Context) (*begunPush, error) {
	a := p.ledger.State()
	if p.ring.Keepers == nil || a.Current == nil || a.Generation() == nil || a.Ended || a.Whole {
		return nil, nil
	}
	vids, err := p.ring.Begun(ctx, a, maxBegun)
	if errors.Is(err, backends.Denied) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a push to go on with: %w", err)
	}
	var other []*begunPush
	for _, vid := range vids {
		b, tree, err := p.openBegun(ctx, a, vid)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			continue // somebody else's, or spoilt: not this push's to mend
		}
		if p.tree.Mark(b.secret) != tree {
			other = append(other, b)
			continue
		}
		if b.sent, err = transfer.ListSent(ctx, p.vault.session.Store, a.ID, vid); err != nil {
			return nil, err
		}
		return b, nil
	}
	var best *begunPush
	for _, b := range other {
		if b.sent, err = transfer.ListSent(ctx, p.vault.session.Store, a.ID, b.vid); err != nil {
			return nil, err
		}
		n := b.sent.Len()
		if n > 0 && p.vault.config.Now().Sub(b.sent.Newest) >= abandonedAfter && (best == nil || n > best.sent.Len()) {
			best = b
		}
	}
	return best, nil
}

// openBegun opens what a push of this author stored first: a row under the
// current epoch and generation, and a push secret with their own signature.
func (p *push) openBegun(ctx context.Context, a *state.Artefact, vid canonical.ID) (*begunPush, canonical.Digest, error) {
	var tree canonical.Digest
	key, _, err := p.ring.OpenPending(ctx, a, vid)
	if err != nil {
		return nil, tree, err
	}
	id, err := seal.IdentityFromSeed(key.RevealSeed())
	if err != nil {
		return nil, tree, err
	}
	sealed, err := ledger.ReadObject(ctx, p.vault.session.Store, secretKey(a.ID, vid), maxPushSecret)
	if err != nil {
		return nil, tree, err
	}
	b := &begunPush{vid: vid, key: key, stored: canonical.Sum(sealed)}
	b.secret, tree, err = transfer.OpenSecret(sealed, id, a.ID, vid, p.vault.session.Signer.Public())
	return b, tree, err
}

// secretKey is where a push secret stands.
func secretKey(aid canonical.Digest, vid canonical.ID) string {
	return manifest.VersionPrefix(aid, vid) + "s"
}

// resume is what the key layer needs to know of it.
func (b *begunPush) resume() *keyring.Resume {
	if b == nil {
		return nil
	}
	return &keyring.Resume{VID: b.vid, Key: b.key}
}
