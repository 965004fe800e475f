package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Purged is what Purge recorded in the journal.
type Purged struct {
	Versions []canonical.ID
	Retained []state.Retained // object versions that a lock or soft delete keeps in storage
}

// Purge erases what storage holds of every destroyed version, and of what that
// version alone kept of others, and records it: step 9 (vault/FORMAT.md §6.5).
// It works from references and opens no manifest. What a lock or a soft delete
// kept of versions purged earlier is tried again once its date is past.
//
// Errors: ErrIntegrity if the references of an undestroyed version do not
// verify, and nothing was erased; state.ErrNotPermitted; those of the store,
// after which Purge may be called again.
func (r *Ring) Purge(ctx context.Context, op canonical.ID) (*Purged, error) {
	out := &Purged{}
	a, err := r.refresh(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[canonical.ID]bool{}
	for len(r.unpurged(a, seen)) > 0 {
		var kept keptChunks
		if a, kept, err = r.kept(ctx, destroyed); err != nil {
			return nil, err
		}
		dead := r.unpurged(a, seen)
		dead = dead[:min(len(dead), state.MaxNamed)]
		for _, vid := range dead {
			seen[vid] = true
		}
		var retained []state.Retained
		for _, vid := range dead {
			left, err := r.purge(ctx, a, a.Version(vid), kept)
			if err != nil {
				return nil, fmt.Errorf("purging version %s: %w", vid, err)
			}
			retained = append(retained, left...)
		}
		if a, err = r.recordPurged(ctx, dead, retained, op, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unpurged returns the destroyed versions, but those in seen, of which storage
// holds more than it must.
func (r *Ring) unpurged(a *state.Artefact, seen map[canonical.ID]bool) []canonical.ID {
	now := r.Vault.Now()
	var out []canonical.ID
	for _, v := range a.Versions {
		over := v.State == state.Erased && slices.ContainsFunc(v.Retained, func(x state.Retained) bool { return !x.Until.After(now) })
		if (v.State == state.Shredded || over) && !seen[v.VID] {
			out = append(out, v.VID)
		}
	}
	return out
}

// purge erases one version. Its references go last: whoever resumes needs them.
func (r *Ring) purge(ctx context.Context, a *state.Artefact, v *state.CommittedVersion, kept keptChunks) ([]state.Retained, error) {
	eraser := &eraser{ring: r, retained: map[string]time.Time{}}
	if err := r.purgeOthers(ctx, a, v, kept, eraser); err != nil {
		return nil, err
	}
	for range maxListings {
		left, last, err := r.remaining(ctx, v, kept, eraser)
		if err != nil {
			return nil, err
		}
		if len(left) == 0 && len(last) == 0 {
			return eraser.list(), nil
		}
		if err := eraser.erase(ctx, left...); err != nil {
			return nil, err
		}
		if err := eraser.erase(ctx, last...); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("objects keep appearing under %s", r.VersionPrefix(v.VID))
}

// maxListings bounds how often a prefix is listed until it is found empty: once
// to erase, once to see, and again for what arrives late.
const maxListings = 8

// purgeOthers erases the chunks of other destroyed versions that v borrowed and
// nobody keeps. Without v's references, which a crash may have taken and
// storage may have spoilt, it looks through all that is destroyed.
func (r *Ring) purgeOthers(ctx context.Context, a *state.Artefact, v *state.CommittedVersion, kept keptChunks, e *eraser) error {
	if r.variant.ownPrefix {
		return nil
	}
	refs, err := r.references(ctx, v)
	switch {
	case err == nil:
		var keys []string
		for _, o := range refs.Objects {
			if o.Creator != v.VID && destroyed(a, o.Creator) && !kept.has(o.Creator, o.Name) {
				keys = append(keys, o.Key(r.Ledger.ID))
			}
		}
		return e.erase(ctx, keys...)
	case r.variant.strictReferences, !errors.Is(err, backends.NotExist) && !errors.Is(err, ErrIntegrity):
		return err
	}
	for _, other := range a.Versions {
		if !destroyed(a, other.VID) || other == v {
			continue
		}
		chunks, err := r.names(ctx, other.VID, "c/")
		if err != nil {
			return err
		}
		var keys []string
		for _, name := range chunks {
			if !kept.has(other.VID, strings.TrimPrefix(name, "c/")) {
				keys = append(keys, r.VersionPrefix(other.VID)+name)
			}
		}
		if err := e.erase(ctx, keys...); err != nil {
			return err
		}
	}
	return nil
}

// names lists everything under a version's prefix that starts with part, old
// versions and markers included, each name once.
func (r *Ring) names(ctx context.Context, vid canonical.ID, part string) ([]string, error) {
	var out []string
	prefix := r.VersionPrefix(vid)
	for info, err := range r.Store.List(ctx, prefix+part, backends.ListOptions{Versions: true}) {
		if err != nil {
			return nil, err
		}
		if name := strings.TrimPrefix(info.Key, prefix); len(out) == 0 || out[len(out)-1] != name {
			out = append(out, name)
		}
	}
	return out, nil
}

// remaining lists what of a destroyed version is still to be erased, its
// references apart: all but chunks that are kept and object versions that are
// known to be retained.
func (r *Ring) remaining(ctx context.Context, v *state.CommittedVersion, kept keptChunks, e *eraser) (left, last []string, err error) {
	names, err := r.names(ctx, v.VID, "")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		key := r.VersionPrefix(v.VID) + name
		chunk, isChunk := strings.CutPrefix(name, "c/")
		_, retained := e.retained[key]
		switch {
		case retained, isChunk && kept.has(v.VID, chunk) && !r.variant.lessSecond:
		case key == v.References.Key:
			last = append(last, key)
		default:
			left = append(left, key)
		}
	}
	return left, last, nil
}

// eraser erases, and remembers what could not be. It is safe for concurrent use.
type eraser struct {
	ring    *Ring
	pretend bool // count, and erase nothing

	mu       sync.Mutex
	erased   int // keys
	retained map[string]time.Time
}

// eraseBatch is how many keys one request erases.
const eraseBatch = 1000

func (e *eraser) erase(ctx context.Context, keys ...string) error {
	if e.pretend {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.erased += len(keys)
		return nil
	}
	for batch := range slices.Chunk(keys, eraseBatch) {
		remnants, err := e.ring.Store.Erase(ctx, batch...)
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.erased += len(batch)
		for _, rem := range remnants {
			if last, ok := e.retained[rem.Key]; !ok || rem.Until.After(last) {
				e.retained[rem.Key] = rem.Until
			}
		}
		e.mu.Unlock()
	}
	return nil
}

func (e *eraser) list() []state.Retained {
	var out []state.Retained
	for key, until := range e.retained {
		out = append(out, state.Retained{Key: key, Until: entry.At(until)})
	}
	slices.SortFunc(out, func(x, y state.Retained) int { return strings.Compare(x.Key, y.Key) })
	return out
}

// recordPurged appends the purged entry for those of vids that nobody else has
// recorded meanwhile.
func (r *Ring) recordPurged(ctx context.Context, vids []canonical.ID, retained []state.Retained, op canonical.ID, out *Purged) (*state.Artefact, error) {
	named := retained[:min(len(retained), state.MaxRetained)]
	for attempt := 0; ; attempt++ {
		a, err := r.fold(ctx)
		if err != nil {
			return nil, err
		}
		vids = slices.DeleteFunc(vids, func(vid canonical.ID) bool {
			v := a.Version(vid)
			return v.State == state.Erased && (len(v.Retained) == 0 || slices.Equal(v.Retained, named))
		})
		if len(vids) == 0 {
			return a, nil
		}
		err = r.Ledger.Append(ctx, state.KindPurged, state.Purged{Versions: vids, Retained: named}, op)
		if err == nil {
			out.Versions, out.Retained = append(out.Versions, vids...), append(out.Retained, retained...)
			return a, nil
		}
		if !lost(err) {
			return nil, err
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return nil, err
		}
	}
}
