package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// Destroy implements [custody.Keeper]. In order, each step durable before the
// next: a second name for the key file; a tombstone renamed over the first,
// which is the moment of death; every secret file of the label overwritten and
// removed; the acknowledgement. Whoever repeats it begins where the other died.
//
// A damaged key file is destroyed by whoever names its label: it serves for
// nothing else.
func (k *Keeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	fail := func(err error) (custody.Destruction, error) {
		return custody.Destruction{}, fmt.Errorf("destroy key %s: %w", ref, err)
	}
	if err := custody.CheckRef(ref); err != nil {
		return fail(err)
	}
	d, err := k.session(ctx)
	if err != nil {
		return fail(err)
	}
	defer d.close()
	label, ok := keyfile.Label(ref)
	if !ok {
		return fail(custody.ErrNotFound)
	}
	for range attempts {
		e, err := k.look(d, label)
		switch {
		case err != nil:
			return fail(err)
		case !e.exists(), e.ref != "" && e.ref != ref:
			return fail(custody.ErrNotFound)
		case e.gone():
			// Whoever linked it may have died before making the name durable.
			if err := d.sync(); err != nil {
				return fail(ioError(err))
			}
			return custody.Destruction{Ref: ref, State: custody.Destroyed, At: e.ack.At, Evidence: e.evidence}, nil
		}
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		switch {
		case e.ack != nil:
			err = entombAgain(d, label, ref)
		case e.tombstone:
			err = k.finish(ctx, d, label, ref)
		default:
			err = entomb(d, label, ref)
		}
		if err != nil {
			return fail(ioError(err))
		}
	}
	return fail(fmt.Errorf("other processes keep making its files: %w", custody.ErrUnavailable))
}

// entomb replaces the key file by a tombstone, keeping a name on the file that
// is to be overwritten. Racing destroyers rename the same bytes.
func entomb(d disk, label string, ref custody.KeyRef) error {
	tombstone := temporary(label, endSuffix)
	if err := d.write(tombstone, keyfile.EncodeTombstone(ref)); err != nil {
		return err
	}
	err := d.link(label+keySuffix, temporary(label, oldSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		// A racing destroyer renamed its tombstone over the file whose name was just
		// looked up, and swept the file's other names. Nothing is left to keep a name on.
		return ignoreNotExist(d.remove(tombstone))
	}
	if err != nil {
		return err
	}
	if err := d.sync(); err != nil {
		return err
	}
	// A racing destroyer that has come further may have swept the tombstone away.
	return ignoreNotExist(d.rename(tombstone, label+keySuffix))
}

// entombAgain destroys a key whose bytes came back, from a backup, after its
// destruction was acknowledged. The label is dead whatever its key file holds,
// so that this can be overwritten where it stands.
func entombAgain(d disk, label string, ref custody.KeyRef) error {
	tombstone := temporary(label, endSuffix)
	if err := d.write(tombstone, keyfile.EncodeTombstone(ref)); err != nil {
		return err
	}
	if err := ignoreNotExist(d.shred(label + keySuffix)); err != nil {
		return err
	}
	return ignoreNotExist(d.rename(tombstone, label+keySuffix))
}

// finish does what is left once the tombstone stands.
func (k *Keeper) finish(ctx context.Context, d disk, label string, ref custody.KeyRef) error {
	// A tombstone that a loss of power takes back must not leave an overwritten
	// key in its place.
	if err := d.sync(); err != nil {
		return err
	}
	for range attempts {
		found, err := sweep(d, label)
		if err != nil {
			return err
		}
		if found == 0 {
			return k.acknowledge(d, label, ref)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// sweep overwrites and removes every temporary file of a label, and returns how
// many of them were secret. A tombstone is never overwritten: it may be the very
// file that stands in place of the key, caught by a racing destroyer's link.
func sweep(d disk, label string) (secrets int, err error) {
	var found []string // before anything is removed: that may upset a listing
	for name, err := range d.names() {
		if err != nil {
			return 0, err
		}
		if _, mine := temporaryOf(name, label); mine {
			found = append(found, name)
		}
	}
	for _, name := range found {
		if secret, _ := temporaryOf(name, label); secret && !isTombstone(d, name) {
			secrets++
			if err := ignoreNotExist(d.shred(name)); err != nil {
				return secrets, err
			}
		}
		if err := ignoreNotExist(d.remove(name)); err != nil {
			return secrets, err
		}
	}
	return secrets, nil
}

func isTombstone(d disk, name string) bool {
	b, _, err := d.read(name)
	if err != nil {
		return false
	}
	_, err = keyfile.ParseTombstone(b)
	return err == nil
}

// temporaryOf says whether name is a temporary one of label, and a secret.
func temporaryOf(name, label string) (secret, ok bool) {
	rest, ok := strings.CutPrefix(name, "."+label+".")
	if !ok {
		return false, false
	}
	random, suffix, _ := strings.Cut(rest, ".")
	switch "." + suffix {
	case newSuffix, oldSuffix:
		secret = true
	case endSuffix:
	default:
		return false, false
	}
	return secret, len(random) == 2*16
}

// acknowledge puts the record that nothing is left, unless it is there.
func (k *Keeper) acknowledge(d disk, label string, ref custody.KeyRef) error {
	ack := keyfile.Acknowledgement{
		Instance: k.instance, Ref: ref, At: k.now(),
		Notes: []string{"the key file was overwritten once and removed"},
	}
	name := temporary(label, endSuffix)
	if err := d.write(name, ack.Encode()); err != nil {
		return err
	}
	err := d.link(name, label+destroyedSuffix)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, ignoreNotExist(d.remove(name)))
}
