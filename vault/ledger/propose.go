package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// ErrProposal marks a proposal that cannot become the next entry.
var ErrProposal = errors.New("not a proposal for the next entry")

// Propose signs the entry that would follow the head, for others to sign too.
// Errors: state.ErrNotPermitted; a *state.Void if it would not count whoever
// signed it.
func (v *Vault) Propose(ctx context.Context, kind string, body any, op canonical.ID) (*entry.Entry, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e, err := v.sign(ctx, kind, body, op, 0)
	if err != nil {
		return nil, err
	}
	_, err = v.missing(e)
	return e, err
}

// Missing returns how many admins must still sign e before it counts. Errors:
// ErrProposal if e does not follow the head; a *state.Void if e would not count
// whoever signed it; state.ErrUnverifiable.
func (v *Vault) Missing(e *entry.Entry) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.missing(e)
}

func (v *Vault) missing(e *entry.Entry) (int, error) {
	cur := v.fold.last()
	if err := v.journal.Follows(e, v.log.At(cur.Head.Seq)); err != nil || e.Vault != cur.Head {
		return 0, fmt.Errorf("%w: %v", ErrProposal, err)
	}
	return cur.Lacks(e)
}

// Cosign adds this session's signature to e. Errors: state.ErrNotPermitted for
// who is no admin; those of Missing.
func (v *Vault) Cosign(ctx context.Context, e *entry.Entry) (*entry.Entry, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := v.missing(e); err != nil {
		return nil, err
	}
	if err := v.fold.last().May(v.Author(), e.Kind, "", v.time(v.fold.last().Time)); err != nil {
		return nil, err
	}
	env := &dsse.Envelope{Payload: e.Envelope.Payload, PayloadType: e.Envelope.PayloadType, Signatures: e.Envelope.Signatures}
	if err := env.Add(ctx, v.Signer); err != nil {
		return nil, err
	}
	raw, err := env.Marshal()
	if err != nil {
		return nil, err
	}
	return entry.Parse(raw)
}

// AppendSigned writes an entry that several have signed. Errors as of Append.
func (v *Vault) AppendSigned(ctx context.Context, e *entry.Entry) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := v.missing(e); err != nil {
		return err
	}
	return v.appendEntry(ctx, e)
}

// CheckMetadata reads a metadata identity that is about to be bound and makes
// sure that it opens for this member, and carries the name key and every
// identity bound so far. Errors: ErrNoAccess, ErrMetadata; those of the store.
func (v *Vault) CheckMetadata(ctx context.Context, b state.Metadata) error {
	bound := v.State().Metadata
	v.meta.mu.Lock()
	defer v.meta.mu.Unlock()
	if err := v.meta.bindAll(ctx, bound); err != nil {
		return err
	}
	key := MetadataKey(b.MID)
	sealed, err := ReadBound(ctx, v.Store, state.Object{Key: key, SHA256: b.SHA256}, maxMetadataObject)
	if err != nil {
		return err
	}
	o, err := v.meta.decode(sealed)
	if errors.Is(err, seal.ErrNoMatch) {
		return fmt.Errorf("%w: %s", ErrNoAccess, key)
	}
	if err != nil {
		return err
	}
	own, err := v.Cipher.Parse(o.Identity)
	if err != nil || own.Recipient() != b.Recipient || o.MID != b.MID || [32]byte(o.NameKey) != v.meta.name {
		return fmt.Errorf("%w: %s holds another identity or name key", ErrMetadata, key)
	}
	for _, old := range bound {
		i := slices.IndexFunc(o.Older, func(have olderMetadata) bool { return have.MID == old.MID })
		if i < 0 {
			return fmt.Errorf("%w: %s lacks the identity %s", ErrMetadata, key, old.MID)
		}
		if k, err := v.Cipher.Parse(o.Older[i].Identity); err != nil || k.Recipient() != old.Recipient {
			return fmt.Errorf("%w: %s holds another identity %s", ErrMetadata, key, old.MID)
		}
	}
	return nil
}
