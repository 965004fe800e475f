package disposal

import (
	"context"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
)

// unsure is a keeper that destroys, and afterwards says of a dead key no more
// than that this caller may not use it.
type unsure struct{ custody.Keeper }

func (k unsure) Unwrap(ctx context.Context, ref custody.KeyRef, bound [32]byte, wrapped []byte) ([]byte, error) {
	part, err := k.Keeper.Unwrap(ctx, ref, bound, wrapped)
	if err != nil {
		return nil, custody.ErrDenied
	}
	return part, nil
}

// revived is a keeper whose keys came back from a backup.
type revived struct {
	custody.Keeper
	backup custodytest.State
}

func (k revived) Unwrap(ctx context.Context, ref custody.KeyRef, bound [32]byte, wrapped []byte) ([]byte, error) {
	if part, err := k.backup.Unwrap(ref, bound, wrapped); err == nil {
		return part, nil
	}
	return k.Keeper.Unwrap(ctx, ref, bound, wrapped)
}
