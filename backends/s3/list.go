package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
)

const (
	pageKeys = 1000
	// emptyPages is how many pages in a row may hold nothing and yet claim that
	// more comes. A store may send a few.
	emptyPages = 100
)

// List implements backends.Store. Objects whose key is none of ours, which
// others have put under the prefix, are passed over; see [Store.Foreign].
func (s *Store) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		err := checkList(prefix, o)
		left := o.Limit
		if err == nil {
			err = s.walk(ctx, prefix, o, func(in backends.Info) bool {
				if checkListed(in.Key, o.OneLevel) != nil {
					return true
				}
				if left--; !yield(in, nil) {
					left = 0
				}
				return o.Limit == 0 && left != 0 || left > 0
			})
		}
		if err != nil {
			yield(backends.Info{}, s.wrap("list", prefix, err, read))
		}
	}
}

// Foreign names the objects under the store's prefix whose keys no vault uses,
// hence nobody reads: what others have put there.
func (s *Store) Foreign(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := s.walk(ctx, "", backends.ListOptions{}, func(in backends.Info) bool {
			return checkListed(in.Key, false) == nil || yield(in.Key, nil)
		})
		if err != nil {
			yield("", s.wrap("list", "", err, read))
		}
	}
}

func checkList(prefix string, o backends.ListOptions) error {
	if err := backends.CheckPrefix(prefix); err != nil {
		return err
	}
	if o.Limit < 0 || o.OneLevel && o.Versions {
		return fmt.Errorf("options %+v: %w", o, backends.Invalid)
	}
	return nil
}

// checkListed is CheckKey, which a common prefix passes without its slash.
func checkListed(key string, oneLevel bool) error {
	if oneLevel {
		key = strings.TrimSuffix(key, "/")
	}
	return backends.CheckKey(key)
}

// walk hands every result below prefix to visit, foreign ones included, until
// it returns false. Keys are without the store's prefix.
func (s *Store) walk(ctx context.Context, prefix string, o backends.ListOptions, visit func(backends.Info) bool) error {
	c := cursor{prefix: s.prefix + prefix, versions: o.Versions, oneLevel: o.OneLevel, max: pageKeys}
	if o.Limit > 0 && o.Limit < pageKeys {
		c.max = o.Limit
	}
	for {
		page, err := s.page(ctx, &c)
		if err != nil {
			return err
		}
		for _, in := range page {
			if err := ctx.Err(); err != nil {
				return &failure{err: err}
			}
			in.Key = in.Key[len(s.prefix):]
			if !visit(in) {
				return nil
			}
		}
		if c.done {
			return nil
		}
	}
}

// cursor is where a listing stands.
type cursor struct {
	prefix             string // with the store's
	versions, oneLevel bool
	max                int
	done               bool

	key    string       // continue after this key,
	marker string       // or, in a listing of versions, after this version of it
	token  string       // of a plain listing: continue where this says
	last   backends.Ref // the greatest key so far, and its version
	empty  int
}

// seek makes the next page begin after key.
func (c *cursor) seek(key string) { c.key, c.marker, c.token = key, "", "" }

// page fetches the next page, checks it and moves c on. Keys have the store's
// prefix. On a store that has no listing of versions the current objects are
// all there is.
func (s *Store) page(ctx context.Context, c *cursor) ([]backends.Info, error) {
	out, err := s.fetch(ctx, c)
	if c.versions && errors.Is(err, errNoVersions) {
		c.versions = false
		return s.fetch(ctx, c)
	}
	return out, err
}

// errNoVersions means that the store does not know what is asked for.
var errNoVersions = errors.New("the store does not list versions")

func (s *Store) fetch(ctx context.Context, c *cursor) ([]backends.Info, error) {
	query := url.Values{"prefix": {c.prefix}, "encoding-type": {"url"}, "max-keys": {strconv.Itoa(c.max)}}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	if c.oneLevel {
		query.Set("delimiter", "/")
	}
	if c.versions {
		query.Set("versions", "")
		set("key-marker", c.key)
		set("version-id-marker", c.marker)
	} else {
		query.Set("list-type", "2")
		if set("continuation-token", c.token); c.token == "" {
			set("start-after", c.key)
		}
	}
	var text []byte
	err := s.repeat(ctx, func() error {
		a, err := s.send(ctx, request{method: http.MethodGet, query: query})
		if err == nil {
			text, err = a.xml()
		}
		return err
	})
	var f *failure
	if c.versions && errors.As(err, &f) && (f.status == http.StatusNotImplemented || f.status == http.StatusMethodNotAllowed) {
		return nil, errNoVersions
	}
	if err != nil {
		return nil, err
	}
	var l listing
	if err := xml.Unmarshal(text, &l); err != nil {
		return nil, bad("unreadable listing: %s", printable(err.Error()))
	}
	switch name := l.XMLName.Local; {
	case name == "ListBucketResult" && c.versions:
		return nil, errNoVersions
	case name == "ListBucketResult", c.versions && (name == "ListVersionsResult" || name == "ListBucketVersionsResult"):
	default:
		return nil, bad("a listing is called %q", printable(name))
	}
	out, err := l.infos(c)
	if err != nil {
		return nil, err
	}
	if len(out) > 0 {
		c.last = out[len(out)-1].Ref
	}
	return out, c.advance(&l, len(out))
}

