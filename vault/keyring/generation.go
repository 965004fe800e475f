package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/state"
)

// newGeneration draws a generation identity and stores it sealed to readers,
// with the list of them. What it returns becomes a readers entry.
func (r *Ring) newGeneration(ctx context.Context, readers []Reader) (*state.Readers, error) {
	if len(readers) == 0 {
		return nil, ErrNoReaders
	}
	key, err := r.cipher().Generate()
	if err != nil {
		return nil, fmt.Errorf("drawing a generation identity: %w", err)
	}
	gid := canonical.NewID()
	list, err := r.putReaders(ctx, gid, readers)
	if err != nil {
		return nil, err
	}
	object, err := r.putGeneration(ctx, gid, key, nil, readers)
	if err != nil {
		return nil, err
	}
	return &state.Readers{GID: gid, Recipient: key.Recipient(), Object: *object, List: *list}, nil
}

func (r *Ring) putGeneration(ctx context.Context, gid canonical.ID, key seal.Key, older []olderGeneration, readers []Reader) (*state.Object, error) {
	if older == nil {
		older = []olderGeneration{}
	}
	plain, err := canonical.Marshal(generationObject{Format: generationFormat, GID: gid, Identity: key.Reveal(), Older: older})
	if err != nil {
		return nil, err
	}
	recipients := make([]string, len(readers))
	for i, rd := range readers {
		recipients[i] = rd.Recipient
	}
	sealed, err := r.cipher().Seal(plain, recipients...)
	if err != nil {
		return nil, fmt.Errorf("sealing generation %s: %w", gid, err)
	}
	name := r.generationPrefix(gid) + canonical.NewID().String()
	if err := r.put(ctx, name, sealed); err != nil {
		return nil, err
	}
	return &state.Object{Key: name, SHA256: canonical.Sum(sealed)}, nil
}

// generationPrefix begins the keys of the objects that a generation is sealed in.
func (r *Ring) generationPrefix(gid canonical.ID) string {
	return r.prefix() + "g/" + gid.String() + "-"
}

// readersOf reads the list of those that one generation object is sealed to.
func (r *Ring) readersOf(ctx context.Context, bound state.Readers) ([]Reader, error) {
	sealed, err := r.getBound(ctx, bound.List.Key, bound.List.SHA256, maxGeneration)
	if err != nil {
		return nil, err
	}
	plain, err := r.Vault.OpenMetadata(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrIntegrity, bound.List.Key, err)
	}
	var o readersObject
	if err := canonical.Unmarshal(plain, &o); err != nil || o.Format != readersFormat || o.GID != bound.GID {
		return nil, fmt.Errorf("%w: %s lists readers of generation %s in format %q: %v", ErrIntegrity, bound.List.Key, o.GID, o.Format, err)
	}
	return o.Readers, nil
}

func (r *Ring) putReaders(ctx context.Context, gid canonical.ID, readers []Reader) (*state.Object, error) {
	plain, err := canonical.Marshal(readersObject{Format: readersFormat, GID: gid, Readers: readers})
	if err != nil {
		return nil, err
	}
	return r.putDocument(ctx, plain)
}

// putDocument stores a document that an entry binds: sealed to the metadata
// identity, named by its digest.
func (r *Ring) putDocument(ctx context.Context, plain []byte) (*state.Object, error) {
	sealed, err := r.Vault.SealMetadata(plain)
	if err != nil {
		return nil, fmt.Errorf("sealing a document: %w", err)
	}
	sum := canonical.Sum(sealed)
	o := &state.Object{Key: "doc/" + sum.String(), SHA256: sum}
	return o, r.put(ctx, o.Key, sealed)
}

// generation returns the identity of a generation that this member, or a group
// it is in, can open. ErrNoReader if there is none.
func (r *Ring) generation(ctx context.Context, a *state.Artefact, gid canonical.ID) (seal.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := r.generations[gid]; key != nil {
		return key, nil
	}
	// A later generation may carry the identities of earlier ones, so all are tried, the right one first.
	order := append([]*state.Generation{a.GenerationByID(gid)}, a.Generations...)
	last := fmt.Errorf("%w: generation %s", ErrNoReader, gid)
	for i, g := range order {
		if g == nil || i > 0 && g.GID == gid {
			continue
		}
		for _, object := range append([]state.Readers{g.Readers}, g.More...) {
			if err := r.openGeneration(ctx, a, object); err != nil && !errors.Is(err, seal.ErrNoMatch) {
				last = err
				continue
			}
			if key := r.generations[gid]; key != nil {
				return key, nil
			}
		}
	}
	return nil, last
}

// openGeneration opens one generation object and remembers what it holds.
func (r *Ring) openGeneration(ctx context.Context, a *state.Artefact, bound state.Readers) error {
	sealed, err := r.getBound(ctx, bound.Object.Key, bound.Object.SHA256, maxGeneration)
	if err != nil {
		return err
	}
	plain, err := r.openShared(ctx, a, bound, sealed)
	if err != nil {
		return fmt.Errorf("opening %s: %w", bound.Object.Key, err)
	}
	var object generationObject
	if err := canonical.Unmarshal(plain, &object); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrIntegrity, bound.Object.Key, err)
	}
	if object.Format != generationFormat || object.GID != bound.GID {
		return fmt.Errorf("%w: %s holds generation %s in format %q", ErrIntegrity, bound.Object.Key, object.GID, object.Format)
	}
	if r.generations == nil {
		r.generations = map[canonical.ID]seal.Key{}
	}
	for _, o := range append(object.Older, olderGeneration{GID: object.GID, Identity: object.Identity}) {
		g := a.GenerationByID(o.GID)
		key, err := r.cipher().Parse(o.Identity)
		if err != nil || g == nil || key.Recipient() != g.Recipient {
			return fmt.Errorf("%w: %s holds another identity of generation %s than the journal binds", ErrIntegrity, bound.Object.Key, o.GID)
		}
		r.generations[o.GID] = key
	}
	return nil
}

// openShared opens a generation object with this member's own identity, or one
// of those that the list of its readers makes worth to try.
func (r *Ring) openShared(ctx context.Context, a *state.Artefact, bound state.Readers, sealed []byte) ([]byte, error) {
	plain, err := r.Vault.Self.OpenShared(sealed)
	if !errors.Is(err, seal.ErrNoMatch) || r.Others == nil {
		return plain, err
	}
	readers, err := r.readersOf(ctx, bound)
	if err != nil {
		return nil, err
	}
	keys, err := r.Others.keys(ctx, r.Vault, readers)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if plain, err := key.OpenShared(sealed); !errors.Is(err, seal.ErrNoMatch) {
			return plain, err
		}
	}
	return nil, seal.ErrNoMatch
}
