package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// attempts bounds how often a step that others undid is begun again.
const attempts = 8

// Create implements [custody.Keeper]. The key's file gets its name by a hard
// link, which fails if the name exists, only once its bytes are durable.
func (k *Keeper) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	fail := func(err error) (custody.KeyRef, error) {
		return "", fmt.Errorf("create key %s: %w", label, err)
	}
	if err := custody.CheckLabel(label); err != nil {
		return fail(err)
	}
	d, err := k.session(ctx)
	if err != nil {
		return fail(err)
	}
	defer d.close()
	for range attempts {
		e, err := k.look(d, label)
		switch {
		case err != nil:
			return fail(err)
		case e.dead():
			return fail(custody.ErrDestroyed)
		case e.damaged != nil:
			return fail(e.damaged)
		case e.key != nil:
			// Whoever linked it may have died before making the name durable.
			if err := d.sync(); err != nil {
				return fail(ioError(err))
			}
			return e.ref, nil
		}
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		if err := linkNew(d, label); err != nil {
			return fail(ioError(err))
		}
	}
	return fail(fmt.Errorf("lost its file %d times: %w", attempts, custody.ErrUnavailable))
}

// linkNew draws a key and gives its file the label's name, unless somebody else
// was first or swept the temporary file away: the caller looks again.
func linkNew(d disk, label string) error {
	key, err := keyfile.NewKey(label)
	if err != nil {
		return err
	}
	b, name := key.Encode(), temporary(label, newSuffix)
	defer clear(b)
	if err := d.write(name, b); err != nil {
		return err
	}
	err = d.link(name, label+keySuffix)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, ignoreNotExist(d.remove(name)))
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
