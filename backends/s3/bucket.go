package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
)

// errUnreadable means that these credentials, or this store, do not tell.
var errUnreadable = errors.New("not measured, for want of the right to read them or because the store does not know them")

// ask reads an XML document about the bucket, or about an object version. Where
// the store says that there is none, it leaves into as it was.
func (s *Store) ask(ctx context.Context, ref backends.Ref, what string, into any) error {
	r := request{method: http.MethodGet, query: url.Values{what: {""}}}
	if ref.Key != "" {
		r.key = s.prefix + ref.Key
	}
	if ref.Version != "" {
		r.query.Set("versionId", ref.Version)
	}
	var text []byte
	err := s.repeat(ctx, func() error {
		a, err := s.send(ctx, r)
		if err == nil {
			text, err = a.xml()
		}
		return err
	})
	var f *failure
	switch {
	case err == nil:
	case !errors.As(err, &f) || f.expired() || f.code == "NoSuchBucket":
		return err
	case f.status == http.StatusNotFound:
		return nil
	case f.code == "InvalidRequest" || f.code == "NoSuchObjectLockConfiguration" || f.code == "ObjectLockConfigurationNotFoundError":
		return nil // AWS of a lock, in a bucket without
	case f.status/100 == 4, f.status == http.StatusNotImplemented:
		return errUnreadable
	default:
		return err
	}
	// A store that ignores the question answers another one, such as a listing:
	// the name of the document, which into has, tells.
	if err := xml.Unmarshal(text, into); err != nil {
		return errUnreadable
	}
	return nil
}

// retention is the lock on an object version; zero if none, or if it may not be read.
func (s *Store) retention(ctx context.Context, ref backends.Ref) (until time.Time, mode string, err error) {
	var x struct{ Mode, RetainUntilDate string } // called Retention, but not by versitygw
	err = s.ask(ctx, ref, "retention", &x)
	if err != nil || x.RetainUntilDate == "" {
		return time.Time{}, "", ignore(err, errUnreadable)
	}
	until, err = time.Parse(time.RFC3339, x.RetainUntilDate)
	if err != nil {
		return time.Time{}, "", bad("a lock until %q", printable(x.RetainUntilDate))
	}
	return until, printable(x.Mode), nil
}

// legalHold tells whether a version is held; not if it may not be read.
func (s *Store) legalHold(ctx context.Context, ref backends.Ref) (bool, error) {
	var x struct {
		XMLName xml.Name `xml:"LegalHold"`
		Status  string
	}
	err := s.ask(ctx, ref, "legal-hold", &x)
	return x.Status == "ON", ignore(err, errUnreadable)
}

func ignore(err, which error) error {
	if errors.Is(err, which) {
		return nil
	}
	return err
}

// versioning tells whether the bucket keeps old versions, or did once.
func (s *Store) versioning(ctx context.Context) (bool, error) {
	var x struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		Status  string
	}
	err := s.ask(ctx, backends.Ref{}, "versioning", &x)
	return x.Status == "Enabled" || x.Status == "Suspended", err
}

// lockSettings are the bucket's.
type lockSettings struct {
	enabled bool   // objects can be locked
	mode    string // of the lock that each new object gets; "" if none
	days    int    // how long that lasts
	years   int    // likewise
}

// until is when the default lock of an object ends; zero if there is none.
func (l lockSettings) until(put time.Time) time.Time {
	if l.mode == "" {
		return time.Time{}
	}
	return put.AddDate(l.years, 0, l.days)
}

func (s *Store) objectLock(ctx context.Context) (lockSettings, error) {
	var x struct {
		XMLName           xml.Name `xml:"ObjectLockConfiguration"`
		ObjectLockEnabled string
		Mode              string `xml:"Rule>DefaultRetention>Mode"`
		Days              int    `xml:"Rule>DefaultRetention>Days"`
		Years             int    `xml:"Rule>DefaultRetention>Years"`
	}
	err := s.ask(ctx, backends.Ref{}, "object-lock", &x)
	return lockSettings{x.ObjectLockEnabled == "Enabled", printable(x.Mode), x.Days, x.Years}, err
}

// rule is what lifecycle and replication rules have in common.
type rule struct {
	ID, Status string
	Prefix     string // of the first version of both formats
	Filter     struct {
		Prefix string
		Tag    *struct{}
		And    struct {
			Prefix string
			Tag    []struct{}
		}
	}
	Expiration *struct {
		Days string
		Date string
	}
	NoncurrentVersionExpiration *struct{}
	Transition                  []struct{ StorageClass string }
}

// covers reports whether the rule may apply to an object below prefix. What a
// vault stores has no tags; any other filter is taken to match.
func (r rule) covers(prefix string) bool {
	if r.Status != "Enabled" || r.Filter.Tag != nil || len(r.Filter.And.Tag) > 0 {
		return false
	}
	for _, p := range []string{r.Prefix, r.Filter.Prefix, r.Filter.And.Prefix} {
		if !strings.HasPrefix(p, prefix) && !strings.HasPrefix(prefix, p) {
			return false
		}
	}
	return true
}

// lifecycle are the rules that would expire or move what the store holds.
func (s *Store) lifecycle(ctx context.Context) ([]rule, error) {
	var x struct {
		XMLName xml.Name `xml:"LifecycleConfiguration"`
		Rule    []rule
	}
	err := s.ask(ctx, backends.Ref{}, "lifecycle", &x)
	return s.covering(x.Rule), err
}

// replication are the rules that would copy elsewhere what the store holds.
func (s *Store) replication(ctx context.Context) ([]rule, error) {
	var x struct {
		XMLName xml.Name `xml:"ReplicationConfiguration"`
		Rule    []rule
	}
	err := s.ask(ctx, backends.Ref{}, "replication", &x)
	return s.covering(x.Rule), err
}

func (s *Store) covering(rules []rule) []rule {
	return slices.DeleteFunc(rules, func(r rule) bool { return !r.covers(s.prefix) })
}
