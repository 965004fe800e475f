package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Change is what an act on the vault's own journal led to.
type Change struct {
	Changed   bool
	Proposal  *Proposal // set if more admins must sign before it counts
	Head      ledger.Pin
	Freshness string
}

// administer writes an entry to the vault's journal, or proposes it if policy
// asks for more signatures. build stores what the entry binds and returns its
// body for the state as it is, nil if there is nothing to do; it is asked only
// if this member may, and again when somebody was faster.
func (v *Vault) administer(ctx context.Context, kind string, build func(st *state.Vault) (any, error), cosigners ...dsse.Signer) (*Change, error) {
	op := canonical.NewID()
	for attempt := 0; ; attempt++ {
		if err := v.ledger.Refresh(ctx); err != nil {
			return nil, err
		}
		st := v.State()
		if err := st.May(v.session.Author(), kind, "", v.session.Time()); err != nil {
			return nil, err
		}
		body, err := build(st)
		if err != nil {
			return nil, err
		}
		c := &Change{Changed: body != nil, Freshness: v.freshness(entry.VaultJournal)}
		switch {
		case body == nil:
		case st.Quorum(kind) > 1:
			c.Proposal, err = v.propose(ctx, kind, body, op)
		default:
			err = v.ledger.Append(ctx, kind, body, op, cosigners...)
		}
		if errors.Is(err, errLost) {
			if err := journal.Pause(ctx, attempt); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		c.Head = v.Head()
		v.keep()
		return c, nil
	}
}

// put stores an object whose name has a random part, or is its digest.
func (v *Vault) put(ctx context.Context, key string, sealed []byte) (state.Object, error) {
	return state.Object{Key: key, SHA256: canonical.Sum(sealed)}, chunk.Put(ctx, v.config.Store, key, sealed, v.config.Stall)
}

// putDocument stores a document that an entry binds, sealed to metadata.
func (v *Vault) putDocument(ctx context.Context, plain []byte) (state.Object, error) {
	sealed, err := v.ledger.SealMetadata(plain)
	if err != nil {
		return state.Object{}, fmt.Errorf("sealing a document: %w", err)
	}
	return v.put(ctx, "doc/"+canonical.Sum(sealed).String(), sealed)
}

// putMetadata stores a new metadata identity for recipients.
func (v *Vault) putMetadata(ctx context.Context, recipients []string) (state.Metadata, error) {
	meta, sealed, err := v.ledger.NewMetadata(ctx, recipients)
	if err != nil {
		return meta, err
	}
	_, err = v.put(ctx, ledger.MetadataKey(meta.MID), sealed)
	return meta, err
}
