package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// rowKey is where a push puts its own row.
func (r *Ring) rowKey(vid, eid canonical.ID) string {
	return r.VersionPrefix(vid) + "k-" + eid.String()
}

func (r *Ring) tableKey(eid, name canonical.ID) string {
	return r.epochPrefix(eid) + "k-" + name.String()
}

// NewRow stores the row of a version that is being pushed: its identity, sealed
// to the current generation, in a table of its own, sealed to the current
// epoch. It takes public recipients alone. The digest is that of the inner row,
// for the version entry. It is called once for a version and epoch; whoever
// resumes a push uses OpenPending.
func (r *Ring) NewRow(ctx context.Context, a *state.Artefact, vid canonical.ID, key seal.Key) (canonical.Digest, error) {
	g := a.Generation()
	if a.Current == nil || g == nil {
		return canonical.Digest{}, r.noEpoch(a)
	}
	inner, err := r.cipher().Seal([]byte(key.Reveal()), g.Recipient)
	if err != nil {
		return canonical.Digest{}, fmt.Errorf("sealing the row of version %s: %w", vid, err)
	}
	plain, err := encodeTable([]row{{VID: vid, GID: g.GID, Row: inner}})
	if err != nil {
		return canonical.Digest{}, err
	}
	sealed, err := r.cipher().Seal(plain, a.Current.Candidate.Recipient)
	if err != nil {
		return canonical.Digest{}, fmt.Errorf("sealing the row of version %s: %w", vid, err)
	}
	return canonical.Sum(inner), r.put(ctx, r.rowKey(vid, a.Current.EID), sealed)
}

// OpenPending opens the row of a version that was begun in the current epoch
// and generation, that no entry names yet, and no manifest of which names chunks
// of other versions, for whoever resumes its push. It returns the version's identity and the digest of the inner
// row. That the row is the resumer's own work is for them to verify.
// backends.NotExist: there is no such version.
func (r *Ring) OpenPending(ctx context.Context, a *state.Artefact, vid canonical.ID) (seal.Key, canonical.Digest, error) {
	if a.Current == nil || a.Generation() == nil {
		return nil, canonical.Digest{}, r.noEpoch(a)
	}
	found, err := r.ownRow(ctx, a, vid)
	if err != nil {
		return nil, canonical.Digest{}, err
	}
	if found.GID != a.Generation().GID {
		return nil, canonical.Digest{}, fmt.Errorf("the row of version %s is sealed to other readers: %w", vid, backends.NotExist)
	}
	if alone, err := r.namesOwn(ctx, vid); err != nil || !alone {
		if err == nil {
			err = fmt.Errorf("a manifest of version %s may name chunks of others: %w", vid, backends.NotExist)
		}
		return nil, canonical.Digest{}, err
	}
	key, err := r.openRow(ctx, a, found)
	return key, canonical.Sum(found.Row), err
}

// noEpoch says why an artefact has no current epoch or generation.
func (r *Ring) noEpoch(a *state.Artefact) error {
	if a.Ended {
		return ErrEnded
	}
	return ErrIncomplete
}

// OpenVersion returns the identity of a version: the epoch by way of the
// keepers, the row from the version's own object or through the index, the row
// by way of the generation. If the epoch is gone it folds the journal again,
// which changes a and v in place, and retries once.
//
// Errors: custody.ErrDestroyed if nothing opens the version any more;
// ErrNoReader; ErrIntegrity; those of the store and the keepers.
func (r *Ring) OpenVersion(ctx context.Context, a *state.Artefact, v *state.CommittedVersion) (seal.Key, error) {
	key, err := r.openVersion(ctx, a, v)
	if err == nil || !errors.Is(err, ErrIntegrity) && !errors.Is(err, custody.ErrDestroyed) && !errors.Is(err, backends.NotExist) {
		return key, err
	}
	before := a.ActivatedAt
	if _, foldErr := r.fold(ctx); foldErr != nil || a.ActivatedAt == before {
		return nil, errors.Join(err, foldErr)
	}
	return r.openVersion(ctx, a, v)
}

func (r *Ring) openVersion(ctx context.Context, a *state.Artefact, v *state.CommittedVersion) (seal.Key, error) {
	if v.State > state.Executed {
		return nil, fmt.Errorf("version %s was destroyed: %w", v.VID, custody.ErrDestroyed)
	}
	rows, err := r.currentRows(ctx, a, []*state.CommittedVersion{v}, nil)
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", v.VID, err)
	}
	key, err := r.openRow(ctx, a, rows[0])
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", v.VID, err)
	}
	if key.Recipient() != v.Recipient {
		return nil, fmt.Errorf("%w: the row of version %s holds another identity than its entry names", ErrIntegrity, v.VID)
	}
	return key, nil
}

func (r *Ring) openRow(ctx context.Context, a *state.Artefact, found row) (seal.Key, error) {
	g, err := r.generation(ctx, a, found.GID)
	if err != nil {
		return nil, err
	}
	text, err := g.Open(found.Row)
	if err != nil {
		return nil, fmt.Errorf("%w: a row: %w", ErrIntegrity, err)
	}
	key, err := r.cipher().Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%w: a row holds no identity", ErrIntegrity)
	}
	return key, nil
}

// tables keeps the table that was read last: the next rows may stand in it too.
type tables struct {
	number int
	rows   []row
}

