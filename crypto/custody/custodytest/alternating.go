package custodytest

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/aivault/aivault/crypto/custody"
)

// Alternating is a keeper that spreads its calls over several openings of one
// keeper, as its users do who run in several processes.
type Alternating struct {
	keepers []custody.Keeper
	calls   atomic.Uint32
}

// NewAlternating returns a keeper over one or more openings.
func NewAlternating(keepers ...custody.Keeper) *Alternating { return &Alternating{keepers: keepers} }

func (a *Alternating) next() custody.Keeper {
	return a.keepers[a.calls.Add(1)%uint32(len(a.keepers))]
}

// Create implements [custody.Keeper].
func (a *Alternating) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	return a.next().Create(ctx, label)
}

// Wrap implements [custody.Keeper].
func (a *Alternating) Wrap(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	return a.next().Wrap(ctx, ref, context, secret)
}

// Unwrap implements [custody.Keeper].
func (a *Alternating) Unwrap(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	return a.next().Unwrap(ctx, ref, context, wrapped)
}

// Destroy implements [custody.Keeper].
func (a *Alternating) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	return a.next().Destroy(ctx, ref)
}

// Status implements [custody.Keeper].
func (a *Alternating) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	return a.next().Status(ctx, ref)
}

// List implements [custody.Keeper].
func (a *Alternating) List(ctx context.Context, labelPrefix string) iter.Seq2[custody.KeyRef, error] {
	return a.next().List(ctx, labelPrefix)
}

// Profile implements [custody.Keeper].
func (a *Alternating) Profile(ctx context.Context) (custody.Profile, error) {
	return a.next().Profile(ctx)
}
