package transit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/aivault/aivault/crypto/custody"
)

// Status implements [custody.Keeper].
func (k *Keeper) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	label, err := check(ctx, ref)
	s := custody.KeyStatus{Ref: ref}
	if errors.Is(err, custody.ErrNotFound) {
		return s, nil
	}
	if err == nil {
		err = k.status(ctx, label, &s)
	}
	if err != nil {
		return custody.KeyStatus{}, fmt.Errorf("status: %w", err)
	}
	return s, nil
}

func (k *Keeper) status(ctx context.Context, label string, s *custody.KeyStatus) error {
	key, there, err := k.look(ctx, keyName(label)) // first, as alive does
	if err != nil {
		return err
	}
	stone, dead, err := k.look(ctx, tombstoneName(label))
	if err != nil {
		return err
	}
	switch {
	case dead && there:
		s.Label, s.State = label, custody.Pending // until Destroy is repeated
		return nil
	case dead:
		s.Label, s.State = label, custody.Destroyed
		s.Since, err = stone.created()
	case there:
		s.Label, s.State = label, custody.Alive
		s.Since, err = key.created()
	}
	return err
}

// List implements [custody.Keeper].
func (k *Keeper) List(ctx context.Context, labelPrefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		err := errors.Join(ctx.Err(), custody.CheckLabelPrefix(labelPrefix))
		var out struct{ Keys []string }
		if err == nil {
			if _, err = k.c.call(ctx, "LIST", "keys", nil, &out); errors.Is(err, errAbsent) {
				err = fmt.Errorf("the keeper's instance is not there any more: %w", custody.ErrNoKeeper)
			}
		}
		if err != nil {
			yield("", fmt.Errorf("list keys: %w", err))
			return
		}
		seen := map[string]bool{}
		for _, name := range out.Keys {
			rest, ours := strings.CutPrefix(name, "aivault.")
			label, suffix, _ := strings.Cut(rest, ".")
			if !ours || suffix != "key" && suffix != "destroyed" || custody.CheckLabel(label) != nil || !strings.HasPrefix(label, labelPrefix) || seen[label] {
				continue
			}
			seen[label] = true
			if !yield(custody.KeyRef(label), nil) {
				return
			}
		}
	}
}
