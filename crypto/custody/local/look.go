package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

const (
	keySuffix       = ".key"       // the key, then its tombstone
	destroyedSuffix = ".destroyed" // the acknowledgement
)

// Temporary names are "." LABEL "." RANDOM and one of these.
const (
	newSuffix = ".new" // a key being made; secret
	oldSuffix = ".old" // a second name of a key being destroyed; secret
	endSuffix = ".end" // a tombstone or acknowledgement being made
)

func temporary(label, suffix string) string { return "." + label + "." + keyfile.RandomHex() + suffix }

// labelOf returns the label of a name that is not temporary.
func labelOf(name string) (label string, ok bool) {
	label, found := strings.CutSuffix(name, keySuffix)
	if !found {
		label, found = strings.CutSuffix(name, destroyedSuffix)
	}
	return label, found && custody.CheckLabel(label) == nil
}

// entry is what the directory says of a label. Its zero value: nothing.
type entry struct {
	ref       custody.KeyRef
	key       *keyfile.Key // usable unless dead
	made      time.Time    // modification time of the key file
	tombstone bool         // stands in place of the key
	ack       *keyfile.Acknowledgement
	evidence  []byte // the bytes of ack
	damaged   error  // the key file is neither key nor tombstone; ref is then empty
}

func (e *entry) exists() bool { return e.ref != "" || e.damaged != nil }

// dead says that the key must never be used again, even if its bytes are back.
func (e *entry) dead() bool { return e.tombstone || e.ack != nil }

// gone says that nothing is left of a key.
func (e *entry) gone() bool { return e.ack != nil && e.key == nil && e.damaged == nil }

// look reads what there is under a label. The acknowledgement is read first:
// it is written last.
func (k *Keeper) look(d disk, label string) (*entry, error) {
	e := new(entry)
	b, _, err := d.read(label + destroyedSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("file %s%s: %w", label, destroyedSuffix, ioError(err))
	default:
		ack, err := keyfile.ParseAcknowledgement(b)
		if got, _ := keyfile.Label(ack.Ref); err != nil || got != label || ack.Instance != k.instance || ack.At.IsZero() {
			return nil, fmt.Errorf("file %s%s: %w", label, destroyedSuffix, custody.ErrCorrupt)
		}
		e.ack, e.evidence, e.ref = &ack, b, ack.Ref
	}

	err = e.readKey(d, label)
	if e.damaged != nil {
		// Perhaps its bytes were read while they were being overwritten. The
		// tombstone stands in their place by then.
		err = e.readKey(d, label)
	}
	if err != nil {
		return nil, fmt.Errorf("file %s%s: %w", label, keySuffix, ioError(err))
	}
	return e, nil
}

// readKey reads the key file, which may not exist, into e.
func (e *entry) readKey(d disk, label string) error {
	e.key, e.tombstone, e.damaged = nil, false, nil
	b, made, err := d.read(label + keySuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, custody.ErrCorrupt):
		e.damaged = err
		return nil
	case err != nil:
		return err
	}
	ref, err := keyfile.ParseTombstone(b)
	tombstone := err == nil
	var key *keyfile.Key
	if !tombstone {
		if key, err = keyfile.ParseKey(b); err == nil {
			ref = key.Ref()
		}
	}
	if got, _ := keyfile.Label(ref); err != nil || got != label || e.ack != nil && e.ref != ref {
		e.damaged = fmt.Errorf("file %s%s: neither the key nor the tombstone of this label: %w", label, keySuffix, custody.ErrCorrupt)
		return nil
	}
	e.ref, e.key, e.made, e.tombstone = ref, key, made, tombstone
	return nil
}

// find looks for the key that ref names and no other.
func (k *Keeper) find(d disk, ref custody.KeyRef) (*entry, error) {
	label, ok := keyfile.Label(ref)
	if !ok {
		return nil, custody.ErrNotFound
	}
	e, err := k.look(d, label)
	switch {
	case err != nil:
		return nil, err
	case e.damaged != nil && !e.dead():
		return nil, e.damaged
	case e.ref != ref:
		return nil, custody.ErrNotFound
	}
	return e, nil
}

// Status implements [custody.Keeper]. A destruction that was interrupted is
// Pending without a date: Destroy finishes it.
func (k *Keeper) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	fail := func(err error) (custody.KeyStatus, error) {
		return custody.KeyStatus{}, fmt.Errorf("status of key %s: %w", ref, err)
	}
	if err := custody.CheckRef(ref); err != nil {
		return fail(err)
	}
	d, err := k.session(ctx)
	if err != nil {
		return fail(err)
	}
	defer d.close()
	s := custody.KeyStatus{Ref: ref}
	e, err := k.find(d, ref)
	if errors.Is(err, custody.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return fail(err)
	}
	s.Label, _ = keyfile.Label(ref)
	switch {
	case !e.dead():
		s.State, s.Since = custody.Alive, e.made
	case e.gone():
		s.State, s.Since = custody.Destroyed, e.ack.At
	default:
		s.State = custody.Pending
	}
	return s, nil
}

// List implements [custody.Keeper]. Damaged keys do not hide the others: one
// error at the end counts them and names the first.
func (k *Keeper) List(ctx context.Context, labelPrefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		fail := func(err error) { yield("", fmt.Errorf("list keys %s*: %w", labelPrefix, err)) }
		if err := custody.CheckLabelPrefix(labelPrefix); err != nil {
			fail(err)
			return
		}
		d, err := k.session(ctx)
		if err != nil {
			fail(err)
			return
		}
		defer d.close()
		damaged, firstDamaged := 0, error(nil)
		for name, err := range d.names() {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				fail(err)
				return
			}
			label, ok := labelOf(name)
			if !ok || !strings.HasPrefix(label, labelPrefix) {
				continue
			}
			e, err := k.look(d, label)
			if err == nil && e.damaged != nil && !e.dead() {
				err = e.damaged
			}
			if errors.Is(err, custody.ErrCorrupt) {
				if damaged++; firstDamaged == nil {
					firstDamaged = err
				}
				continue
			}
			if err != nil {
				fail(err)
				return
			}
			// Of a label's two names the key file counts, if it is there.
			counts := strings.HasSuffix(name, keySuffix) || e.key == nil && !e.tombstone && e.damaged == nil
			if counts && !yield(e.ref, nil) {
				return
			}
		}
		if firstDamaged != nil {
			fail(fmt.Errorf("%d files are damaged, the first: %w", damaged, firstDamaged))
		}
	}
}
