package object

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// entry is what the store says of a label. Its zero value: nothing.
type entry struct {
	ref     custody.KeyRef
	key     *keyfile.Key // nil where damaged
	made    time.Time    // of the pointer
	dead    bool         // there is a tombstone
	died    time.Time    // of the tombstone
	damaged error        // why there is no key, though the label is not dead
}

func (e *entry) exists() bool { return e.ref != "" || e.damaged != nil }

// mayBe says that the label's key is ref, or that damage hides which it is.
func (e *entry) mayBe(ref custody.KeyRef) bool { return e.damaged != nil || e.ref == ref }

// look reads what there is under a label. The tombstone is read last: a secret
// that is missing, or that was there a moment ago, is judged by it. Where there
// is nothing it makes sure that this is still the keeper.
func (k *Keeper) look(ctx context.Context, label string) (*entry, error) {
	e := new(entry)
	b, in, err := k.get(ctx, pointerPrefix+label)
	switch {
	case errors.Is(err, backends.NotExist):
	case err != nil:
		return nil, storeError(ctx, err)
	default:
		e.made = in.Modified
		if e.ref, err = keyfile.ParsePointer(b); err != nil || labelOf(e.ref) != label {
			e.ref, e.damaged = "", fmt.Errorf("object %s: %w", in.Key, custody.ErrCorrupt)
			break
		}
		if e.key, err = k.secret(ctx, e.ref); errors.Is(err, custody.ErrCorrupt) {
			e.damaged = err
		} else if err != nil {
			return nil, err
		}
	}

	b, in, err = k.get(ctx, tombstonePrefix+label)
	switch {
	case errors.Is(err, backends.NotExist):
		if e.exists() {
			return e, nil
		}
		return e, k.confirm(ctx)
	case err != nil:
		return nil, storeError(ctx, err)
	}
	ref, err := keyfile.ParseTombstone(b)
	if err != nil || labelOf(ref) != label || e.damaged == nil && e.ref != "" && e.ref != ref {
		return nil, fmt.Errorf("object %s: %w", in.Key, custody.ErrCorrupt)
	}
	e.ref, e.dead, e.died, e.key, e.damaged = ref, true, in.Modified, nil, nil
	return e, nil
}

// secret reads a key. What is missing or is another key is custody.ErrCorrupt,
// unless a tombstone says why.
func (k *Keeper) secret(ctx context.Context, ref custody.KeyRef) (*keyfile.Key, error) {
	b, in, err := k.get(ctx, secretPrefix+string(ref))
	if errors.Is(err, backends.NotExist) {
		return nil, fmt.Errorf("object %s%s is lost: %w", secretPrefix, ref, custody.ErrCorrupt)
	}
	if err != nil {
		return nil, storeError(ctx, err)
	}
	defer clear(b)
	key, err := keyfile.ParseKey(b)
	if err != nil || key.Ref() != ref {
		return nil, fmt.Errorf("object %s: %w", in.Key, custody.ErrCorrupt)
	}
	return key, nil
}

func labelOf(ref custody.KeyRef) string {
	label, _ := keyfile.Label(ref)
	return label
}

// find looks for the key that ref names and no other.
func (k *Keeper) find(ctx context.Context, ref custody.KeyRef) (*entry, error) {
	label, ok := keyfile.Label(ref)
	if !ok {
		if err := k.confirm(ctx); err != nil {
			return nil, err
		}
		return nil, custody.ErrNotFound
	}
	e, err := k.look(ctx, label)
	switch {
	case err != nil:
		return nil, err
	case !e.mayBe(ref):
		return nil, custody.ErrNotFound
	case e.damaged != nil:
		return nil, e.damaged
	}
	return e, nil
}

// versions lists what there is of objects whose key begins with prefix, markers
// aside.
func (k *Keeper) versions(ctx context.Context, prefix string) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		for in, err := range k.store.List(ctx, prefix, backends.ListOptions{Versions: true}) {
			if err != nil {
				yield(in, storeError(ctx, err))
				return
			}
			if !in.Marker && !yield(in, nil) {
				return
			}
		}
	}
}

// Status implements [custody.Keeper]. A destruction that is not acknowledged is
// Pending, until a lock on what is left ends, or without a date if Destroy needs
// only to be repeated.
func (k *Keeper) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	fail := func(err error) (custody.KeyStatus, error) {
		return custody.KeyStatus{}, fmt.Errorf("status of key %s: %w", ref, err)
	}
	if err := custody.CheckRef(ref); err != nil {
		return fail(err)
	}
	s := custody.KeyStatus{Ref: ref}
	e, err := k.find(ctx, ref)
	if errors.Is(err, custody.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return fail(err)
	}
	s.Label = labelOf(ref)
	if !e.dead {
		s.State, s.Since = custody.Alive, e.made
		return s, nil
	}
	d, err := k.acknowledged(ctx, ref)
	if err != nil {
		return fail(err)
	}
	left, err := k.left(ctx, ref)
	if err != nil {
		return fail(err)
	}
	if d != nil && left.n == 0 {
		s.State, s.Since = custody.Destroyed, d.At
	} else {
		s.State, s.Until = custody.Pending, left.until
	}
	return s, nil
}

// List implements [custody.Keeper], with two requests a key. Damaged keys do not
// hide the others: one error at the end counts them and names the first.
func (k *Keeper) List(ctx context.Context, labelPrefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		fail := func(err error) { yield("", fmt.Errorf("list keys %s*: %w", labelPrefix, err)) }
		if err := custody.CheckLabelPrefix(labelPrefix); err != nil {
			fail(err)
			return
		}
		if err := k.confirm(ctx); err != nil {
			fail(err)
			return
		}
		damaged, firstDamaged := 0, error(nil)
		for in, err := range k.store.List(ctx, pointerPrefix+labelPrefix, backends.ListOptions{}) {
			if err != nil {
				fail(storeError(ctx, err))
				return
			}
			b, _, err := k.get(ctx, in.Key)
			if err != nil {
				fail(storeError(ctx, err))
				return
			}
			ref, err := keyfile.ParsePointer(b)
			if err != nil || pointerPrefix+labelOf(ref) != in.Key {
				if damaged++; firstDamaged == nil {
					firstDamaged = fmt.Errorf("object %s: %w", in.Key, custody.ErrCorrupt)
				}
				continue
			}
			if !yield(ref, nil) {
				return
			}
		}
		if firstDamaged != nil {
			fail(fmt.Errorf("%d objects are damaged, the first: %w", damaged, firstDamaged))
		}
	}
}
