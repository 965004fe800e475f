package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"time"

	"github.com/aivault/aivault/backends"
)

// A protection is how a body is guarded against damage on its way.
const (
	// full signs the SHA-256 and adds a CRC32C, which buckets with object lock
	// ask for. The answer shows whether the store checks the latter.
	full int32 = iota
	// light sends the CRC32C alone, which the signature covers. Only over TLS.
	light
	// plain signs the SHA-256 alone, which every store understands.
	plain
)

const checksumHeader = "X-Amz-Checksum-Crc32c"

// Put implements backends.Store with one PUT. Only where the store refuses the
// form of the request, hence has not applied it, is it sent again in the
// plainest one.
func (s *Store) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if err := checkPut(key, body); err != nil {
		return backends.Info{}, s.wrap("put", key, err, write)
	}
	form := s.protects.Load()
	a, sum, err := s.put(ctx, key, body, form)
	if form != plain && notUnderstood(err) {
		if a, _, err = s.put(ctx, key, body, plain); err == nil {
			s.protects.Store(plain)
		}
	}
	if err != nil {
		return backends.Info{}, s.wrap("put", key, err, write)
	}
	a.discard()
	if form == full && !s.c.Insecure && sum != "" && a.header.Get(checksumHeader) == sum {
		s.protects.CompareAndSwap(full, light)
	}
	in := backends.Info{Ref: backends.Ref{Key: key, Version: a.header.Get("X-Amz-Version-Id")}, Size: int64(len(body))}
	// To the second, as told when the answer was made.
	in.Modified, _ = http.ParseTime(a.header.Get("Date"))
	return in, nil
}

func checkPut(key string, body []byte) error {
	if err := backends.CheckKey(key); err != nil {
		return err
	}
	if len(body) > backends.MaxObject {
		return fmt.Errorf("body of %d bytes, the most is %d: %w", len(body), backends.MaxObject, backends.Invalid)
	}
	return nil
}

// put sends body, and returns the checksum it sent, if any.
func (s *Store) put(ctx context.Context, key string, body []byte, form int32) (*answer, string, error) {
	r := request{method: http.MethodPut, key: s.prefix + key, body: body, sha256: unsignedPayload, header: http.Header{
		"If-None-Match": {"*"},
		"Content-Type":  {"application/octet-stream"},
	}}
	sum := ""
	if form != plain {
		sum = checksum(body)
		r.header[checksumHeader] = []string{sum}
	}
	if form != light {
		digest := sha256.Sum256(body)
		r.sha256 = hex.EncodeToString(digest[:])
	}
	a, err := s.send(ctx, r)
	return a, sum, err
}

// checksum is the CRC32C of body as S3 writes it.
func checksum(body []byte) string {
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// notUnderstood reports whether a put was refused for what may be its form: a
// header the store does not know, or a policy against unsigned bodies.
func notUnderstood(err error) bool {
	var f *failure
	if !errors.As(err, &f) || f.expired() {
		return false
	}
	switch f.code {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed", "EntityTooLarge":
		return false
	}
	switch f.status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotImplemented:
		k := f.kind(write)
		return k == backends.Invalid || k == backends.Denied
	}
	return false
}

// modified reads the storage time in an answer, zero if there is none.
func modified(h http.Header) time.Time {
	t, _ := http.ParseTime(h.Get("Last-Modified"))
	return t
}
