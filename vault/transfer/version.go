package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
)

// Source is a stored version: what its signed entry says of it, and the keys.
type Source struct {
	Store        backends.Store
	Artefact     canonical.Digest
	Version      canonical.ID
	Manifest     state.Object
	References   state.Object
	Digest       canonical.Digest                    // the version digest
	Identity     *seal.Identity                      // of the version
	OpenMetadata func(sealed []byte) ([]byte, error) // opens what is sealed to a metadata identity
	Jobs         int                                 // objects under way at once; 0: DefaultJobs, at most MaxJobs
	Stall        time.Duration                       // give up on an object after so long without success; 0: never
}

// Version is a Source whose manifest root is open.
type Version struct {
	Source
	Root *manifest.Root

	rootSize int64 // of the sealed root
}

// Open opens the manifest root of a version. ErrIntegrity: it is not what the
// entry binds, or names another version.
func Open(ctx context.Context, s Source) (*Version, error) {
	if err := s.own(s.Manifest.Key, "m-"); err != nil {
		return nil, err
	}
	sealed, err := chunk.Get(ctx, s.Store, s.Manifest.Key, s.Manifest.SHA256, s.Stall)
	if err != nil {
		return nil, err
	}
	plain, err := seal.Open(sealed, s.Identity)
	if err != nil {
		return nil, damaged(s.Manifest.Key, err)
	}
	root, err := manifest.DecodeRoot(plain)
	if err != nil {
		return nil, damaged(s.Manifest.Key, err)
	}
	if root.Artefact != s.Artefact || root.Version != s.Version {
		return nil, damaged(s.Manifest.Key, fmt.Errorf("it is the manifest of version %s of artefact %s", root.Version, root.Artefact))
	}
	return &Version{Source: s, Root: root, rootSize: int64(len(sealed))}, nil
}

// damaged says that an object does not verify, unless only a newer client could tell.
func damaged(key string, err error) error {
	if errors.Is(err, ErrIntegrity) || errors.Is(err, entry.ErrUpgrade) {
		return fmt.Errorf("%s: %w", key, err)
	}
	return fmt.Errorf("%s: %w: %w", key, ErrIntegrity, err)
}

// own checks that a key that an entry names is one of the version's objects.
func (s *Source) own(key, kind string) error {
	rnd, ok := strings.CutPrefix(key, manifest.VersionPrefix(s.Artefact, s.Version)+kind)
	if _, err := canonical.ParseID(rnd); err != nil || !ok {
		return damaged(key, fmt.Errorf("it is not a key below version %s of artefact %s", s.Version, s.Artefact))
	}
	return nil
}

// references reads the references object.
func (s *Source) references(ctx context.Context) (*manifest.References, int64, error) {
	if err := s.own(s.References.Key, "r-"); err != nil {
		return nil, 0, err
	}
	sealed, err := chunk.Get(ctx, s.Store, s.References.Key, s.References.SHA256, s.Stall)
	if err != nil {
		return nil, 0, err
	}
	refs, err := s.decodeReferences(sealed)
	if err != nil {
		return nil, 0, damaged(s.References.Key, err)
	}
	return refs, int64(len(sealed)), nil
}

func (s *Source) decodeReferences(sealed []byte) (*manifest.References, error) {
	h, err := seal.CheckHeader(sealed)
	if err != nil {
		return nil, err
	}
	if h.Stanzas != 1 {
		return nil, fmt.Errorf("%w: %d stanzas instead of one", seal.ErrFormat, h.Stanzas)
	}
	plain, err := s.OpenMetadata(sealed)
	if err != nil {
		return nil, err
	}
	refs, err := manifest.DecodeReferences(plain)
	if err != nil {
		return nil, err
	}
	if refs.Artefact != s.Artefact || refs.Version != s.Version {
		return nil, fmt.Errorf("they are of version %s of artefact %s", refs.Version, refs.Artefact)
	}
	return refs, nil
}

// read returns the verified plaintext of a chunk: of a part or a node.
func (v *Version) read(ctx context.Context, c *manifest.Chunk) ([]byte, error) {
	sealed, err := chunk.Fetch(ctx, v.Store, v.Artefact, c, nil, v.Stall)
	if err != nil {
		return nil, err
	}
	if err := chunk.Verify(c, sealed); err != nil {
		return nil, err
	}
	plain, err := chunk.Open(nil, sealed, c, 1)
	if err != nil {
		return nil, err
	}
	return plain, chunk.VerifyPlain(c, plain)
}
