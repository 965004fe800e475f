package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
)

// nullVersion is how S3 names what was put without versioning.
const nullVersion = "null"

// Get implements backends.Store. It repeats a request that got no answer; an
// answer that breaks off is the reader's error, and the caller's to repeat.
func (s *Store) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if err := backends.CheckKey(ref.Key); err != nil {
		return nil, backends.Info{}, s.wrap("get", ref.Key, err, read)
	}
	if off < 0 {
		return nil, backends.Info{}, s.wrap("get", ref.Key, fmt.Errorf("offset %d: %w", off, backends.Invalid), read)
	}
	var body io.ReadCloser
	var in backends.Info
	try := func(ref backends.Ref) error {
		return s.repeat(ctx, func() (err error) {
			body, in, err = s.get(ctx, ref, off, n)
			return err
		})
	}
	err := try(ref)
	var f *failure
	if ref.Version == nullVersion && errors.As(err, &f) && f.status == http.StatusBadRequest {
		// versitygw without versioning lists that version and does not know it.
		// All it has is the current object.
		if err = try(backends.Ref{Key: ref.Key}); err == nil && in.Version != "" && in.Version != nullVersion {
			body.Close()
			err = f
		}
		in.Version = nullVersion
	}
	if err != nil {
		return nil, backends.Info{}, s.wrap("get", ref.Key, err, read)
	}
	return body, in, nil
}

func (s *Store) get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if n == 0 {
		return s.getNothing(ctx, ref, off)
	}
	r := request{method: http.MethodGet, key: s.prefix + ref.Key, query: versionQuery(ref), header: http.Header{}}
	whole := off == 0 && n < 0
	last := int64(math.MaxInt64)
	if n > 0 && n-1 <= math.MaxInt64-off {
		last = off + n - 1
	}
	switch {
	case whole:
	case last == math.MaxInt64:
		r.header.Set("Range", fmt.Sprintf("bytes=%d-", off))
	default:
		r.header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, last))
	}
	a, err := s.send(ctx, r)
	var f *failure
	if errors.As(err, &f) && f.status == http.StatusRequestedRangeNotSatisfiable {
		return s.getNothing(ctx, ref, off)
	}
	if err != nil {
		return nil, backends.Info{}, err
	}
	size, err := checkRange(a, whole, off, last)
	if err != nil {
		a.Close()
		return nil, backends.Info{}, err
	}
	inner := a.failed
	a.failed = func(err error) error { return s.wrap("get", ref.Key, inner(err), read) }
	return a, info(ref, a.header, size), nil
}

// getNothing answers a get of no bytes, which HTTP has no range for.
func (s *Store) getNothing(ctx context.Context, ref backends.Ref, off int64) (io.ReadCloser, backends.Info, error) {
	a, err := s.send(ctx, request{method: http.MethodHead, key: s.prefix + ref.Key, query: versionQuery(ref)})
	if err != nil {
		return nil, backends.Info{}, err
	}
	a.Close()
	if a.length < 0 {
		return nil, backends.Info{}, bad("the store does not tell the size of the object")
	}
	if off > a.length {
		return nil, backends.Info{}, fmt.Errorf("offset %d in an object of %d bytes: %w", off, a.length, backends.Invalid)
	}
	return http.NoBody, info(ref, a.header, a.length), nil
}

// checkRange compares an answer with what was asked for, bytes off to last, and
// returns the size of the whole object. Were another range taken for the one
// that was asked for, a chunk would seem damaged that is not.
func checkRange(a *answer, whole bool, off, last int64) (int64, error) {
	if a.length < 0 {
		return 0, bad("the store does not tell the length of its answer")
	}
	if whole {
		if a.status != http.StatusOK {
			return 0, bad("status %d for a whole object", a.status)
		}
		return a.length, nil
	}
	if a.status == http.StatusOK && a.length == 0 && off > 0 {
		return 0, fmt.Errorf("offset %d in an empty object: %w", off, backends.Invalid)
	}
	if a.status == http.StatusOK && off == 0 && a.length-1 <= last {
		return a.length, nil // some servers say so of a range that is the whole
	}
	if a.status != http.StatusPartialContent {
		return 0, bad("status %d for part of an object: the store ignores ranges", a.status)
	}
	from, to, size, err := parseContentRange(a.header.Get("Content-Range"))
	if err != nil {
		return 0, err
	}
	if from != off || to != min(last, size-1) || a.length != to-from+1 {
		return 0, bad("asked for bytes %d to %d, the store sends %d bytes, %d to %d of %d", off, last, a.length, from, to, size)
	}
	return size, nil
}

// parseContentRange reads "bytes from-to/size" (RFC 9110, 14.4).
func parseContentRange(text string) (from, to, size int64, err error) {
	rest, ok := strings.CutPrefix(text, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	first, second, ok3 := strings.Cut(span, "-")
	if ok && ok2 && ok3 {
		var errs [3]error
		from, errs[0] = parseCount(first)
		to, errs[1] = parseCount(second)
		size, errs[2] = parseCount(total)
		if errors.Join(errs[:]...) == nil && from <= to && to < size {
			return from, to, size, nil
		}
	}
	return 0, 0, 0, bad("Content-Range is %q", printable(text))
}

// parseCount reads a decimal number without a sign.
func parseCount(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}

func versionQuery(ref backends.Ref) url.Values {
	if ref.Version == "" {
		return nil
	}
	return url.Values{"versionId": {ref.Version}}
}

// info reads what the headers of an object say.
func info(ref backends.Ref, h http.Header, size int64) backends.Info {
	in := backends.Info{Ref: ref, Size: size, Modified: modified(h)}
	if v := h.Get("X-Amz-Version-Id"); v != "" {
		in.Version = v
	}
	if until, err := time.Parse(time.RFC3339, h.Get("X-Amz-Object-Lock-Retain-Until-Date")); err == nil {
		in.RetainUntil = until
	}
	return in
}
