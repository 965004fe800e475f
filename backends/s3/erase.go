package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
)

// deleteBatch is the most object versions that one request may name.
const deleteBatch = 1000

// Erase implements backends.Store. It lists the versions of the keys and deletes
// each by its id, up to 1,000 a request; it needs the rights to do both, and
// never uses one to override a lock.
func (s *Store) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	for _, key := range keys {
		if err := backends.CheckKey(key); err != nil {
			return nil, s.wrap("erase", key, err, write)
		}
	}
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	var kept []backends.Remnant
	for batch := range slices.Chunk(keys, deleteBatch) {
		more, err := s.eraseBatch(ctx, batch)
		kept = append(kept, more...)
		if err != nil {
			return kept, s.wrap("erase", batch[0], err, write)
		}
	}
	return kept, nil
}

func (s *Store) eraseBatch(ctx context.Context, keys []string) ([]backends.Remnant, error) {
	var kept []backends.Remnant
	versions, err := s.versions(ctx, keys)
	if err != nil {
		return nil, err
	}
	for refs := range slices.Chunk(versions, deleteBatch) {
		more, err := s.deleteAll(ctx, refs)
		kept = append(kept, more...)
		if err != nil {
			return kept, err
		}
	}
	return kept, nil
}

// versions lists every version and marker of exactly these keys, which are
// sorted. A listing by prefix finds "ab" under "a" as well, and much may lie
// between two keys: it reads on where they are dense and jumps where they are not.
func (s *Store) versions(ctx context.Context, keys []string) ([]backends.Ref, error) {
	var out []backends.Ref
	c := cursor{prefix: s.prefix + commonPrefix(keys[0], keys[len(keys)-1]), versions: true, max: pageKeys}
	for len(keys) > 0 && !c.done {
		if from := before(s.prefix + keys[0]); len(keys) > 1 && from > c.key && strings.HasPrefix(from, c.prefix) {
			c.key, c.marker = from, ""
		}
		page, err := s.page(ctx, &c)
		var f *failure
		if errors.As(err, &f) && f.status == http.StatusNotImplemented {
			return plainRefs(keys), nil // no versions, so the current objects are all there is
		}
		if err != nil {
			return nil, err
		}
		for _, in := range page {
			in.Key = in.Key[len(s.prefix):]
			for len(keys) > 0 && keys[0] < in.Key {
				keys = keys[1:]
			}
			if len(keys) > 0 && keys[0] == in.Key {
				out = append(out, in.Ref)
			}
		}
	}
	return out, nil
}

func plainRefs(keys []string) []backends.Ref {
	out := make([]backends.Ref, len(keys))
	for i, key := range keys {
		out[i].Key = key
	}
	return out
}

// commonPrefix is that of a sorted list, given its ends.
func commonPrefix(first, last string) string {
	n := 0
	for n < len(first) && n < len(last) && first[n] == last[n] {
		n++
	}
	return first[:n]
}

// before is a little less than key and more than almost every lesser key: a
// listing that continues after it begins with key.
func before(key string) string {
	n := len(key) - 1
	return key[:n] + string(key[n]-1) + "~"
}

// deleteAll deletes these versions and returns those that a lock retains.
func (s *Store) deleteAll(ctx context.Context, refs []backends.Ref) ([]backends.Remnant, error) {
	var kept []backends.Remnant
	err := s.repeat(ctx, func() error {
		refused, err := s.deleteOnce(ctx, refs)
		if err != nil {
			return err
		}
		var again []backends.Ref
		var last *failure
		for _, r := range refused {
			if r.failure.transient() {
				again, last = append(again, r.ref), r.failure
				continue
			}
			k, err := s.retained(ctx, r)
			if err != nil {
				return err
			}
			kept = append(kept, k)
		}
		if refs = again; last != nil {
			return last
		}
		return nil
	})
	return kept, err
}

// refused is a version that was not deleted.
type refused struct {
	ref     backends.Ref
	failure *failure
}

type deletion struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
}

