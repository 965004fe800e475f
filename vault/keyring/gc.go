package keyring

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// Collected is what GC did.
type Collected struct {
	Condemned []canonical.ID // versions that were begun, never committed, and now never will be
	Erased    int            // objects, retained ones included
	Retained  []state.Retained
}

// GC erases what no entry needs (vault/FORMAT.md §6.6): all of a version that
// was begun and whose newest object was stored before the given time, after a
// condemn entry; under a committed version, what neither its entry names nor an
// undestroyed version lists; and the objects of epochs whose keys are
// destroyed. Time only chooses: whether a slow push or gc wins is decided by
// which entry stands first.
//
// Errors as of Purge.
func (r *Ring) GC(ctx context.Context, before time.Time, op canonical.ID) (*Collected, error) {
	return r.gc(ctx, before, op, &eraser{ring: r, retained: map[string]time.Time{}})
}

// PreviewGC tells what GC would do, and changes nothing.
func (r *Ring) PreviewGC(ctx context.Context, before time.Time) (*Collected, error) {
	return r.gc(ctx, before, canonical.ID{}, &eraser{ring: r, pretend: true})
}

func (r *Ring) gc(ctx context.Context, before time.Time, op canonical.ID, e *eraser) (*Collected, error) {
	out := &Collected{}
	a, err := r.refresh(ctx)
	if err != nil {
		return nil, err
	}
	begun, committed, err := r.begun(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := r.collectBegun(ctx, a, begun, before, op, e, out); err != nil {
		return nil, err
	}
	if err := r.collectCommitted(ctx, committed, e); err != nil {
		return nil, err
	}
	if err := r.collectEpochs(ctx, e); err != nil {
		return nil, err
	}
	out.Erased, out.Retained = e.erased, e.list()
	return out, nil
}

// Begun returns the ids of versions that storage holds something of, that no
// entry names, and that one may still name: at most limit of them.
func (r *Ring) Begun(ctx context.Context, a *state.Artefact, limit int) ([]canonical.ID, error) {
	var out []canonical.ID
	for id, err := range r.eachChild(ctx, "v/") {
		if err != nil {
			return nil, err
		}
		if a.Version(id) == nil && !r.neverCommits(a, id) {
			if out = append(out, id); len(out) == limit {
				break
			}
		}
	}
	return out, nil
}

// begun lists the versions that storage holds anything of.
func (r *Ring) begun(ctx context.Context, a *state.Artefact) (begun, committed []canonical.ID, err error) {
	vids, err := r.children(ctx, "v/")
	for _, vid := range vids {
		if a.Version(vid) == nil {
			begun = append(begun, vid)
		} else {
			committed = append(committed, vid)
		}
	}
	return begun, committed, err
}

// children lists one level below a part of the artefact: the ids that stand there.
func (r *Ring) children(ctx context.Context, part string) ([]canonical.ID, error) {
	var out []canonical.ID
	for id, err := range r.eachChild(ctx, part) {
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

// eachChild is children, one at a time. An error comes last.
func (r *Ring) eachChild(ctx context.Context, part string) iter.Seq2[canonical.ID, error] {
	prefix := r.prefix() + part
	return func(yield func(canonical.ID, error) bool) {
		for info, err := range r.Store.List(ctx, prefix, backends.ListOptions{OneLevel: true}) {
			if err != nil {
				yield(canonical.ID{}, err)
				return
			}
			id, err := canonical.ParseID(strings.TrimSuffix(strings.TrimPrefix(info.Key, prefix), "/"))
			if err == nil && !yield(id, nil) {
				return
			}
		}
	}
}

// collectBegun condemns and erases versions that no entry names.
func (r *Ring) collectBegun(ctx context.Context, a *state.Artefact, begun []canonical.ID, before time.Time, op canonical.ID, e *eraser, out *Collected) error {
	newest := make([]time.Time, len(begun))
	if err := r.each(ctx, len(begun), func(ctx context.Context, i int) (err error) {
		if !r.neverCommits(a, begun[i]) {
			newest[i], err = r.newest(ctx, begun[i])
		}
		return err
	}); err != nil {
		return err
	}
	var old, take []canonical.ID
	for i, vid := range begun {
		if r.neverCommits(a, vid) {
			take = append(take, vid)
		} else if !newest[i].IsZero() && newest[i].Before(before) {
			old = append(old, vid)
		}
	}
	if r.variant.timeOnly {
		take, old = append(take, old...), nil
	}
	if e.pretend {
		out.Condemned, old = old, nil
	}
	for vids := range slices.Chunk(old, state.MaxNamed) {
		if err := r.condemn(ctx, vids, op); err != nil {
			return err
		}
		for _, vid := range vids {
			if r.neverCommits(a, vid) || r.variant.condemnBlind {
				out.Condemned = append(out.Condemned, vid)
			}
		}
	}
	take = append(take, out.Condemned...)
	return r.each(ctx, len(take), func(ctx context.Context, i int) error {
		return r.collect(ctx, take[i], e, func(string) bool { return false })
	})
}

// neverCommits reports whether no entry can make a version of an id any more.
func (r *Ring) neverCommits(a *state.Artefact, vid canonical.ID) bool {
	return a.Condemned(vid) || a.Ended && a.Version(vid) == nil
}

// newest returns the storage time of the newest object of a version.
func (r *Ring) newest(ctx context.Context, vid canonical.ID) (time.Time, error) {
	var newest time.Time
	for info, err := range r.Store.List(ctx, r.VersionPrefix(vid), backends.ListOptions{}) {
		if err != nil {
			return newest, err
		}
		if info.Modified.After(newest) {
			newest = info.Modified
		}
	}
	return newest, nil
}

// condemn appends a condemn entry, unless the artefact has ended, which condemns
// everything. A version that commits before it stays.
func (r *Ring) condemn(ctx context.Context, vids []canonical.ID, op canonical.ID) error {
	for attempt := 0; ; attempt++ {
		err := r.Ledger.Append(ctx, state.KindCondemn, state.Versions{Versions: vids}, op)
		if err == nil {
			return nil
		}
		if !lost(err) {
			return fmt.Errorf("condemning %d versions: %w", len(vids), err)
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return err
		}
		if a, err := r.fold(ctx); err != nil || a.Ended {
			return err
		}
	}
}

// collect erases everything under a version's prefix but what is to be kept.
func (r *Ring) collect(ctx context.Context, vid canonical.ID, e *eraser, keep func(name string) bool) error {
	names, err := r.names(ctx, vid, "")
	if err != nil {
		return err
	}
	var keys []string
	for _, name := range names {
		if !keep(name) {
			keys = append(keys, r.VersionPrefix(vid)+name)
		}
	}
	return e.erase(ctx, keys...)
}

// collectCommitted erases what nothing names under versions that committed.
func (r *Ring) collectCommitted(ctx context.Context, vids []canonical.ID, e *eraser) error {
	if len(vids) == 0 {
		return nil
	}
	a, kept, err := r.kept(ctx, func(a *state.Artefact, vid canonical.ID) bool { return a.Version(vid) != nil })
	if err != nil {
		return err
	}
	return r.each(ctx, len(vids), func(ctx context.Context, i int) error {
		v, kept := a.Version(vids[i]), kept
		if r.variant.ownList {
			if kept, err = r.ownList(ctx, v); err != nil {
				return err
			}
		}
		return r.collect(ctx, v.VID, e, func(name string) bool {
			if chunk, ok := strings.CutPrefix(name, "c/"); ok {
				return kept.has(v.VID, chunk)
			}
			return (v.State < state.Erased || r.variant.keepNamed) && r.named(a, v, name)
		})
	})
}

// named reports whether an entry still needs an object under its version's
// prefix, chunks apart. The row of a push is needed until the keys of its epoch
// are destroyed: before that, whoever destroys them has made sure that the
// current epoch carries it.
func (r *Ring) named(a *state.Artefact, v *state.CommittedVersion, name string) bool {
	ep := a.Epoch(v.EID)
	switch r.VersionPrefix(v.VID) + name {
	case v.Manifest.Key, v.References.Key, r.VersionPrefix(v.VID) + "s":
		return true
	case r.rowKey(v.VID, v.EID):
		return ep != nil && !ep.KeysDestroyed
	}
	return false
}

// collectEpochs erases the objects of epochs whose keys are destroyed, and
// tables and indexes that were written for the current one and not activated.
func (r *Ring) collectEpochs(ctx context.Context, e *eraser) error {
	eids, err := r.children(ctx, "e/")
	if err != nil {
		return err
	}
	a, err := r.fold(ctx)
	if err != nil {
		return err
	}
	for _, eid := range eids {
		if err := r.collectEpoch(ctx, a, eid, e); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) collectEpoch(ctx context.Context, a *state.Artefact, eid canonical.ID, e *eraser) error {
	ep := a.Epoch(eid)
	if ep == nil || !ep.KeysDestroyed && ep != a.Current {
		return nil
	}
	needed := map[string]bool{}
	if ep == a.Current {
		x, err := r.currentIndex(ctx, a)
		if err != nil {
			if _, foldErr := r.fold(ctx); foldErr != nil || a.Current != ep {
				return foldErr // superseded, and perhaps collected, meanwhile
			}
			return err
		}
		needed[r.seedKey(eid)], needed[a.Activated.Index.Key] = true, true
		for _, t := range x.Tables {
			needed[r.tableKey(eid, t.Name)] = true
		}
	}
	var keys []string
	for info, err := range r.Store.List(ctx, r.epochPrefix(eid), backends.ListOptions{Versions: true}) {
		if err != nil {
			return err
		}
		if !needed[info.Key] && (len(keys) == 0 || keys[len(keys)-1] != info.Key) {
			keys = append(keys, info.Key)
		}
	}
	return e.erase(ctx, keys...)
}
