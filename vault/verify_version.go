package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// version verifies the objects of one version. What is destroyed is accounted
// for and not read; what this member may not open is checked as far as the
// references go.
func (r *verification) version(ctx context.Context, ring *keyring.Ring, a *state.Artefact, cv *state.CommittedVersion, full bool) error {
	prefix := manifest.VersionPrefix(a.ID, cv.VID)
	r.account(prefix + "s")
	r.account(cv.Manifest.Key)
	r.account(cv.References.Key)
	if cv.State != state.Live && cv.State != state.Executed {
		return nil
	}
	r.Versions++
	named := Problem{Artefact: a.Name, Version: cv.Name()}
	named.Object = prefix + "s"
	if err := r.compare(ctx, named.Object, cv.Secret, named); err != nil {
		return err
	}
	key, err := ring.OpenVersion(ctx, a, cv)
	switch {
	case errors.Is(err, keyring.ErrIntegrity):
		return nil // the key hierarchy has been reported object by object
	case unreadable(err):
		return r.sealedVersion(ctx, a, cv, named)
	case err != nil:
		return fmt.Errorf("opening %s: %w", cv.Ref(a.Name), err)
	}
	source, err := r.vault.source(a, cv, key, r.vault.config.Store)
	if err != nil {
		return err
	}
	report, err := transfer.Check(ctx, source, full, r.vault.config.Progress)
	if err != nil {
		return fmt.Errorf("verifying %s: %w", cv.Ref(a.Name), err)
	}
	r.Objects += len(report.Keys)
	r.Bytes += report.Bytes
	for _, k := range report.Keys {
		r.account(k)
	}
	for _, p := range report.Problems {
		named.Object, named.Why, named.File = p.Key, without(p.Key, p.Err), strings.Join(p.Paths, ", ")
		if p.More > 0 {
			named.File += fmt.Sprintf(" and %d more", p.More)
		}
		r.problem(named)
	}
	return nil
}

// without says what is wrong with an object without naming it again.
func without(key string, err error) string { return strings.TrimPrefix(err.Error(), key+": ") }

// sealedVersion checks, for a member who may not read, that everything the
// references name is there in its size, and that root and references are the
// objects that the entry binds.
func (r *verification) sealedVersion(ctx context.Context, a *state.Artefact, cv *state.CommittedVersion, named Problem) error {
	named.Object = cv.Manifest.Key
	if err := r.compare(ctx, cv.Manifest.Key, cv.Manifest.SHA256, named); err != nil {
		return err
	}
	before := len(r.Problems)
	named.Object = cv.References.Key
	if err := r.compare(ctx, cv.References.Key, cv.References.SHA256, named); err != nil || len(r.Problems) > before {
		return err
	}
	sealed, err := ledger.ReadObject(ctx, r.vault.config.Store, cv.References.Key, 0)
	if err != nil {
		return err
	}
	refs, err := r.references(ctx, sealed, a.ID)
	if err != nil {
		named.Why = err.Error()
		r.problem(named)
		return nil
	}
	sizes := map[string]int64{}
	creators := map[canonical.ID]bool{}
	for _, o := range refs.Objects {
		creators[o.Creator] = true
	}
	for creator := range creators {
		for info, err := range r.vault.config.Store.List(ctx, manifest.VersionPrefix(a.ID, creator)+"c/", backends.ListOptions{}) {
			if err != nil {
				return err
			}
			sizes[info.Key] = info.Size
		}
	}
	for _, o := range refs.Objects {
		k := o.Key(a.ID)
		r.account(k)
		size, there := sizes[k]
		named.Object = k
		switch {
		case !there:
			named.Why = "it is missing"
			r.problem(named)
		case size != o.Size:
			named.Why = fmt.Sprintf("it has %d bytes instead of %d", size, o.Size)
			r.problem(named)
		}
	}
	return nil
}

func (r *verification) references(ctx context.Context, sealed []byte, aid canonical.Digest) (*manifest.References, error) {
	plain, err := r.vault.ledger.OpenMetadata(ctx, sealed)
	if err != nil {
		return nil, err
	}
	refs, err := manifest.DecodeReferences(plain)
	if err == nil && refs.Artefact != aid {
		err = fmt.Errorf("they are of another artefact: %w", ErrIntegrity)
	}
	return refs, err
}