// currentRows returns the rows of versions, which must be sorted by id and
// undropped, as the current epoch has them: byte for byte, each bound by its
// version entry or by the activation. keep, which may be nil, carries a table
// over to the next call.
func (r *Ring) currentRows(ctx context.Context, a *state.Artefact, vs []*state.CommittedVersion, keep *tables) ([]row, error) {
	if len(vs) == 0 {
		return nil, nil
	}
	if a.Current == nil {
		return nil, r.noEpoch(a)
	}
	var numbers []int // of the tables that hold any
	var x *index
	where := make([]int, len(vs))
	for i, v := range vs {
		where[i] = -1
		if v.EID == a.Current.EID {
			continue
		}
		if x == nil {
			var err error
			if x, err = r.currentIndex(ctx, a); err != nil {
				return nil, err
			}
		}
		n := x.find(v.VID)
		if n < 0 {
			return nil, fmt.Errorf("%w: epoch %s has no row of version %s", ErrIntegrity, a.Current.EID, v.VID)
		}
		if where[i] = n; len(numbers) == 0 || numbers[len(numbers)-1] != n {
			numbers = append(numbers, n)
		}
	}
	key, err := r.currentKey(ctx, a)
	if err != nil {
		return nil, err
	}
	read := make([][]row, len(numbers))
	if err := r.each(ctx, len(numbers), func(ctx context.Context, i int) error {
		if keep != nil && keep.rows != nil && keep.number == numbers[i] {
			read[i] = keep.rows
			return nil
		}
		t := x.Tables[numbers[i]]
		rows, err := r.getTable(ctx, a.Current.EID, t.Name, t.SHA256, key)
		if err == nil && rows[0].VID != t.First {
			err = fmt.Errorf("%w: table %s does not start where its index says", ErrIntegrity, t.Name)
		}
		read[i] = rows
		return err
	}); err != nil {
		return nil, err
	}
	out := make([]row, len(vs))
	var own []int
	for i, v := range vs {
		if where[i] < 0 {
			own = append(own, i)
			continue
		}
		n, _ := slices.BinarySearch(numbers, where[i])
		if out[i], err = findRow(read[n], v.VID); err != nil {
			return nil, err
		}
	}
	if err := r.each(ctx, len(own), func(ctx context.Context, i int) (err error) {
		if out[own[i]], err = r.ownRow(ctx, a, vs[own[i]].VID); errors.Is(err, backends.NotExist) {
			err = fmt.Errorf("%w: %w", ErrIntegrity, err)
		}
		return err
	}); err != nil {
		return nil, err
	}
	for i, v := range vs {
		if out[i].GID == v.GID && canonical.Sum(out[i].Row) != v.Row {
			return nil, fmt.Errorf("%w: the row of version %s is not the one that its entry binds", ErrIntegrity, v.VID)
		}
	}
	if keep != nil && len(numbers) > 0 {
		keep.number, keep.rows = numbers[len(numbers)-1], read[len(numbers)-1]
	}
	return out, nil
}

func findRow(rows []row, vid canonical.ID) (row, error) {
	i, found := slices.BinarySearchFunc(rows, vid, func(x row, vid canonical.ID) int { return compareID(x.VID, vid) })
	if !found {
		return row{}, fmt.Errorf("%w: the table for version %s lacks its row", ErrIntegrity, vid)
	}
	return rows[i], nil
}

// ownRow reads the row that a push stored in the current epoch.
func (r *Ring) ownRow(ctx context.Context, a *state.Artefact, vid canonical.ID) (row, error) {
	sealed, err := ledger.ReadObject(ctx, r.Store, r.rowKey(vid, a.Current.EID), maxRow)
	if err != nil {
		return row{}, err
	}
	key, err := r.currentKey(ctx, a)
	if err != nil {
		return row{}, err
	}
	rows, err := openTable(sealed, key)
	if err == nil && (len(rows) != 1 || rows[0].VID != vid) {
		err = fmt.Errorf("%w: it holds the row of another version", ErrIntegrity)
	}
	if err != nil {
		return row{}, fmt.Errorf("%s: %w", r.rowKey(vid, a.Current.EID), err)
	}
	return rows[0], nil
}

// getTable reads a table of an epoch and checks it against its digest.
func (r *Ring) getTable(ctx context.Context, eid, name canonical.ID, sum canonical.Digest, key seal.Key) ([]row, error) {
	sealed, err := r.getBound(ctx, r.tableKey(eid, name), sum, maxTable)
	if err != nil {
		if errors.Is(err, backends.NotExist) {
			err = fmt.Errorf("%w: %w", ErrIntegrity, err)
		}
		return nil, err
	}
	rows, err := openTable(sealed, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.tableKey(eid, name), err)
	}
	return rows, nil
}

func openTable(sealed []byte, key seal.Key) ([]row, error) {
	plain, err := key.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	rows, err := decodeTable(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	return rows, nil
}

// currentIndex returns the index of the current epoch.
func (r *Ring) currentIndex(ctx context.Context, a *state.Artefact) (*index, error) {
	if x := r.indexes[a.Current.EID]; x != nil {
		return x, nil
	}
	x, err := r.getIndex(ctx, a.Activated.Index, a.Current.EID, a.Activated.Survivors)
	if err != nil {
		return nil, err
	}
	r.indexes = map[canonical.ID]*index{a.Current.EID: x}
	return x, nil
}

func (r *Ring) getIndex(ctx context.Context, bound state.Object, eid canonical.ID, survivors state.Survivors) (*index, error) {
	sealed, err := r.getBound(ctx, bound.Key, bound.SHA256, backends.MaxObject)
	if errors.Is(err, backends.NotExist) {
		err = fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	if err != nil {
		return nil, err
	}
	plain, err := r.Vault.OpenMetadata(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrIntegrity, bound.Key, err)
	}
	x, err := decodeIndex(plain)
	if err == nil && (x.EID != eid || x.Survivors != survivors) {
		err = fmt.Errorf("it is of epoch %s and %d versions", x.EID, x.Survivors.Count)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrIntegrity, bound.Key, err)
	}
	return x, nil
}
