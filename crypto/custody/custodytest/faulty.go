package custodytest

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/aivault/aivault/crypto/custody"
)

// Op names a method of a keeper.
type Op string

// The methods of a keeper, each spelled in lower case.
const (
	OpCreate  Op = "create"
	OpWrap    Op = "wrap"
	OpUnwrap  Op = "unwrap"
	OpDestroy Op = "destroy"
	OpStatus  Op = "status"
	OpList    Op = "list"
	OpProfile Op = "profile"
)

// Call is one call of a keeper's method.
type Call struct {
	N     int64 // counts all calls, from 1
	Op    Op
	Label string         // of Create; the prefix of List
	Ref   custody.KeyRef // of the others, but for Profile
}

// Fault is what goes wrong with a call.
type Fault uint8

const (
	NoFault    Fault = iota
	FailBefore       // fails, without effect
	FailAfter        // takes effect, then fails
	HangBefore       // waits until ctx is done, without effect
	HangAfter        // takes effect, then waits until ctx is done
)

// Faulty is a keeper that fails as told. Its errors are custody.ErrUnavailable,
// or that of the context where it hangs.
type Faulty struct {
	keeper custody.Keeper
	inject func(Call) Fault
	calls  atomic.Int64
}

// NewFaulty returns k with faults. inject is called once a call, before it, and
// must be safe for concurrent use.
func NewFaulty(k custody.Keeper, inject func(Call) Fault) *Faulty {
	return &Faulty{keeper: k, inject: inject}
}

// Calls returns the number of calls so far.
func (f *Faulty) Calls() int64 { return f.calls.Load() }

func call[T any](f *Faulty, ctx context.Context, c Call, do func() (T, error)) (T, error) {
	var zero T
	c.N = f.calls.Add(1)
	fault := f.inject(c)
	what := fmt.Sprintf("%s %s%s: injected fault (call %d)", c.Op, c.Label, c.Ref, c.N)
	switch fault {
	case FailBefore:
		return zero, fmt.Errorf("%s: %w", what, custody.ErrUnavailable)
	case HangBefore:
		<-ctx.Done()
		return zero, fmt.Errorf("%s: %w", what, ctx.Err())
	}
	v, err := do()
	switch {
	case err != nil:
		return v, err
	case fault == FailAfter:
		return zero, fmt.Errorf("%s: %w", what, custody.ErrUnavailable)
	case fault == HangAfter:
		<-ctx.Done()
		return zero, fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return v, nil
}

// Create implements [custody.Keeper].
func (f *Faulty) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	return call(f, ctx, Call{Op: OpCreate, Label: label}, func() (custody.KeyRef, error) { return f.keeper.Create(ctx, label) })
}

// Wrap implements [custody.Keeper].
func (f *Faulty) Wrap(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	return call(f, ctx, Call{Op: OpWrap, Ref: ref}, func() ([]byte, error) { return f.keeper.Wrap(ctx, ref, context, secret) })
}

// Unwrap implements [custody.Keeper].
func (f *Faulty) Unwrap(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	return call(f, ctx, Call{Op: OpUnwrap, Ref: ref}, func() ([]byte, error) { return f.keeper.Unwrap(ctx, ref, context, wrapped) })
}

// Destroy implements [custody.Keeper].
func (f *Faulty) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	return call(f, ctx, Call{Op: OpDestroy, Ref: ref}, func() (custody.Destruction, error) { return f.keeper.Destroy(ctx, ref) })
}

// Status implements [custody.Keeper].
func (f *Faulty) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	return call(f, ctx, Call{Op: OpStatus, Ref: ref}, func() (custody.KeyStatus, error) { return f.keeper.Status(ctx, ref) })
}

// List implements [custody.Keeper]. A fault after the effect comes after the
// last key.
func (f *Faulty) List(ctx context.Context, labelPrefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		stopped := false
		_, err := call(f, ctx, Call{Op: OpList, Label: labelPrefix}, func() (struct{}, error) {
			for ref, err := range f.keeper.List(ctx, labelPrefix) {
				if err != nil {
					return struct{}{}, err
				}
				if stopped = !yield(ref, nil); stopped {
					break
				}
			}
			return struct{}{}, nil
		})
		if err != nil && !stopped {
			yield("", err)
		}
	}
}

// Profile implements [custody.Keeper].
func (f *Faulty) Profile(ctx context.Context) (custody.Profile, error) {
	return call(f, ctx, Call{Op: OpProfile}, func() (custody.Profile, error) { return f.keeper.Profile(ctx) })
}
