package s3

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3/credential"
)

// cleanup is how long erasing the probe's objects may take once the caller has
// given up.
const cleanup = time.Minute

// Probe implements backends.Store. To what every store is measured for, it adds
// what only requests to S3 can show: bodies that do not match their hash, no or
// wrong credentials, and what the bucket is configured to do with objects. What
// may not be read is a note.
func (s *Store) Probe(ctx context.Context) (backends.Capabilities, error) {
	c, err := backends.ProbeStore(ctx, s, s.c.Now)
	if errors.Is(err, backends.Corrupt) {
		// Not a failure to measure: what was not measured stays unfit.
		c.Notes = append(c.Notes, fmt.Sprintf("the store breaks the protocol: %v", err))
		return c, nil
	}
	if err != nil {
		return c, err
	}
	var id [8]byte
	rand.Read(id[:])
	p := &probe{Store: s, caps: &c, dir: "probe/" + hex.EncodeToString(id[:]) + "/"}
	err = p.measure(ctx)
	if cerr := p.clean(ctx); cerr != nil {
		p.note("objects under %s could not be erased: %v", p.dir, cerr)
		err = errors.Join(err, cerr)
	}
	return c, s.wrap("probe", p.dir, err, read)
}

type probe struct {
	*Store
	caps *backends.Capabilities
	dir  string
	keys []string
}

func (p *probe) note(format string, args ...any) {
	p.caps.Notes = append(p.caps.Notes, fmt.Sprintf(format, args...))
}

// key names an object of the probe and remembers to erase it.
func (p *probe) key(name string) string {
	p.keys = append(p.keys, p.dir+name)
	return p.dir + name
}

func (p *probe) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	_, err := p.Erase(ctx, p.keys...) // what a lock retains was noted before
	return err
}

