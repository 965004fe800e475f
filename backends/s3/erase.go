package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
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
		slices.SortStableFunc(more, func(a, b backends.Remnant) int { return strings.Compare(a.Key, b.Key) })
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
	for some := range slices.Chunk(versions, deleteBatch) {
		more, err := s.deleteAll(ctx, some)
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
func (s *Store) versions(ctx context.Context, keys []string) ([]backends.Info, error) {
	var out []backends.Info
	c := cursor{prefix: s.prefix + commonPrefix(keys[0], keys[len(keys)-1]), versions: true, max: pageKeys}
	for len(keys) > 0 && !c.done {
		if from := before(s.prefix + keys[0]); from > max(c.key, c.last.Key) && strings.HasPrefix(from, c.prefix) {
			c.seek(from)
		}
		page, err := s.page(ctx, &c)
		if err != nil {
			return nil, err
		}
		for _, in := range page {
			in.Key = in.Key[len(s.prefix):]
			for len(keys) > 0 && keys[0] < in.Key {
				keys = keys[1:]
			}
			if len(keys) > 0 && keys[0] == in.Key {
				out = append(out, in)
			}
		}
	}
	return out, nil
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
func (s *Store) deleteAll(ctx context.Context, versions []backends.Info) ([]backends.Remnant, error) {
	var kept []backends.Remnant
	err := s.repeat(ctx, func() error {
		refused, err := s.deleteOnce(ctx, versions)
		if err != nil {
			return err
		}
		var again []backends.Info
		var last *failure
		for _, r := range refused {
			if r.failure.transient() {
				again, last = append(again, r.Info), r.failure
				continue
			}
			k, err := s.retained(ctx, r)
			if err != nil {
				return err
			}
			kept = append(kept, k)
		}
		if versions = again; last != nil {
			return last
		}
		return nil
	})
	return kept, err
}

// refused is a version that was not deleted.
type refused struct {
	backends.Info
	failure *failure
}

type deletion struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
}

// deleteOnce sends one batch deletion. A version of which the answer says
// nothing counts as not deleted.
func (s *Store) deleteOnce(ctx context.Context, versions []backends.Info) ([]refused, error) {
	doc := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Delete"`
		Object  []deletion
	}{}
	open := make(map[deletion]backends.Info, len(versions))
	for _, v := range versions {
		d := deletion{s.prefix + v.Key, v.Version}
		doc.Object = append(doc.Object, d)
		open[d] = v
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
	text, err := a.xml()
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
	// settle finds the version that an answer is about: some stores leave out
	// the id of what was put without versioning.
	settle := func(d deletion) (backends.Info, bool) {
		ids := []string{d.VersionID}
		if d.VersionID == "" || d.VersionID == nullVersion {
			ids = []string{nullVersion, ""}
		}
		for _, id := range ids {
			named := deletion{d.Key, id}
			if v, ok := open[named]; ok {
				delete(open, named)
				return v, true
			}
		}
		return backends.Info{}, false
	}
	for _, d := range result.Deleted {
		settle(d)
	}
	var out []refused
	for _, e := range result.Error {
		if v, ok := settle(e.deletion); ok && e.Code != "NoSuchVersion" && e.Code != "NoSuchKey" {
			out = append(out, refused{v, &failure{status: http.StatusOK, code: printable(e.Code), message: printable(e.Message), left: true}})
		}
	}
	for _, v := range open {
		out = append(out, refused{v, &failure{status: http.StatusOK, code: "the store does not say whether it deleted", kindIs: backends.Unavailable}})
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

// retained finds out whether a lock is why a version was not deleted. S3 says
// AccessDenied for that as well as for a missing right; so the lock is asked for.
func (s *Store) retained(ctx context.Context, r refused) (backends.Remnant, error) {
	out := backends.Remnant{Ref: r.Ref}
	until, mode, err := s.retention(ctx, r.Ref)
	if err != nil {
		return out, err
	}
	if until.IsZero() { // versitygw does not record the bucket's default on each object
		settings, err := s.objectLock(ctx)
		if err = ignore(err, errUnreadable); err != nil {
			return out, err
		}
		until, mode = settings.until(r.Modified), settings.mode
	}
	held, err := s.legalHold(ctx, r.Ref)
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
		return out, s.wrap("erase", r.Key, r.failure, write)
	}
	out.Why = strings.Join(why, " and ")
	return out, nil
}