// deleteOnce sends one batch deletion. A version of which the answer says
// nothing counts as not deleted.
func (s *Store) deleteOnce(ctx context.Context, refs []backends.Ref) ([]refused, error) {
	doc := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Delete"`
		Object  []deletion
	}{}
	for _, ref := range refs {
		doc.Object = append(doc.Object, deletion{s.prefix + ref.Key, ref.Version})
	}
	var body bytes.Buffer
	body.WriteString(xml.Header)
	if err := xml.NewEncoder(&body).Encode(doc); err != nil {
		return nil, err
	}
	a, err := s.send(ctx, documentRequest(http.MethodPost, "", url.Values{"delete": {""}}, body.Bytes()))
	if err != nil {
		return nil, err
	}
	text, err := a.xml(ctx)
	if err != nil {
		return nil, err
	}
	var result struct {
		Deleted []deletion
		Error   []struct {
			deletion
			Code, Message string
		}
	}
	if err := xml.Unmarshal(text, &result); err != nil {
		return nil, bad("unreadable answer to a deletion: %s", printable(err.Error()))
	}
	open := make(map[deletion]bool, len(refs))
	for _, d := range doc.Object {
		open[d] = true
	}
	// close finds the version that an answer is about: some stores leave out
	// the id of what was put without versioning.
	close := func(d deletion) (deletion, bool) {
		for _, id := range []string{d.VersionID, nullVersion, ""} {
			if named := (deletion{d.Key, id}); open[named] {
				delete(open, named)
				return named, true
			}
			if d.VersionID != "" && d.VersionID != nullVersion {
				break
			}
		}
		return d, false
	}
	for _, d := range result.Deleted {
		close(d)
	}
	var out []refused
	for _, e := range result.Error {
		named, ok := close(e.deletion)
		if !ok {
			continue
		}
		if e.Code == "NoSuchVersion" || e.Code == "NoSuchKey" {
			continue
		}
		out = append(out, refused{s.ref(named), &failure{status: http.StatusOK, code: printable(e.Code), message: printable(e.Message), left: true}})
	}
	for d := range open {
		out = append(out, refused{s.ref(d), &failure{status: http.StatusOK, code: "the store does not say whether it deleted", kindIs: backends.Unavailable}})
	}
	return out, nil
}

// documentRequest carries an XML document, with the MD5 that S3 wants beside it.
func documentRequest(method, key string, query url.Values, body []byte) request {
	sum, digest := md5.Sum(body), sha256.Sum256(body)
	return request{method: method, key: key, query: query, body: body, sha256: hex.EncodeToString(digest[:]), header: http.Header{
		"Content-Md5":  {base64.StdEncoding.EncodeToString(sum[:])},
		"Content-Type": {"application/xml"},
	}}
}

func (s *Store) ref(d deletion) backends.Ref {
	return backends.Ref{Key: strings.TrimPrefix(d.Key, s.prefix), Version: d.VersionID}
}

// retained finds out whether a lock is why a version was not deleted. S3 says
// AccessDenied for that as well as for a missing right; so the lock is asked for.
func (s *Store) retained(ctx context.Context, r refused) (backends.Remnant, error) {
	out := backends.Remnant{Ref: r.ref}
	until, mode, err := s.retention(ctx, r.ref)
	if err != nil {
		return out, err
	}
	held, err := s.legalHold(ctx, r.ref)
	if err != nil {
		return out, err
	}
	var why []string
	if until.After(s.c.Now()) {
		out.Until = until
		why = append(why, strings.ToLower(mode)+" lock")
	}
	if held {
		out.Until = time.Time{} // until somebody lifts it
		why = append(why, "legal hold")
	}
	if len(why) == 0 && r.failure.code == "ObjectLocked" {
		why = append(why, "object lock whose terms may not be read")
	}
	if len(why) == 0 {
		return out, s.wrap("erase", r.ref.Key, r.failure, write)
	}
	out.Why = strings.Join(why, " and ")
	return out, nil
}
