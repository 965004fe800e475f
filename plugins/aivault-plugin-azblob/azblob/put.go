package azblob

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/aivault/aivault/backends"
)

// Put implements [backends.Store] with one Put Blob. Azure compares the body with
// its MD5, against damage on the way.
func (s *Store) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	err := backends.CheckKey(key)
	if err == nil && len(body) > backends.MaxObject {
		err = fmt.Errorf("body of %d bytes, the most is %d: %w", len(body), backends.MaxObject, backends.Invalid)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return backends.Info{}, s.fail(ctx, "put", key, err, unsent)
	}
	sum := md5.Sum(body)
	return s.put(ctx, key, body, sum[:])
}

func (s *Store) put(ctx context.Context, key string, body, sum []byte) (backends.Info, error) {
	var left atomic.Bool // bytes may have left
	tctx := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { left.Store(true) }})
	tctx = policy.WithRetryOptions(tctx, policy.RetryOptions{MaxRetries: -1})
	r := &payload{r: bytes.NewReader(body)}
	defer r.stop()
	answer, err := s.container.NewBlockBlobClient(s.name(key)).Upload(tctx, r, &blockblob.UploadOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(sum),
		AccessConditions:        &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}},
	})
	if err != nil {
		m := unsent
		if left.Load() {
			m = applied
		}
		return backends.Info{}, s.fail(ctx, "put", key, err, m)
	}
	in := backends.Info{Ref: backends.Ref{Key: key, Version: value(answer.VersionID)}, Size: int64(len(body))}
	in.Modified = value(answer.LastModified)
	return in, nil
}

// value is what p points to, or zero.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// payload is a body until the call that sends it ends: the HTTP client may read
// on after that.
type payload struct {
	mu sync.Mutex
	r  *bytes.Reader // nil once stopped
}

func (p *payload) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.r == nil {
		return 0, io.ErrClosedPipe
	}
	return p.r.Read(b)
}

func (p *payload) Seek(off int64, whence int) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.r == nil {
		return 0, io.ErrClosedPipe
	}
	return p.r.Seek(off, whence)
}

// Close does nothing: the body is the caller's.
func (p *payload) Close() error { return nil }

func (p *payload) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.r = nil
}
