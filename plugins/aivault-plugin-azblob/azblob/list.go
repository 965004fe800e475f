package azblob

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aivault/aivault/backends"
)

// pageSize is the most blobs that Azure lists at once.
const pageSize = 5000

// List implements [backends.Store].
func (s *Store) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		stop := func(err error) {
			if err != nil {
				yield(backends.Info{}, s.fail(ctx, "list", prefix, err, read))
			}
		}
		if err := checkList(prefix, o); err != nil {
			stop(err)
			return
		}
		last, n := "", 0
		// give yields one result, and says whether to go on.
		give := func(in backends.Info) (bool, error) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			if in.Key < last || !o.Versions && in.Key == last && n > 0 {
				return false, fmt.Errorf("Azure lists %q after %q: %w", in.Key, last, backends.Corrupt)
			}
			last, n = in.Key, n+1
			return yield(in, nil) && n != o.Limit, nil
		}
		switch {
		case o.OneLevel:
			stop(s.listLevel(ctx, prefix, o.Limit, give))
		case o.Versions:
			stop(s.listVersions(ctx, prefix, give))
		default:
			stop(s.listFlat(ctx, prefix, o.Limit, give))
		}
	}
}

func checkList(prefix string, o backends.ListOptions) error {
	if err := backends.CheckPrefix(prefix); err != nil {
		return err
	}
	if o.Limit < 0 || o.OneLevel && o.Versions {
		return fmt.Errorf("limit %d, one level %v, versions %v: %w", o.Limit, o.OneLevel, o.Versions, backends.Invalid)
	}
	return nil
}

func maxResults(limit int) *int32 {
	if limit > 0 && limit < pageSize {
		return to.Ptr(int32(limit))
	}
	return nil
}

func (s *Store) listFlat(ctx context.Context, prefix string, limit int, give func(backends.Info) (bool, error)) error {
	o := &container.ListBlobsFlatOptions{Prefix: to.Ptr(s.name(prefix)), MaxResults: maxResults(limit)}
	for pages := s.container.NewListBlobsFlatPager(o); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Segment.BlobItems {
			in, err := s.info(item)
			if err != nil {
				return err
			}
			if more, err := give(in); !more || err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) listLevel(ctx context.Context, prefix string, limit int, give func(backends.Info) (bool, error)) error {
	o := &container.ListBlobsHierarchyOptions{Prefix: to.Ptr(s.name(prefix)), MaxResults: maxResults(limit)}
	for pages := s.container.NewListBlobsHierarchyPager("/", o); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var all []backends.Info // of both kinds, which a page holds apart
		for _, item := range page.Segment.BlobItems {
			in, err := s.info(item)
			if err != nil {
				return err
			}
			all = append(all, in)
		}
		for _, p := range page.Segment.BlobPrefixes {
			key, ok := strings.CutPrefix(value(p.Name), s.location.prefix)
			if !ok {
				return fmt.Errorf("Azure lists a prefix outside of what was asked for: %w", backends.Corrupt)
			}
			all = append(all, backends.Info{Ref: backends.Ref{Key: key}})
		}
		slices.SortFunc(all, func(a, b backends.Info) int { return strings.Compare(a.Key, b.Key) })
		for _, in := range all {
			if more, err := give(in); !more || err != nil {
				return err
			}
		}
	}
	return nil
}

// maxVersions bounds how much one blob may keep in memory.
const maxVersions = 100_000

// listVersions lists everything that an account keeps, the newest of a blob
// first. Azure has it the other way round.
func (s *Store) listVersions(ctx context.Context, prefix string, give func(backends.Info) (bool, error)) error {
	var of []kept // one blob
	flush := func() (bool, error) {
		slices.SortStableFunc(of, func(a, b kept) int { return strings.Compare(b.at, a.at) })
		for _, k := range of {
			if more, err := give(k.Info); !more || err != nil {
				return false, err
			}
		}
		of = of[:0]
		return true, nil
	}
	for k, err := range s.everything(ctx, prefix) {
		if err != nil {
			return err
		}
		if len(of) > 0 && of[0].Key != k.Key {
			if more, err := flush(); !more || err != nil {
				return err
			}
		}
		if of = append(of, k); len(of) > maxVersions {
			return fmt.Errorf("%s has more than %d versions: %w", k.Key, maxVersions, backends.Corrupt)
		}
	}
	_, err := flush()
	return err
}

// kept is one state of a blob that an account keeps.
type kept struct {
	backends.Info
	at      string // sorts by age; the current one is the newest
	current bool
	deleted bool // a soft delete retains it
	held    bool // a legal hold does
}

// newest sorts after every time that Azure writes.
const newest = "~"

// everything lists current blobs, versions, snapshots, and what a soft delete
// retains, in the order of names.
func (s *Store) everything(ctx context.Context, prefix string) iter.Seq2[kept, error] {
	return func(yield func(kept, error) bool) {
		o := &container.ListBlobsFlatOptions{Prefix: to.Ptr(s.name(prefix)), Include: container.ListBlobsInclude{
			Snapshots: true, Versions: true, Deleted: true, ImmutabilityPolicy: true, LegalHold: true,
		}}
		for pages := s.container.NewListBlobsFlatPager(o); pages.More(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(kept{}, err)
				return
			}
			for _, item := range page.Segment.BlobItems {
				k, err := s.state(item)
				if !yield(k, err) || err != nil {
					return
				}
			}
		}
	}
}

func (s *Store) state(item *container.BlobItem) (kept, error) {
	in, err := s.info(item)
	if err != nil {
		return kept{}, err
	}
	k := kept{Info: in, at: newest, current: true}
	snapshot, version := value(item.Snapshot), value(item.VersionID)
	switch {
	case snapshot != "":
		k.Version, k.at, k.current = snapshotVersion+snapshot, snapshot, false
	case version != "" && !value(item.IsCurrentVersion):
		k.at, k.current = version, false
	}
	p := item.Properties
	if k.held = value(p.LegalHold); k.held {
		k.RetainUntil = time.Time{}
	}
	if value(item.Deleted) {
		k.deleted, k.current = true, false
		at := value(p.DeletedTime)
		if snapshot == "" && version == "" {
			k.at = at.UTC().Format(time.RFC3339)
			k.Version = deletedVersion + k.at
		}
		if days := value(p.RemainingRetentionDays); p.RemainingRetentionDays != nil {
			k.RetainUntil = s.now().AddDate(0, 0, int(days)+1) // Azure rounds down
		}
	}
	return k, nil
}

// info reads what a listing says of a blob.
func (s *Store) info(item *container.BlobItem) (backends.Info, error) {
	key, ok := strings.CutPrefix(value(item.Name), s.location.prefix)
	if !ok || item.Properties == nil {
		return backends.Info{}, fmt.Errorf("Azure lists a blob outside of what was asked for: %w", backends.Corrupt)
	}
	in := backends.Info{
		Ref: backends.Ref{Key: key, Version: value(item.VersionID)}, Size: value(item.Properties.ContentLength),
		Modified: value(item.Properties.LastModified),
	}
	if until := item.Properties.ImmutabilityPolicyExpiresOn; until != nil {
		in.RetainUntil = until.UTC()
	}
	return in, nil
}
