package azblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/aivault/aivault/backends"
)

const (
	snapshotVersion = "snapshot=" // begins the name of a snapshot
	deletedVersion  = "deleted="  // begins the name of what a soft delete retains
)

// Get implements [backends.Store] with one Get Blob, or one Get Blob Properties
// where no bytes are asked for.
func (s *Store) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	r, in, err := s.get(ctx, ref, off, n)
	if err != nil {
		return nil, backends.Info{}, s.fail(ctx, "get", ref.Key, err, read)
	}
	return r, in, nil
}

func (s *Store) get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if err := backends.CheckKey(ref.Key); err != nil {
		return nil, backends.Info{}, err
	}
	if off < 0 {
		return nil, backends.Info{}, fmt.Errorf("offset %d: %w", off, backends.Invalid)
	}
	b, err := s.version(ref)
	if err != nil {
		return nil, backends.Info{}, err
	}
	if n == 0 {
		return s.getNothing(ctx, b, ref, off)
	}
	if n < 0 || n > math.MaxInt64-off {
		n = blob.CountToEnd
	}
	answer, err := b.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: off, Count: n}})
	if bloberror.HasCode(err, bloberror.InvalidRange) {
		return s.getNothing(ctx, b, ref, off)
	}
	if err != nil {
		return nil, backends.Info{}, unknownVersion(ref, err)
	}
	// A range comes with the size of the whole, all of a blob without.
	size, length := value(answer.ContentLength), value(answer.ContentLength)
	if whole := value(answer.ContentRange); whole != "" {
		_, total, _ := strings.Cut(whole, "/")
		if size, err = strconv.ParseInt(total, 10, 64); err != nil || size < 0 {
			answer.Body.Close()
			return nil, backends.Info{}, fmt.Errorf("Azure tells no size of the blob: %w", backends.Corrupt)
		}
	}
	want := size - off
	if n > 0 {
		want = min(want, n)
	}
	if answer.ContentLength == nil || length != want {
		answer.Body.Close()
		return nil, backends.Info{}, fmt.Errorf("asked for %d bytes from %d on, Azure sends %d: %w", n, off, length, backends.Corrupt)
	}
	in := backends.Info{Ref: ref, Size: size, Modified: value(answer.LastModified), RetainUntil: value(answer.ImmutabilityPolicyExpiresOn)}
	if ref.Version == "" {
		in.Version = value(answer.VersionID)
	}
	return &body{store: s, ctx: ctx, key: ref.Key, r: answer.Body, left: length}, in, nil
}

// version names a blob, or a version or snapshot of it.
func (s *Store) version(ref backends.Ref) (*blob.Client, error) {
	b := s.container.NewBlobClient(s.name(ref.Key))
	switch {
	case ref.Version == "":
		return b, nil
	case strings.HasPrefix(ref.Version, deletedVersion):
		return nil, fmt.Errorf("version %q can be restored, but not be read: %w", ref.Version, backends.NotExist)
	}
	at, snapshot := strings.CutPrefix(ref.Version, snapshotVersion)
	if _, err := time.Parse(time.RFC3339, at); err != nil {
		return nil, fmt.Errorf("version %q: %w", ref.Version, backends.NotExist)
	}
	if snapshot {
		return b.WithSnapshot(at)
	}
	return b.WithVersionID(at)
}

// unknownVersion turns the answer to a version that never was into what it means.
func unknownVersion(ref backends.Ref, err error) error {
	var answer *azcore.ResponseError
	if ref.Version != "" && errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest {
		return fmt.Errorf("version %q: %w", ref.Version, backends.NotExist)
	}
	return err
}

// getNothing answers a get of no bytes, which HTTP has no range for.
func (s *Store) getNothing(ctx context.Context, b *blob.Client, ref backends.Ref, off int64) (io.ReadCloser, backends.Info, error) {
	p, err := b.GetProperties(ctx, nil)
	if err != nil {
		return nil, backends.Info{}, unknownVersion(ref, err)
	}
	size := value(p.ContentLength)
	if off > size {
		return nil, backends.Info{}, fmt.Errorf("offset %d in an object of %d bytes: %w", off, size, backends.Invalid)
	}
	in := backends.Info{Ref: ref, Size: size, Modified: value(p.LastModified), RetainUntil: value(p.ImmutabilityPolicyExpiresOn)}
	if ref.Version == "" {
		in.Version = value(p.VersionID)
	}
	return http.NoBody, in, nil
}

// body is what is being read. One that ends too early, ends in an error.
type body struct {
	store *Store
	ctx   context.Context
	key   string
	r     io.ReadCloser
	left  int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case b.left == 0 && (err == nil || err == io.EOF):
		return n, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, b.store.fail(b.ctx, "get", b.key, err, read)
}

func (b *body) Close() error { return b.r.Close() }
