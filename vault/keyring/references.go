package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
)

// keptChunks is a set of stored chunks, by digests cut to 128 bits.
type keptChunks map[[16]byte]struct{}

func chunkID(creator canonical.ID, name string) [16]byte {
	sum := canonical.Sum(append(creator[:], name...))
	return [16]byte(sum[:16])
}

func (k keptChunks) has(creator canonical.ID, name string) bool {
	_, ok := k[chunkID(creator, name)]
	return ok
}

// undestroyed reports whether a version's references protect what they list: it
// stands in a valid entry and no destroyed entry names it. An executed one can
// be cancelled.
func (r *Ring) undestroyed(v *state.CommittedVersion) bool {
	if f := r.variant.protects; f != nil {
		return f(v)
	}
	return v.State < state.Shredded
}

// references reads and checks the references of a version. backends.NotExist if
// they are gone.
func (r *Ring) references(ctx context.Context, v *state.CommittedVersion) (*manifest.References, error) {
	sealed, err := r.getBound(ctx, v.References.Key, v.References.SHA256, backends.MaxObject)
	if err != nil {
		return nil, err
	}
	plain, err := r.Vault.OpenMetadata(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrIntegrity, v.References.Key, err)
	}
	refs, err := manifest.DecodeReferences(plain)
	if err == nil && (refs.Artefact != r.Ledger.ID || refs.Version != v.VID) {
		err = errors.New("they are those of another version")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrIntegrity, v.References.Key, err)
	}
	return refs, nil
}

// maxBroken bounds how many manifests of one broken-off version are looked at.
const maxBroken = 8

// namesOwn reports whether no references under a version that was begun list
// chunks of others, and every manifest root there has references. A root that
// names chunks of others keeps them open, whatever the version lists in the end,
// to whoever opens the version when those others are destroyed. References are
// put before their root, which may be on its way.
func (r *Ring) namesOwn(ctx context.Context, vid canonical.ID) (bool, error) {
	roots, err := r.names(ctx, vid, "m-")
	if err != nil {
		return false, err
	}
	lists, err := r.names(ctx, vid, "r-")
	if err != nil || len(lists) > maxBroken {
		return false, err
	}
	own := map[string]bool{}
	for _, name := range lists {
		sealed, err := ledger.ReadObject(ctx, r.Store, r.VersionPrefix(vid)+name, backends.MaxObject)
		if errors.Is(err, backends.NotExist) {
			continue // an older version of the object, or erased
		}
		if err != nil {
			return false, err
		}
		plain, err := r.Vault.OpenMetadata(ctx, sealed)
		if err != nil {
			return false, nil // it may be anything
		}
		refs, err := manifest.DecodeReferences(plain)
		if err != nil || slices.ContainsFunc(refs.Objects, func(o manifest.Reference) bool { return o.Creator != vid }) {
			return false, nil
		}
		own[refs.Root] = true
	}
	return !slices.ContainsFunc(roots, func(root string) bool { return !own[root] }), nil
}

// kept returns every chunk that an undestroyed version lists and whose creator
// counts, with the state it was taken from. It folds first and reads then: what
// commits later can list nothing that is not listed already, or its own.
func (r *Ring) kept(ctx context.Context, counts func(*state.Artefact, canonical.ID) bool) (*state.Artefact, keptChunks, error) {
	var kept keptChunks
	a, err := r.present(ctx, func(a *state.Artefact) error {
		kept = keptChunks{}
		var mu sync.Mutex
		return r.eachListed(ctx, a, func(_ *state.CommittedVersion, refs *manifest.References) {
			mu.Lock()
			defer mu.Unlock()
			for _, o := range refs.Objects {
				if counts(a, o.Creator) {
					kept[chunkID(o.Creator, o.Name)] = struct{}{}
				}
			}
		})
	})
	if err != nil {
		return nil, nil, err
	}
	return a, kept, nil
}

// present folds, and has read look at references, again and again until none of
// an undestroyed version is missing, or the journal does not say why.
func (r *Ring) present(ctx context.Context, read func(*state.Artefact) error) (*state.Artefact, error) {
	for {
		a, err := r.fold(ctx)
		if err != nil {
			return nil, err
		}
		head := a.Head
		missing := read(a)
		if missing == nil {
			return a, nil
		}
		if !errors.Is(missing, backends.NotExist) {
			return nil, missing
		}
		// The version may have been destroyed and purged since the fold.
		if a, err = r.fold(ctx); err != nil {
			return nil, err
		}
		if a.Head == head {
			return nil, fmt.Errorf("%w: the references of an undestroyed version are missing, and nothing is erased: %w", ErrIntegrity, missing)
		}
	}
}

// eachListed reads the references of every undestroyed version, concurrently.
func (r *Ring) eachListed(ctx context.Context, a *state.Artefact, do func(*state.CommittedVersion, *manifest.References)) error {
	var vs []*state.CommittedVersion
	for _, v := range a.Versions {
		if r.undestroyed(v) {
			vs = append(vs, v)
		}
	}
	return r.each(ctx, len(vs), func(ctx context.Context, i int) error {
		refs, err := r.references(ctx, vs[i])
		if err == nil {
			do(vs[i], refs)
		}
		return err
	})
}

// ownList is what a wrong variant of gc keeps under a version.
func (r *Ring) ownList(ctx context.Context, v *state.CommittedVersion) (keptChunks, error) {
	kept := keptChunks{}
	refs, err := r.references(ctx, v)
	if errors.Is(err, backends.NotExist) {
		return kept, nil
	}
	if err != nil {
		return nil, err
	}
	for _, o := range refs.Objects {
		kept[chunkID(o.Creator, o.Name)] = struct{}{}
	}
	return kept, nil
}

// destroyed reports whether a version that once committed is destroyed.
func destroyed(a *state.Artefact, vid canonical.ID) bool {
	v := a.Version(vid)
	return v != nil && v.State >= state.Shredded
}

// AllReferences reads the references of every undestroyed version. Errors as of
// Purge.
func (r *Ring) AllReferences(ctx context.Context) (out map[canonical.ID]*manifest.References, err error) {
	_, err = r.present(ctx, func(a *state.Artefact) error {
		out = map[canonical.ID]*manifest.References{}
		var mu sync.Mutex
		return r.eachListed(ctx, a, func(v *state.CommittedVersion, refs *manifest.References) {
			mu.Lock()
			defer mu.Unlock()
			out[v.VID] = refs
		})
	})
	return out, err
}

// Document reads a document that an entry binds, such as a plan or a report.
// ErrIntegrity: it is missing, or another.
func (r *Ring) Document(ctx context.Context, o state.Object) ([]byte, error) {
	sealed, err := r.getBound(ctx, o.Key, o.SHA256, 0)
	if err != nil {
		return nil, err
	}
	return r.Vault.OpenMetadata(ctx, sealed)
}

// PutDocument stores a document for an entry to bind.
func (r *Ring) PutDocument(ctx context.Context, plain []byte) (*state.Object, error) {
	return r.putDocument(ctx, plain)
}

// PutOnce stores an object under a name that others may want as well: the first
// one stands, and the loser is told nothing.
func (r *Ring) PutOnce(ctx context.Context, key string, body []byte) error {
	err := r.put(ctx, key, body)
	if errors.Is(err, errTaken) {
		return nil
	}
	return err
}
