package keyring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Finding is one object of the key hierarchy that does not verify.
type Finding struct {
	Key string
	Err error
}

// Verify reads every object of the artefact's key hierarchy among keys, which
// are all keys under the artefact's prefix, and compares it with what entries
// bind: generations, reader lists, seeds, indexes, tables, and the row of every
// version that the current epoch must open. It reports findings through found,
// and through account every key that it vouches for. What belongs to an epoch
// that is not current any more opens nothing; it is compared with its digest
// where an entry binds one, and else has its header checked.
//
// Errors are those of the store and the keepers that keep it from judging at all.
func (r *Ring) Verify(ctx context.Context, keys []string, account func(key string), found func(Finding)) error {
	a, err := r.refresh(ctx)
	if err != nil {
		return err
	}
	c := &checker{ring: r, account: account, found: found, present: map[string]bool{}, seen: map[string]bool{}}
	for _, k := range keys {
		c.present[k] = true
	}
	for _, g := range a.Generations {
		for _, b := range append([]state.Readers{g.Readers}, g.More...) {
			if err := errors.Join(c.bound(ctx, b.Object, true), c.bound(ctx, b.List, true)); err != nil {
				return err
			}
		}
	}
	for _, e := range r.Ledger.Log().Entries {
		if e.Kind != state.KindActivate {
			continue
		}
		var b state.Activate
		if canonical.Unmarshal(e.Body, &b) != nil || b.None {
			continue
		}
		current := a.Current != nil && a.Current.EID == b.EID
		if err := c.epoch(ctx, b, current); err != nil {
			return err
		}
	}
	if err := c.rows(ctx, a); err != nil {
		return err
	}
	return c.rest(ctx, a)
}

type checker struct {
	ring    *Ring
	account func(string)
	found   func(Finding)
	present map[string]bool // what the listing showed
	seen    map[string]bool // what was judged
	mu      sync.Mutex      // over found
}

func (c *checker) report(key string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found(Finding{Key: key, Err: err})
}

func (c *checker) mark(key string) {
	c.seen[key] = true
	c.account(key)
}

// bound compares an object with the digest that binds it.
func (c *checker) bound(ctx context.Context, o state.Object, needed bool) error {
	c.mark(o.Key)
	_, err := c.ring.getBound(ctx, o.Key, o.SHA256, 0)
	return c.judge(o.Key, err, needed)
}

// judge reports an error about an object's bytes and passes on any other.
func (c *checker) judge(key string, err error, needed bool) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, backends.NotExist):
		if needed {
			c.report(key, fmt.Errorf("%w: %s is missing", ErrIntegrity, key))
		}
		return nil
	case isContent(err):
		c.report(key, err)
		return nil
	}
	return err
}

// isContent reports whether an error is about bytes, not about reaching them.
func isContent(err error) bool {
	for _, k := range []error{ErrIntegrity, backends.Corrupt, seal.ErrFormat, seal.ErrCorrupt, seal.ErrNoMatch, canonical.ErrNotCanonical} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// epoch checks what an activation binds: the seed, the index, the tables.
func (c *checker) epoch(ctx context.Context, b state.Activate, current bool) error {
	r := c.ring
	if err := c.bound(ctx, state.Object{Key: r.seedKey(b.EID), SHA256: b.Seed}, current); err != nil {
		return err
	}
	c.mark(b.Index.Key)
	sealed, err := r.getBound(ctx, b.Index.Key, b.Index.SHA256, 0)
	if err != nil {
		return c.judge(b.Index.Key, err, current)
	}
	plain, err := r.Vault.OpenMetadata(ctx, sealed)
	if err != nil {
		return c.judge(b.Index.Key, err, current)
	}
	x, err := decodeIndex(plain)
	if err != nil {
		c.report(b.Index.Key, fmt.Errorf("%w: %w", ErrIntegrity, err))
		return nil
	}
	for _, t := range x.Tables {
		c.mark(r.tableKey(b.EID, t.Name))
	}
	return r.each(ctx, len(x.Tables), func(ctx context.Context, i int) error {
		key := r.tableKey(b.EID, x.Tables[i].Name)
		_, err := r.getBound(ctx, key, x.Tables[i].SHA256, maxTable)
		return c.judge(key, err, current)
	})
}

// rows opens the current epoch and reads the row of every version in it.
func (c *checker) rows(ctx context.Context, a *state.Artefact) error {
	r := c.ring
	if a.Current == nil {
		return nil
	}
	_, err := r.currentKey(ctx, a)
	if errors.Is(err, custody.ErrDestroyed) {
		c.report(r.seedKey(a.Current.EID), fmt.Errorf("%w: the keepers have destroyed the key of the current epoch", ErrIntegrity))
		return nil
	}
	if err != nil {
		return c.judge(r.seedKey(a.Current.EID), err, true)
	}
	for _, v := range a.LiveSet() {
		key := r.rowKey(v.VID, v.EID)
		if v.EID != a.Current.EID {
			x, err := r.currentIndex(ctx, a)
			if err != nil {
				return c.judge(a.Activated.Index.Key, err, true)
			}
			if n := x.find(v.VID); n >= 0 {
				key = r.tableKey(a.Current.EID, x.Tables[n].Name)
			}
		}
		c.mark(key)
		if _, err := r.currentRows(ctx, a, []*state.CommittedVersion{v}, nil); err != nil {
			if err := c.judge(key, err, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest checks the headers of key objects that no entry binds.
func (c *checker) rest(ctx context.Context, a *state.Artefact) error {
	r := c.ring
	for _, key := range slices.Sorted(maps.Keys(c.present)) {
		if c.seen[key] || !r.isKeyObject(a, key) {
			continue
		}
		c.mark(key)
		if strings.HasSuffix(key, "/id") {
			continue
		}
		b, err := ledger.ReadObject(ctx, r.Store, key, 0)
		if err == nil {
			_, err = seal.CheckHeader(b)
		}
		if err := c.judge(key, err, false); err != nil {
			return err
		}
	}
	return nil
}

// isKeyObject reports whether a key that no entry binds can be a part of the
// hierarchy: of an epoch that was announced, or a row of a known version.
func (r *Ring) isKeyObject(a *state.Artefact, key string) bool {
	rest := strings.TrimPrefix(key, r.prefix())
	if name, ok := strings.CutPrefix(rest, "e/"); ok {
		eid, file, _ := strings.Cut(name, "/")
		id, err := canonical.ParseID(eid)
		return err == nil && a.Epoch(id) != nil && (file == "id" || strings.HasPrefix(file, "k-") || strings.HasPrefix(file, "i-"))
	}
	if name, ok := strings.CutPrefix(rest, "v/"); ok {
		vid, file, _ := strings.Cut(name, "/")
		id, err := canonical.ParseID(vid)
		if err != nil || !strings.HasPrefix(file, "k-") {
			return false
		}
		eid, err := canonical.ParseID(strings.TrimPrefix(file, "k-"))
		return err == nil && a.Version(id) != nil && a.Epoch(eid) != nil
	}
	return false
}