func (p *probe) measure(ctx context.Context) error {
	object, err := p.Put(ctx, p.key("object"), []byte("object"))
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, backends.Info) error{
		p.hashes, p.strangers, p.oldVersions, p.expiry, p.copies, p.locks,
	} {
		if err := step(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// accepts sends r and reports whether the store took it. Only an answer counts.
func (p *probe) accepts(ctx context.Context, r request) (bool, error) {
	var ok bool
	err := p.repeat(ctx, func() error {
		a, err := p.exchange(ctx, r)
		if ok = err == nil; ok {
			a.discard()
			return nil
		}
		var f *failure
		if errors.As(err, &f) && f.status/100 == 4 {
			return nil
		}
		return err
	})
	return ok, err
}

// hashes sends bodies that differ from what their hash says.
func (p *probe) hashes(ctx context.Context, _ backends.Info) error {
	v, err := p.c.Credentials.Get(ctx)
	if err != nil {
		return noCredentials(ctx, err)
	}
	other := sha256.Sum256([]byte("said"))
	sent, header := []byte("sent"), func() http.Header { return http.Header{"If-None-Match": {"*"}} }
	bodies := []request{{header: header(), sha256: hex.EncodeToString(other[:])}}
	if p.protects.Load() == light {
		weak := request{header: header(), sha256: unsignedPayload}
		weak.header[checksumHeader] = []string{checksum([]byte("said"))}
		bodies = append(bodies, weak)
	}
	p.caps.RefusesBadHash = true
	for i, r := range bodies {
		r.method, r.key, r.body, r.as = http.MethodPut, p.prefix+p.key(fmt.Sprintf("hash%d", i)), sent, &v
		ok, err := p.accepts(ctx, r)
		if err != nil {
			return err
		}
		p.caps.RefusesBadHash = p.caps.RefusesBadHash && !ok
	}
	return nil
}

// strangers sends requests that nobody, or somebody with a wrong secret, signed.
func (p *probe) strangers(ctx context.Context, object backends.Info) error {
	v, err := p.c.Credentials.Get(ctx)
	if err != nil {
		return noCredentials(ctx, err)
	}
	wrong := credential.Value{AccessKey: v.AccessKey, SecretKey: v.SecretKey + "x", Token: v.Token}
	p.caps.RefusesAnonymous = true
	for _, t := range []struct {
		what string
		r    request
	}{
		{"a get without credentials", request{method: http.MethodGet, key: p.prefix + object.Key, unsigned: true}},
		{"a listing without credentials", request{method: http.MethodGet, query: url.Values{"list-type": {"2"}, "prefix": {p.prefix + p.dir}}, unsigned: true}},
		{"a put without credentials", request{method: http.MethodPut, key: p.prefix + p.key("anonymous"), body: []byte("x"), sha256: unsignedPayload, unsigned: true}},
		{"a get with a wrong secret", request{method: http.MethodGet, key: p.prefix + object.Key, as: &wrong}},
	} {
		ok, err := p.accepts(ctx, t.r)
		if err != nil {
			return err
		}
		if ok {
			p.caps.RefusesAnonymous = false
			p.note("the store accepts %s", t.what)
		}
	}
	return nil
}

// oldVersions asks whether old versions are kept, and believes a version id.
func (p *probe) oldVersions(ctx context.Context, object backends.Info) error {
	on, err := p.versioning(ctx)
	if errors.Is(err, errUnreadable) {
		p.note("the bucket's versioning settings: %v; an object told", err)
		err = nil
	}
	p.caps.Versioned = on || object.Version != "" && object.Version != nullVersion
	return err
}

// locks asks whether objects are locked by default; and holds an object of the
// probe, to see whether a lock that the store accepts is a lock.
func (p *probe) locks(ctx context.Context, object backends.Info) error {
	settings, err := p.objectLock(ctx)
	if errors.Is(err, errUnreadable) {
		p.note("the bucket's object lock settings: %v", err)
	} else if err != nil {
		return err
	}
	p.caps.Locked = p.caps.Locked || settings.mode != ""
	held, err := p.hold(ctx, object.Ref, "ON")
	if err != nil {
		return err
	}
	if !held {
		if settings.enabled {
			p.note("whether object locks are enforced was not measured: these credentials may not place a legal hold")
		}
		return nil
	}
	kept, err := p.Erase(ctx, object.Key)
	if _, lerr := p.hold(ctx, object.Ref, "OFF"); lerr != nil || err != nil {
		return errors.Join(err, lerr)
	}
	if !slices.ContainsFunc(kept, func(r backends.Remnant) bool { return r.Ref.Key == object.Key }) {
		p.caps.Locked = false
		p.note("the store accepts object locks and does not enforce them: an object under legal hold was deleted")
	}
	return nil
}

// hold places or lifts a legal hold, and reports whether it may.
func (p *probe) hold(ctx context.Context, ref backends.Ref, status string) (bool, error) {
	body := []byte(`<LegalHold xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>` + status + `</Status></LegalHold>`)
	r := documentRequest(http.MethodPut, p.prefix+ref.Key, url.Values{"legal-hold": {""}}, body)
	if ref.Version != "" {
		r.query.Set("versionId", ref.Version)
	}
	var held bool
	err := p.repeat(ctx, func() error {
		a, err := p.send(ctx, r)
		if held = err == nil; held {
			a.discard()
			return nil
		}
		var f *failure
		if errors.As(err, &f) && (f.status/100 == 4 || f.status == http.StatusNotImplemented) {
			return nil
		}
		return err
	})
	return held, err
}

// expiry looks for rules that would expire or move what a vault stores.
func (p *probe) expiry(ctx context.Context, _ backends.Info) error {
	rules, err := p.lifecycle(ctx)
	if errors.Is(err, errUnreadable) {
		p.note("the bucket's lifecycle rules: %v", err)
		return nil
	}
	for _, r := range rules {
		if e := r.Expiration; e != nil && e.Days+e.Date != "" {
			p.caps.ExpiryRule = true
			p.note("lifecycle rule %q expires objects", printable(r.ID))
		}
		for _, t := range r.Transition {
			p.note("lifecycle rule %q moves objects to %s, where some must be restored before they can be read", printable(r.ID), printable(t.StorageClass))
		}
	}
	return err
}

// copies looks for rules that keep copies elsewhere.
func (p *probe) copies(ctx context.Context, _ backends.Info) error {
	rules, err := p.replication(ctx)
	if errors.Is(err, errUnreadable) {
		p.note("the bucket's replication rules: %v", err)
		return nil
	}
	p.caps.Replicated = len(rules) > 0
	return err
}
