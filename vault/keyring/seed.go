package keyring

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// errAbandoned means that an intent or a candidate cannot become current any
// more: whoever rotates begins again.
var errAbandoned = errors.New("this epoch is abandoned")

// KeeperError is the error of one keeper.
type KeeperError struct {
	Instance string
	Err      error // says which keeper it was, too
}

func (e *KeeperError) Error() string { return e.Err.Error() }
func (e *KeeperError) Unwrap() error { return e.Err }

func (r *Ring) keeper(instance string) (custody.Keeper, error) {
	k := r.Keepers[instance]
	switch {
	case k != nil:
		return k, nil
	case r.Unreached != nil:
		return nil, &KeeperError{instance, fmt.Errorf("keeper %s is not reached from this machine: %w: %w", instance, custody.ErrUnavailable, r.Unreached)}
	}
	return nil, &KeeperError{instance, fmt.Errorf("keeper %s is not configured on this machine: %w", instance, custody.ErrUnavailable)}
}

func (r *Ring) context(a *state.Artefact, eid canonical.ID) [32]byte {
	return state.EpochContext(a.Vault.Genesis, a.ID, eid)
}

func (r *Ring) seedKey(eid canonical.ID) string { return r.epochPrefix(eid) + "id" }

// putSeed wraps the seed of an epoch with its keepers' keys and stores it. Only
// whoever drew the seed calls it, and once for an epoch.
func (r *Ring) putSeed(ctx context.Context, a *state.Artefact, eid canonical.ID, mode string, keys []state.KeyRef, key seal.Key) error {
	parts := split(mode, key.RevealSeed(), len(keys))
	object := seedObject{Format: seedFormat, Mode: mode, Wraps: make([]wrappedSeed, len(keys))}
	for i, ref := range keys {
		k, err := r.keeper(ref.Instance)
		if err != nil {
			return err
		}
		wrapped, err := k.Wrap(ctx, custody.KeyRef(ref.Ref), r.context(a, eid), parts[i])
		if errors.Is(err, custody.ErrDestroyed) {
			return fmt.Errorf("%w: %w", errAbandoned, err)
		}
		if err != nil {
			return &KeeperError{ref.Instance, fmt.Errorf("wrapping the seed of epoch %s at keeper %s: %w", eid, ref.Instance, err)}
		}
		object.Wraps[i] = wrappedSeed{Instance: ref.Instance, Wrapped: wrapped}
	}
	b, err := canonical.Marshal(object)
	if err != nil {
		return err
	}
	err = r.put(ctx, r.seedKey(eid), b)
	if errors.Is(err, errTaken) {
		return fmt.Errorf("%w: %w", errAbandoned, err)
	}
	return err
}

// split returns what each of n keepers wraps: the seed itself, or (all-of)
// random shares whose XOR it is.
func split(mode string, seed []byte, n int) [][]byte {
	parts := make([][]byte, n)
	for i := range parts {
		parts[i] = seed
	}
	if mode == state.AllOf {
		last := bytes.Clone(seed)
		for i := range n - 1 {
			parts[i] = make([]byte, len(seed))
			rand.Read(parts[i])
			subtle.XORBytes(last, last, parts[i])
		}
		parts[n-1] = last
	}
	return parts
}

// getSeed reads the stored seed of a candidate and its digest. errAbandoned if
// it is not there.
func (r *Ring) getSeed(ctx context.Context, ep *state.Epoch) (*seedObject, canonical.Digest, error) {
	b, err := ledger.ReadObject(ctx, r.Store, r.seedKey(ep.EID), maxSeed)
	if errors.Is(err, backends.NotExist) {
		return nil, canonical.Digest{}, fmt.Errorf("%w: its seed was never stored", errAbandoned)
	}
	if err != nil {
		return nil, canonical.Digest{}, err
	}
	s, err := decodeSeed(b)
	if err == nil && (s.Mode != ep.Candidate.Mode || len(s.Wraps) != len(ep.Candidate.Keys)) {
		err = fmt.Errorf("%d wrappings, %s", len(s.Wraps), s.Mode)
	}
	for i := 0; err == nil && i < len(s.Wraps); i++ {
		if s.Wraps[i].Instance != ep.Candidate.Keys[i].Instance {
			err = fmt.Errorf("wrapping %d is by keeper %s", i, s.Wraps[i].Instance)
		}
	}
	if err != nil {
		return nil, canonical.Digest{}, fmt.Errorf("%w: %s is not the seed of its candidate: %w", ErrIntegrity, r.seedKey(ep.EID), err)
	}
	return s, canonical.Sum(b), nil
}

