package keyring

import (
	"context"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/state"
)

// draft is what this client has written for a candidate: tables that together
// hold the rows of some versions, and perhaps an index of them.
type draft struct {
	ep        *state.Epoch
	recipient string   // of the candidate
	key       seal.Key // of the candidate
	tables    []drafted
	index     *state.Object    // nil: none for the tables as they are
	seed      canonical.Digest // of e/<eid>/id as it was read back
	checked   bool             // all of it was read back
}

// drafted is one table, and what must be found in it.
type drafted struct {
	name     canonical.ID
	sum      canonical.Digest
	rows     []draftedRow
	verified bool // it was read back
}

// draftedRow stands for a row that was copied from the current epoch.
type draftedRow struct {
	vid    canonical.ID
	gid    canonical.ID
	digest canonical.Digest
}

// fits reports whether the draft holds exactly the given versions, sorted by
// id. missing are those it lacks; stray says that it holds another.
func (d *draft) fits(want []*state.CommittedVersion) (missing []*state.CommittedVersion, stray bool) {
	i := 0
	for _, t := range d.tables {
		for _, have := range t.rows {
			for i < len(want) && compareID(want[i].VID, have.vid) < 0 {
				missing = append(missing, want[i])
				i++
			}
			if i == len(want) || want[i].VID != have.vid {
				return nil, true
			}
			i++
		}
	}
	return append(missing, want[i:]...), false
}

// extend copies the rows of versions, sorted by id, from the current epoch into
// tables of the candidate.
func (r *Ring) extend(ctx context.Context, a *state.Artefact, d *draft, missing []*state.CommittedVersion) error {
	d.index, d.checked = nil, false
	if len(d.tables) == 0 {
		return r.fill(ctx, a, d, missing)
	}
	// Each group of versions goes into the table in whose range it falls, which
	// is written anew under another name.
	for len(missing) > 0 {
		n := max(0, d.find(missing[0].VID))
		end := len(missing)
		if n+1 < len(d.tables) {
			next := d.tables[n+1].rows[0].vid
			end, _ = slices.BinarySearchFunc(missing, next, func(v *state.CommittedVersion, id canonical.ID) int { return compareID(v.VID, id) })
		}
		group := missing[:min(end, tableRows)]
		missing = missing[len(group):]
		rows, err := r.currentRows(ctx, a, group, nil)
		if err == nil {
			err = r.reseal(ctx, a, group, rows)
		}
		if err != nil {
			return err
		}
		old, err := r.getTable(ctx, d.ep.EID, d.tables[n].name, d.tables[n].sum, d.key)
		if err != nil {
			return err
		}
		rows = append(rows, old...)
		slices.SortFunc(rows, func(x, y row) int { return compareID(x.VID, y.VID) })
		var parts []drafted
		for half := range slices.Chunk(rows, (len(rows)+1)/((len(rows)+tableRows-1)/tableRows)) {
			t, err := r.putTable(ctx, d, half)
			if err != nil {
				return err
			}
			parts = append(parts, *t)
		}
		d.tables = slices.Replace(d.tables, n, n+1, parts...)
	}
	return nil
}

// generation returns the generation that all rows are sealed to; zero: none such.
func (d *draft) generation() canonical.ID {
	var gid canonical.ID
	for _, t := range d.tables {
		for _, row := range t.rows {
			if !gid.IsZero() && row.gid != gid {
				return canonical.ID{}
			}
			gid = row.gid
		}
	}
	return gid
}

// find returns the last table that starts at or before vid, or −1.
func (d *draft) find(vid canonical.ID) int {
	n, found := slices.BinarySearchFunc(d.tables, vid, func(t drafted, vid canonical.ID) int { return compareID(t.rows[0].vid, vid) })
	if found {
		return n
	}
	return n - 1
}

