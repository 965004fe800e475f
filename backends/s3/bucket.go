package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
)

// errUnreadable means that these credentials, or this store, do not tell.
var errUnreadable = errors.New("it may not be read, or the store does not know it")

// ask reads an XML document about the bucket, or about an object version. It is
// not found where the store says that there is none.
func (s *Store) ask(ctx context.Context, ref backends.Ref, what string, into any) (found bool, err error) {
	r := request{method: http.MethodGet, query: url.Values{what: {""}}}
	if ref.Key != "" {
		r.key = s.prefix + ref.Key
	}
	if ref.Version != "" {
		r.query.Set("versionId", ref.Version)
	}
	var text []byte
	err = s.repeat(ctx, func() error {
		a, err := s.send(ctx, r)
		if err == nil {
			text, err = a.xml(ctx)
		}
		return err
	})
	var f *failure
	switch {
	case err == nil:
	case !errors.As(err, &f) || f.expired() || f.code == "NoSuchBucket":
		return false, err
	case f.status == http.StatusNotFound:
		return false, nil
	case f.code == "InvalidRequest" || f.code == "NoSuchObjectLockConfiguration" || f.code == "ObjectLockConfigurationNotFoundError":
		return false, nil // AWS of a lock, in a bucket without
	case f.status/100 == 4, f.status == http.StatusNotImplemented:
		return false, errUnreadable
	default:
		return false, err
	}
	if err := xml.Unmarshal(text, into); err != nil {
		return false, bad("unreadable %s document: %s", what, printable(err.Error()))
	}
	return true, nil
}

// retention is the lock on an object version; zero if none, or if it may not be read.
func (s *Store) retention(ctx context.Context, ref backends.Ref) (until time.Time, mode string, err error) {
	var x struct{ Mode, RetainUntilDate string }
	found, err := s.ask(ctx, ref, "retention", &x)
	if errors.Is(err, errUnreadable) || !found {
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
	var x struct{ Status string }
	_, err := s.ask(ctx, ref, "legal-hold", &x)
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
	var x struct{ Status string }
	_, err := s.ask(ctx, backends.Ref{}, "versioning", &x)
	return x.Status == "Enabled" || x.Status == "Suspended", err
}

// objectLock tells whether the bucket claims to lock objects, and whether it
// locks each new one by default.
func (s *Store) objectLock(ctx context.Context) (enabled, byDefault bool, err error) {
	var x struct {
		ObjectLockEnabled string
		Rule              struct{ DefaultRetention struct{ Mode string } }
	}
	_, err = s.ask(ctx, backends.Ref{}, "object-lock", &x)
	return x.ObjectLockEnabled == "Enabled", x.Rule.DefaultRetention.Mode != "", err
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

// rules are the lifecycle or replication rules that cover the store's prefix.
func (s *Store) rules(ctx context.Context, what string) ([]rule, error) {
	var x struct {
		Rule []rule
	}
	_, err := s.ask(ctx, backends.Ref{}, what, &x)
	var out []rule
	for _, r := range x.Rule {
		if r.covers(s.prefix) {
			out = append(out, r)
		}
	}
	return out, err
}