// unwrap turns a stored seed into the epoch's identity, and compares that with
// the candidate's recipient. With every, each wrapping must open, not just
// enough of them.
//
// Errors: custody.ErrDestroyed if the keepers have destroyed enough that the
// epoch can never be opened; ErrIntegrity; those of the keepers.
func (r *Ring) unwrap(ctx context.Context, a *state.Artefact, ep *state.Epoch, s *seedObject, every bool) (seal.Key, error) {
	var seed []byte
	var failed, lapsed []error // lapsed: of keepers that this machine reaches
	gone := 0
	anyOf := ep.Candidate.Mode == state.AnyOf
	for i, ref := range ep.Candidate.Keys {
		part, err := r.unwrapPart(ctx, a, ep, ref, s.Wraps[i].Wrapped)
		switch {
		case errors.Is(err, custody.ErrDestroyed):
			gone++
			fallthrough
		case err != nil:
			if failed = append(failed, err); r.Keepers[ref.Instance] != nil {
				lapsed = append(lapsed, err)
			}
		case seed == nil:
			seed = part
		case anyOf:
			if !bytes.Equal(seed, part) {
				return nil, fmt.Errorf("%w: the keepers of epoch %s wrap different seeds", ErrIntegrity, ep.EID)
			}
		default:
			subtle.XORBytes(seed, seed, part)
		}
		if anyOf && err == nil && !every || !anyOf && err != nil && gone > 0 {
			break
		}
	}
	if len(failed) > 0 && (every || !anyOf || len(failed) == len(ep.Candidate.Keys)) {
		switch {
		case anyOf && gone == len(ep.Candidate.Keys), !anyOf && gone > 0:
			return nil, fmt.Errorf("epoch %s: %w", ep.EID, errors.Join(failed...))
		case gone > 0 && every:
			return nil, fmt.Errorf("%w: %w", errAbandoned, alive(failed))
		}
		return nil, fmt.Errorf("unwrapping epoch %s: %w", ep.EID, alive(failed))
	}
	if len(lapsed) > 0 && r.Warn != nil {
		r.Warn(fmt.Errorf("opened without every keeper: %w", alive(lapsed)))
	}
	key, err := r.cipher().FromSeed(seed)
	clear(seed)
	if err != nil || key.Recipient() != ep.Candidate.Recipient {
		return nil, fmt.Errorf("%w: the stored seed of epoch %s is not that of its candidate", ErrIntegrity, ep.EID)
	}
	return key, nil
}

// alive joins errors that do not prove a death: errors.Is(ErrDestroyed) must
// hold only where every key that it takes is gone.
func alive(failed []error) error {
	var out []error
	for _, err := range failed {
		if errors.Is(err, custody.ErrDestroyed) {
			err = errors.New(err.Error())
		}
		out = append(out, err)
	}
	return errors.Join(out...)
}

func (r *Ring) unwrapPart(ctx context.Context, a *state.Artefact, ep *state.Epoch, ref state.KeyRef, wrapped []byte) ([]byte, error) {
	k, err := r.keeper(ref.Instance)
	if err != nil {
		return nil, err
	}
	part, err := k.Unwrap(ctx, custody.KeyRef(ref.Ref), r.context(a, ep.EID), wrapped)
	if errors.Is(err, custody.ErrMismatch) {
		err = fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	if err == nil && len(part) != seal.SeedSize {
		err = fmt.Errorf("%w: a seed of %d bytes", ErrIntegrity, len(part))
	}
	if err != nil {
		return nil, &KeeperError{ref.Instance, fmt.Errorf("keeper %s: %w", ref.Instance, err)}
	}
	return part, nil
}

// currentKey returns the identity of the current epoch, by way of the keepers.
func (r *Ring) currentKey(ctx context.Context, a *state.Artefact) (seal.Key, error) {
	ep := a.Current
	if key := r.epochs[ep.EID]; key != nil {
		return key, nil
	}
	s, sum, err := r.getSeed(ctx, ep)
	if errors.Is(err, errAbandoned) {
		return nil, fmt.Errorf("%w: %s is missing", ErrIntegrity, r.seedKey(ep.EID))
	}
	if err != nil {
		return nil, err
	}
	if sum != a.Activated.Seed {
		return nil, fmt.Errorf("%w: %s is not the object that its activation binds", ErrIntegrity, r.seedKey(ep.EID))
	}
	key, err := r.unwrap(ctx, a, ep, s, false)
	if err != nil {
		return nil, err
	}
	if r.epochs == nil {
		r.epochs = map[canonical.ID]seal.Key{}
	}
	r.epochs[ep.EID] = key
	return key, nil
}