// fill writes the tables of an empty draft, as many at a time as requests may
// run at once. Every table of the current epoch is read at most once.
func (r *Ring) fill(ctx context.Context, a *state.Artefact, d *draft, want []*state.CommittedVersion) error {
	keep := &tables{}
	for wave := range slices.Chunk(want, tableRows*r.jobs()) {
		rows, err := r.currentRows(ctx, a, wave, keep)
		if err == nil {
			err = r.reseal(ctx, a, wave, rows)
		}
		if err != nil {
			return err
		}
		parts := slices.Collect(slices.Chunk(rows, tableRows))
		written := make([]drafted, len(parts))
		if err := r.each(ctx, len(parts), func(ctx context.Context, i int) error {
			t, err := r.putTable(ctx, d, parts[i])
			if err == nil {
				written[i] = *t
			}
			return err
		}); err != nil {
			return err
		}
		d.tables = append(d.tables, written...)
	}
	return nil
}

func (r *Ring) putTable(ctx context.Context, d *draft, rows []row) (*drafted, error) {
	plain, err := encodeTable(rows)
	if err != nil {
		return nil, err
	}
	sealed, err := r.cipher().Seal(plain, d.recipient)
	if err != nil {
		return nil, fmt.Errorf("sealing a table of epoch %s: %w", d.ep.EID, err)
	}
	t := &drafted{name: canonical.NewID(), sum: canonical.Sum(sealed), rows: make([]draftedRow, len(rows))}
	for i, row := range rows {
		t.rows[i] = draftedRow{vid: row.VID, gid: row.GID, digest: canonical.Sum(row.Row)}
	}
	return t, r.put(ctx, r.tableKey(d.ep.EID, t.name), sealed)
}

// putIndex writes the index of the draft's tables.
func (r *Ring) putIndex(ctx context.Context, d *draft, survivors state.Survivors) error {
	x := index{Format: indexFormat, EID: d.ep.EID, Survivors: survivors, Tables: make([]indexed, len(d.tables))}
	for i, t := range d.tables {
		x.Tables[i] = indexed{First: t.rows[0].vid, Name: t.name, SHA256: t.sum}
	}
	plain, err := canonical.Marshal(x)
	if err != nil {
		return err
	}
	sealed, err := r.Vault.SealMetadata(plain)
	if err != nil {
		return fmt.Errorf("sealing the index of epoch %s: %w", d.ep.EID, err)
	}
	o := &state.Object{Key: r.epochPrefix(d.ep.EID) + "i-" + canonical.NewID().String(), SHA256: canonical.Sum(sealed)}
	if err := r.put(ctx, o.Key, sealed); err != nil {
		return err
	}
	d.index = o
	return nil
}

// readBack is step 5: it opens what is *stored*, seed, index and tables, and
// compares every row with what the current epoch holds. errAbandoned if the
// seed is not usable; ErrIntegrity for the rest, which can be written again.
func (r *Ring) readBack(ctx context.Context, a *state.Artefact, d *draft) error {
	s, sum, err := r.getSeed(ctx, d.ep)
	if err == nil {
		d.key, err = r.unwrap(ctx, a, d.ep, s, true)
	}
	if err != nil {
		return unusable(err)
	}
	d.seed = sum
	x, err := r.getIndex(ctx, *d.index, d.ep.EID, a.Survivors())
	if err != nil {
		return err
	}
	if len(x.Tables) != len(d.tables) {
		return fmt.Errorf("%w: the index of epoch %s lists %d tables, not %d", ErrIntegrity, d.ep.EID, len(x.Tables), len(d.tables))
	}
	err = r.each(ctx, len(d.tables), func(ctx context.Context, i int) error {
		t := &d.tables[i]
		if t.verified {
			return nil
		}
		rows, err := r.getTable(ctx, d.ep.EID, x.Tables[i].Name, x.Tables[i].SHA256, d.key)
		if err != nil {
			return err
		}
		same := slices.EqualFunc(rows, t.rows, func(x row, y draftedRow) bool { return x.VID == y.vid && canonical.Sum(x.Row) == y.digest })
		if !same {
			return fmt.Errorf("%w: table %s of epoch %s is not a copy of the rows of the current one", ErrIntegrity, t.name, d.ep.EID)
		}
		t.verified = true
		return nil
	})
	d.checked = err == nil
	return err
}
