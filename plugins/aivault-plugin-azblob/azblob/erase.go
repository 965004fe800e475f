package azblob

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/aivault/aivault/backends"
	"golang.org/x/sync/errgroup"
)

// erasers work at once.
const erasers = 32

// Erase implements [backends.Store]. Of each key it lists everything that the
// account keeps, deletes it, and, where deleting may leave something, looks again.
func (s *Store) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	for _, key := range keys {
		if err := backends.CheckKey(key); err != nil {
			return nil, s.fail(ctx, "erase", key, err, unsent)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, s.fail(ctx, "erase", "", err, unsent)
	}
	var mu sync.Mutex
	var remnants []backends.Remnant
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(erasers)
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		g.Go(func() error {
			left, err := s.eraseOne(gctx, key)
			mu.Lock()
			defer mu.Unlock()
			remnants = append(remnants, left...)
			return s.fail(gctx, "erase", key, err, applied)
		})
	}
	err := g.Wait()
	slices.SortFunc(remnants, func(a, b backends.Remnant) int {
		return strings.Compare(a.Key+" "+a.Version, b.Key+" "+b.Version)
	})
	return remnants, err
}

// rounds is how often a key is looked at. Deleting the current state of a blob
// may make an old one of it, and deleting that may leave it recoverable.
const rounds = 4

// eraseOne erases one key, and returns what stays.
func (s *Store) eraseOne(ctx context.Context, key string) ([]backends.Remnant, error) {
	for range rounds {
		there, err := s.keeps(ctx, key)
		if err != nil {
			return nil, err
		}
		var remnants []backends.Remnant
		again := false
		for _, k := range there {
			why := "soft delete"
			if !k.deleted {
				gone, err := s.delete(ctx, k)
				switch {
				case err == nil || bloberror.HasCode(err, bloberror.BlobNotFound):
					again = again || !gone
					continue
				case bloberror.HasCode(err, bloberror.BlobImmutableDueToPolicy):
					why = lock(k)
				case bloberror.HasCode(err, bloberror.LeaseIDMissing):
					why = "lease"
				default:
					return nil, err
				}
			}
			remnants = append(remnants, backends.Remnant{Ref: k.Ref, Until: k.RetainUntil, Why: why})
		}
		if !again {
			return remnants, nil
		}
	}
	return nil, errors.New("what is erased keeps coming back")
}

// keeps lists everything that the account keeps of exactly one key.
func (s *Store) keeps(ctx context.Context, key string) ([]kept, error) {
	var there []kept
	for k, err := range s.everything(ctx, key) {
		if err != nil {
			return nil, err
		}
		if k.Key != key {
			break // the key itself comes first of all that begin with it
		}
		if there = append(there, k); len(there) > maxVersions {
			return nil, errors.New("the blob has too many versions")
		}
	}
	return there, nil
}

// delete deletes one state of a blob, the current one with its snapshots, and
// says whether nothing of it is left.
func (s *Store) delete(ctx context.Context, k kept) (gone bool, err error) {
	o := &blob.DeleteOptions{}
	ref := k.Ref
	if k.current {
		// Deleted by version it could not take its snapshots along.
		o.DeleteSnapshots, ref.Version = to.Ptr(blob.DeleteSnapshotsOptionTypeInclude), ""
	}
	b, err := s.version(ref)
	if err != nil {
		return false, err
	}
	var answer *http.Response
	if _, err := b.Delete(policy.WithCaptureResponse(ctx, &answer), o); err != nil {
		return false, err
	}
	permanent := answer != nil && answer.Header.Get("x-ms-delete-type-permanent") == "true"
	return permanent && (!k.current || k.Version == ""), nil
}

// lock says what keeps a blob.
func lock(k kept) string {
	switch {
	case k.held:
		return "legal hold"
	case !k.RetainUntil.IsZero():
		return "immutability policy"
	}
	return "immutability policy or legal hold of the container"
}
