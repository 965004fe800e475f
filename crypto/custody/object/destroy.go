package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// maxSweep bounds the objects of a label that one Destroy erases. There is the
// key, and one more for each Create that died at the wrong moment.
const maxSweep = 1000

// Destroy implements [custody.Keeper]. In order: the tombstone, which is the
// moment of death; every secret object of the label erased; a listing of
// versions that shows none; a probe, for what listings do not show; the
// acknowledgement. Whoever repeats it begins where the other died.
//
// A key whose objects are damaged is destroyed by whoever names its label: it
// serves for nothing else.
func (k *Keeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	fail := func(err error) (custody.Destruction, error) {
		return custody.Destruction{}, fmt.Errorf("destroy key %s: %w", ref, err)
	}
	if err := custody.CheckRef(ref); err != nil {
		return fail(err)
	}
	e, err := k.entomb(ctx, ref)
	if err != nil {
		return fail(err)
	}
	done, err := k.acknowledged(ctx, ref)
	if err != nil {
		return fail(err)
	}
	before, err := k.left(ctx, ref)
	if err != nil {
		return fail(err)
	}
	if done != nil && before.n == 0 {
		return *done, nil
	}
	remnants, err := k.erase(ctx, ref)
	if err != nil {
		return fail(err)
	}
	after, err := k.left(ctx, ref)
	if err != nil {
		return fail(err)
	}
	caps, err := k.measure(ctx)
	if err != nil {
		return fail(err)
	}
	ack := keyfile.Acknowledgement{Instance: k.instance, Ref: ref}
	note := func(format string, args ...any) { ack.Notes = append(ack.Notes, fmt.Sprintf(format, args...)) }
	note("object versions found %d, left %d", before.n, after.n)
	pending := custody.Destruction{Ref: ref, State: custody.Pending, At: e.died, Until: latest(after, remnants)}
	for _, r := range remnants {
		note("retained: %s version %q until %s: %s", r.Key, r.Version, date(r.Until), r.Why)
	}
	for _, reason := range copies(caps) {
		note("measured: %s", reason)
		pending.Until = time.Time{}
	}
	note("measured: versioned %v, locked %v", caps.Versioned, caps.Locked)
	for _, n := range caps.Notes {
		note("measured: %s", n)
	}
	if after.n > 0 || len(remnants) > 0 || len(copies(caps)) > 0 {
		pending.Evidence = ack.EncodePending()
		return pending, nil
	}
	if _, err := k.settle(ctx, donePrefix+labelOf(ref), ack.Encode()); err != nil {
		return fail(err)
	}
	if done, err = k.acknowledged(ctx, ref); err != nil {
		return fail(err)
	}
	if done == nil {
		return fail(fmt.Errorf("the acknowledgement just written is not there: %w", custody.ErrUnavailable))
	}
	return *done, nil
}

// entomb puts the tombstone of a key that is here, unless it stands.
func (k *Keeper) entomb(ctx context.Context, ref custody.KeyRef) (*entry, error) {
	label, ok := keyfile.Label(ref)
	if !ok {
		return k.find(ctx, ref)
	}
	e, err := k.look(ctx, label)
	switch {
	case err != nil:
		return nil, err
	case !e.mayBe(ref):
		return nil, custody.ErrNotFound
	case e.dead:
		return e, nil
	}
	b, err := k.settle(ctx, tombstonePrefix+label, keyfile.EncodeTombstone(ref))
	if err != nil {
		return nil, err
	}
	if string(b) != string(keyfile.EncodeTombstone(ref)) {
		return nil, fmt.Errorf("object %s%s: %w", tombstonePrefix, label, custody.ErrCorrupt)
	}
	_, in, err := k.get(ctx, tombstonePrefix+label)
	if err != nil {
		return nil, storeError(ctx, err)
	}
	return &entry{ref: ref, dead: true, died: in.Modified}, nil
}

// acknowledged returns the acknowledgement of a key, or nil if there is none.
func (k *Keeper) acknowledged(ctx context.Context, ref custody.KeyRef) (*custody.Destruction, error) {
	b, in, err := k.get(ctx, donePrefix+labelOf(ref))
	if errors.Is(err, backends.NotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, storeError(ctx, err)
	}
	ack, err := keyfile.ParseAcknowledgement(b)
	if err != nil || ack.Ref != ref || ack.Instance != k.instance || !ack.At.IsZero() {
		return nil, fmt.Errorf("object %s: %w", in.Key, custody.ErrCorrupt)
	}
	return &custody.Destruction{Ref: ref, State: custody.Destroyed, At: in.Modified, Evidence: b}, nil
}

// remains is what a listing of versions shows of a key's material.
type remains struct {
	n     int
	until time.Time // when the last lock on it ends; zero: none known
}

func (k *Keeper) left(ctx context.Context, ref custody.KeyRef) (remains, error) {
	var r remains
	for in, err := range k.versions(ctx, secretPrefix+string(ref)) {
		if err != nil {
			return r, err
		}
		if in.Key != secretPrefix+string(ref) {
			continue
		}
		r.n++
		if in.RetainUntil.After(r.until) {
			r.until = in.RetainUntil
		}
	}
	return r, nil
}

// erase erases every secret object of the label and returns what is retained of
// the key. Others of the label never wrapped anything.
func (k *Keeper) erase(ctx context.Context, ref custody.KeyRef) ([]backends.Remnant, error) {
	keys := []string{secretPrefix + string(ref)} // also if no listing shows it
	for in, err := range k.versions(ctx, secretPrefix+labelOf(ref)+".") {
		if err != nil {
			return nil, err
		}
		if len(keys) < maxSweep && !slices.Contains(keys, in.Key) {
			keys = append(keys, in.Key)
		}
	}
	var err error
	for range attempts {
		var remnants []backends.Remnant
		remnants, err = k.store.Erase(ctx, keys...)
		if err == nil {
			return slices.DeleteFunc(remnants, func(r backends.Remnant) bool { return r.Key != keys[0] }), nil
		}
		if !errors.Is(err, backends.Indeterminate) {
			break
		}
	}
	return nil, storeError(ctx, err)
}

// latest returns when the last lock on what is left ends, or zero where that is
// not known.
func latest(left remains, remnants []backends.Remnant) time.Time {
	until := left.until
	for _, r := range remnants {
		if r.Until.IsZero() {
			return time.Time{}
		}
		if r.Until.After(until) {
			until = r.Until
		}
	}
	return until
}

func date(t time.Time) string {
	if t.IsZero() {
		return "an unknown date"
	}
	return t.UTC().Format(time.RFC3339)
}