// listing is a page of either kind. Items keeps versions and markers in the
// order in which they came.
type listing struct {
	XMLName               xml.Name
	EncodingType          string
	IsTruncated           bool
	NextContinuationToken string
	NextKeyMarker         string
	NextVersionIDMarker   string `xml:"NextVersionIdMarker"`
	CommonPrefixes        []struct{ Prefix string }
	Items                 []item `xml:",any"`
}

type item struct {
	XMLName      xml.Name
	Key          string
	VersionID    string `xml:"VersionId"`
	LastModified string
	Size         int64
}

// infos checks and converts a page: each key begins with the prefix, and all
// are in order, also after the page before.
func (l *listing) infos(c *cursor) ([]backends.Info, error) {
	out := make([]backends.Info, 0, len(l.Items)+len(l.CommonPrefixes))
	for _, i := range l.Items {
		kind := i.XMLName.Local
		if c.versions && kind != "Version" && kind != "DeleteMarker" || !c.versions && kind != "Contents" {
			continue
		}
		key, err := l.decode(i.Key)
		if err != nil {
			return nil, err
		}
		at, err := time.Parse(time.RFC3339, i.LastModified)
		if err != nil || i.Size < 0 {
			return nil, bad("the listing says of %q: last modified %q, %d bytes", printable(key), printable(i.LastModified), i.Size)
		}
		out = append(out, backends.Info{
			Ref: backends.Ref{Key: key, Version: i.VersionID}, Size: i.Size, Modified: at, Marker: kind == "DeleteMarker",
		})
	}
	// versitygw v1.8.0 begins a page with the version that the last one ended with.
	if c.versions && len(out) > 0 && out[0].Ref == c.last {
		out = out[1:]
	}
	objects := len(out)
	for _, p := range l.CommonPrefixes {
		key, err := l.decode(p.Prefix)
		if err != nil {
			return nil, err
		}
		if !c.oneLevel || !strings.HasSuffix(key, "/") {
			return nil, bad("the listing has a common prefix %q", printable(key))
		}
		out = append(out, backends.Info{Ref: backends.Ref{Key: key}})
	}
	// Objects and common prefixes come apart, each in order. Sorting what is
	// out of order would hide that.
	if err := inOrder(out[:objects], c); err != nil {
		return nil, err
	}
	if len(out) > objects {
		slices.SortStableFunc(out, func(a, b backends.Info) int { return cmp.Compare(a.Key, b.Key) })
		if err := inOrder(out, c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func inOrder(page []backends.Info, c *cursor) error {
	last := c.last.Key
	for n, in := range page {
		if !strings.HasPrefix(in.Key, c.prefix) {
			return bad("a listing of %q has %q", printable(c.prefix), printable(in.Key))
		}
		same := in.Key == last && c.versions && (n > 0 || c.marker != "")
		if last != "" && in.Key <= last && !same {
			return bad("the listing is out of order: %q comes after %q", printable(in.Key), printable(last))
		}
		last = in.Key
	}
	return nil
}

func (l *listing) decode(name string) (string, error) {
	if l.EncodingType != "url" {
		return name, nil
	}
	out, err := url.QueryUnescape(name)
	if err != nil {
		return "", bad("the listing has a name that is not encoded as it says: %q", printable(name))
	}
	return out, nil
}

// advance moves the cursor to the next page.
func (c *cursor) advance(l *listing, results int) error {
	if !l.IsTruncated {
		c.done = true
		return nil
	}
	if results == 0 {
		if c.empty++; c.empty > emptyPages {
			return bad("the listing does not come to an end")
		}
	} else {
		c.empty = 0
	}
	if !c.versions {
		if l.NextContinuationToken == "" || l.NextContinuationToken == c.token {
			return bad("the listing is cut off and does not say where it goes on")
		}
		c.token = l.NextContinuationToken
		return nil
	}
	key, err := l.decode(l.NextKeyMarker)
	if err != nil {
		return err
	}
	if key == "" || key < c.key || key == c.key && l.NextVersionIDMarker == c.marker {
		return bad("the listing of versions is cut off and does not say where it goes on")
	}
	c.key, c.marker = key, l.NextVersionIDMarker
	return nil
}
