package azblob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/aivault/aivault/backends"
)

// A mode is what a call may have done where its answer is unclear.
type mode uint8

const (
	read    mode = iota // nothing
	unsent              // nothing: no byte left
	applied             // perhaps what it was to do
)

// shortWait is how long to wait where Azure is busy and does not say how long.
const shortWait = time.Second

// fail is the error of a call to the store.
func (s *Store) fail(ctx context.Context, op, key string, err error, m mode) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*backends.Error](err); ok {
		return e
	}
	e := &backends.Error{Op: op, Key: key, Kind: backends.KindOf(err), Err: unaddressed(err)}
	if e.Kind != 0 {
		return e
	}
	e.Kind = backends.Unavailable
	if m == applied {
		e.Kind = backends.Indeterminate
	}
	var answer *azcore.ResponseError
	var denied *azidentity.AuthenticationFailedError
	switch {
	case errors.As(err, &answer):
		s.judge(e, answer, m)
	case ctx.Err() != nil:
		e.Err = errors.Join(context.Cause(ctx), ctx.Err())
	case errors.As(err, &denied):
		e.Kind, e.Err = backends.Denied, errors.New("Azure refuses the identity of this process")
	default:
		if unavailable := errors.As(err, new(interface{ NonRetriable() })); unavailable {
			e.Kind, e.Err = backends.Denied, errors.New("no credentials: set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_KEY, or give this process an identity")
		}
	}
	return e
}

// unaddressed takes the URL off an error of the network: a shared access signature
// is part of it.
func unaddressed(err error) error {
	if at, ok := errors.AsType[*url.Error](err); ok {
		return at.Err
	}
	return err
}

// judge reads an answer that refuses. Its text is not shown: it repeats the
// request.
func (s *Store) judge(e *backends.Error, r *azcore.ResponseError, m mode) {
	header := http.Header{}
	if r.RawResponse != nil {
		header = r.RawResponse.Header
	}
	e.Err = fmt.Errorf("Azure answers %d %q (request %q)", r.StatusCode, r.ErrorCode, header.Get("x-ms-request-id"))
	switch code := bloberror.Code(r.ErrorCode); code {
	case bloberror.BlobNotFound, bloberror.ResourceNotFound:
		e.Kind = backends.NotExist
	case bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.UnauthorizedBlobOverwrite:
		e.Kind = backends.Exists // no call but Put has a condition
	case bloberror.BlobImmutableDueToPolicy, bloberror.LeaseIDMissing:
		if e.Kind = backends.Retained; e.Op == "put" {
			e.Kind = backends.Exists
		}
	case bloberror.BlobArchived, bloberror.BlobBeingRehydrated:
		e.Kind = backends.Archived
	case bloberror.MD5Mismatch, bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled:
		e.Kind = backends.Unavailable // certainly not applied
	case bloberror.InvalidRange:
		e.Kind = backends.Invalid
	default:
		s.judgeStatus(e, r.StatusCode, m)
	}
	if r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusServiceUnavailable {
		e.Kind, e.RetryAfter = backends.Unavailable, retryAfter(header)
	}
}

func (s *Store) judgeStatus(e *backends.Error, status int, m mode) {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Kind, e.Expired = backends.Denied, !s.expires.IsZero() && s.now().After(s.expires)
	case status/100 == 5 && m == applied:
		e.Kind = backends.Indeterminate
	case status == http.StatusInsufficientStorage:
		e.Kind = backends.Full
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusLengthRequired:
		e.Kind = backends.Invalid
	default:
		e.Kind = backends.Unavailable
	}
}

// retryAfter reads how long to wait.
func retryAfter(h http.Header) time.Duration {
	if n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return shortWait
}
