package transit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aivault/aivault/crypto/custody"
)

// Destroy implements [custody.Keeper].
func (k *Keeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	label, err := check(ctx, ref)
	if err != nil {
		return custody.Destruction{}, fmt.Errorf("destroy: %w", err)
	}
	d, err := k.destroy(ctx, label)
	if err != nil {
		return custody.Destruction{}, fmt.Errorf("destroy %s: %w", ref, err)
	}
	return d, nil
}

func (k *Keeper) destroy(ctx context.Context, label string) (custody.Destruction, error) {
	var d custody.Destruction
	if err := k.alive(ctx, label); err != nil && !errors.Is(err, custody.ErrDestroyed) {
		return d, err
	}
	if _, err := k.c.call(ctx, http.MethodPost, "keys/"+tombstoneName(label), map[string]any{"type": algorithm}, nil); err != nil {
		return d, err
	}
	stone, there, err := k.look(ctx, tombstoneName(label))
	if err != nil {
		return d, err
	}
	at, terr := stone.created()
	if !there || terr != nil {
		return d, fmt.Errorf("the tombstone does not say since when it stands: %w", custody.ErrCorrupt)
	}
	if err := k.delete(ctx, label); err != nil {
		return d, err
	}
	evidence := fmt.Sprintf("transit destruction 1\ninstance: %s\nkey: %s\nat: %s\nnote: the key was deleted, and reading it is answered with status 404\n",
		k.instance, keyName(label), at.Format(time.RFC3339))
	return custody.Destruction{Ref: custody.KeyRef(label), State: custody.Destroyed, At: at, Evidence: []byte(evidence)}, nil
}

// delete deletes a label's key, and reads that it is gone.
func (k *Keeper) delete(ctx context.Context, label string) error {
	name := "keys/" + keyName(label)
	_, there, err := k.look(ctx, keyName(label))
	if err != nil || !there {
		return err
	}
	// Of two who delete at once, one may find no key any more.
	_, err = k.c.call(ctx, http.MethodPost, name+"/config", map[string]any{"deletion_allowed": true}, nil)
	if err == nil {
		_, err = k.c.call(ctx, http.MethodDelete, name, nil, nil)
	}
	if err != nil && !errors.Is(err, errRefused) && !errors.Is(err, errAbsent) {
		return err
	}
	_, there, lerr := k.look(ctx, keyName(label))
	if lerr == nil && there {
		lerr = errors.Join(fmt.Errorf("the key is still there: %w", custody.ErrUnavailable), err)
	}
	return lerr
}
