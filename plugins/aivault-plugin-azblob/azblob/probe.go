package azblob

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
)

// cleanup is how long erasing the probe's object may take once the caller has
// given up.
const cleanup = time.Minute

// Probe implements [backends.Store]. To what every store is measured for, it adds
// bodies that do not match their hash, requests without credentials, and what the
// container and the account say of themselves. What may not be read is a note.
func (s *Store) Probe(ctx context.Context) (backends.Capabilities, error) {
	c, err := backends.ProbeStore(ctx, s, s.now)
	if err != nil {
		return c, err
	}
	var id [8]byte
	rand.Read(id[:])
	key := "probe/" + hex.EncodeToString(id[:]) + "/object"
	err = s.measure(ctx, &c, key)
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	remnants, cerr := s.Erase(clean, key, key+"-hash")
	for _, r := range remnants {
		// The states of ProbeStore's own objects say the same.
		c.SoftDelete = c.SoftDelete || r.Why == "soft delete"
		c.Locked = c.Locked || r.Why != "soft delete"
	}
	if err := errors.Join(err, cerr); err != nil {
		return c, s.fail(ctx, "probe", key, err, read)
	}
	return c, nil
}

func (s *Store) measure(ctx context.Context, c *backends.Capabilities, key string) error {
	note := func(format string, args ...any) { c.Notes = append(c.Notes, fmt.Sprintf(format, args...)) }
	in, err := s.Put(ctx, key, []byte("object"))
	if err != nil {
		return err
	}
	c.Versioned = in.Version != ""

	other := md5.Sum([]byte("said"))
	switch _, err := s.put(ctx, key+"-hash", []byte("sent"), other[:]); {
	case err == nil:
		note("a body that does not match its MD5 is accepted")
	case errors.Is(err, backends.Denied), errors.Is(err, backends.Indeterminate):
		return err
	default:
		c.RefusesBadHash = true
	}
	c.RefusesAnonymous = true
	for _, path := range []string{"/" + s.name(key), "?restype=container&comp=list"} {
		open, err := s.open(ctx, path)
		if err != nil {
			return err
		}
		if open {
			c.RefusesAnonymous = false
			note("Azure answers requests without credentials: the container is public")
		}
	}

	if p, err := s.container.GetProperties(ctx, nil); err != nil {
		note("the container's settings could not be read: %v", s.fail(ctx, "probe", "", err, read))
	} else {
		if value(p.HasImmutabilityPolicy) || value(p.HasLegalHold) {
			c.Locked = true
			note("the container has an immutability policy or a legal hold")
		}
		if value(p.IsImmutableStorageWithVersioningEnabled) {
			note("the container can lock versions")
		}
	}
	if a, err := s.container.GetAccountInfo(ctx, nil); err != nil {
		note("the account's kind could not be read: %v", s.fail(ctx, "probe", "", err, read))
	} else {
		sku := string(value(a.SKUName))
		if c.Replicated = strings.Contains(sku, "GRS") || strings.Contains(sku, "GZRS"); c.Replicated {
			note("the account (%s) keeps a copy in another region, which deletions reach later", sku)
		}
	}
	note("lifecycle rules, object replication and point-in-time restore are settings of the account that a store cannot read: see that none is on for this container")
	return nil
}

// open says whether Azure answers somebody without credentials.
func (s *Store) open(ctx context.Context, path string) (bool, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location.container+path, nil)
	if err != nil {
		return false, err
	}
	r.Header.Set("x-ms-version", "2021-12-02")
	answer, err := s.http.Do(r)
	if err != nil {
		return false, fmt.Errorf("a request without credentials: %w", err)
	}
	answer.Body.Close()
	return answer.StatusCode/100 == 2, nil
}
