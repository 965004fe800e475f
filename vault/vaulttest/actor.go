package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
)

// Fate is what becomes of a call of an actor.
type Fate uint8

const (
	Pass      Fate = iota
	Lost           // not applied, and the caller learns only that it failed
	Kept           // applied, and the caller learns only that it failed
	Crash          // not applied; the caller dies
	CrashKept      // applied; the caller dies
	Part           // erase: half of the keys, and the caller learns only that it failed
	CrashPart      // erase: half of the keys; the caller dies
	Corrupt        // put: with a bit flipped, and the caller learns nothing of it
)

// Call is a call of a store or keeper that waits for its fate.
type Call struct {
	Op   string // a method, in lower case
	Key  string // key or prefix, label or ref
	Body []byte // of a put

	fate chan Fate
}

// Actor runs code one call of a store or keeper at a time: each waits until
// Proceed says what becomes of it. Between calls the code runs alone, so a test
// with any number of actors is a sequence of steps that it chooses. The code
// must not make two calls at once. Without code that runs, calls pass.
type Actor struct {
	Name string
	Err  error // of the code that ran last
	// Pending is the call that waits, or nil if no code runs.
	Pending *Call

	calls  chan *Call
	done   chan error
	cancel context.CancelFunc
	runs   bool
	dead   bool
}

// NewActor returns an actor on which nothing runs.
func NewActor(name string) *Actor {
	return &Actor{Name: name, calls: make(chan *Call), done: make(chan error)}
}

// ErrCrashed is the cause of errors that a crashed actor sees.
var ErrCrashed = errors.New("actor crashed")

// Start runs code until its first call, or its end.
func (a *Actor) Start(ctx context.Context, code func(context.Context) error) {
	if a.runs {
		panic("actor " + a.Name + " is busy")
	}
	ctx, a.cancel = context.WithCancel(ctx)
	a.runs, a.dead, a.Err = true, false, nil
	go func() { a.done <- code(ctx) }()
	a.wait()
}

func (a *Actor) wait() {
	select {
	case a.Pending = <-a.calls:
	case a.Err = <-a.done:
		a.Pending, a.runs = nil, false
		a.cancel()
	}
}

// Proceed decides about the pending call, and runs the code until its next one, or its end.
func (a *Actor) Proceed(f Fate) {
	c := a.Pending
	a.Pending = nil
	c.fate <- f
	a.wait()
}

// Crashed reports whether the code that ran last was cut off.
func (a *Actor) Crashed() bool { return a.dead }

// ask waits for the fate of a call. apply, which may be nil, is what it does.
func (a *Actor) ask(ctx context.Context, op, key string, body []byte, apply func(Fate) error) error {
	if !a.runs {
		return apply(Pass)
	}
	if a.dead {
		return fmt.Errorf("%s %s: %w", op, key, errors.Join(ErrCrashed, context.Canceled))
	}
	c := &Call{Op: op, Key: key, Body: body, fate: make(chan Fate)}
	a.calls <- c
	f := <-c.fate
	var err error
	switch f {
	case Pass, Corrupt:
		return apply(f)
	case Kept, CrashKept, Part, CrashPart:
		err = apply(f)
	}
	if f == Crash || f == CrashKept || f == CrashPart {
		a.dead = true
		a.cancel()
		return fmt.Errorf("%s %s: %w", op, key, errors.Join(ErrCrashed, context.Canceled))
	}
	if err != nil {
		return err
	}
	return errDoubt
}

var errDoubt = errors.New("no clear answer")

// Store returns s as the actor sees it.
func (a *Actor) Store(s backends.Store) backends.Store { return &actorStore{a, s} }

type actorStore struct {
	actor *Actor
	store backends.Store
}

func (s *actorStore) ask(ctx context.Context, op, key string, body []byte, apply func(Fate) error) error {
	err := s.actor.ask(ctx, op, key, body, apply)
	kind := backends.Unavailable
	if op == "put" || op == "erase" {
		kind = backends.Indeterminate
	}
	if err == errDoubt || errors.Is(err, ErrCrashed) {
		return &backends.Error{Op: op, Key: key, Kind: kind, Err: err}
	}
	return err
}

func (s *actorStore) Put(ctx context.Context, key string, body []byte) (info backends.Info, err error) {
	err = s.ask(ctx, "put", key, body, func(f Fate) (err error) {
		if f == Corrupt && !s.stands(ctx, key) { // what is refused is not garbled
			body = bytes.Clone(body)
			body[len(body)/2] ^= 0x10
		}
		info, err = s.store.Put(context.WithoutCancel(ctx), key, body)
		return err
	})
	return info, err
}

// stands reports whether an object has the key already.
func (s *actorStore) stands(ctx context.Context, key string) bool {
	r, _, err := s.store.Get(ctx, backends.Ref{Key: key}, 0, 0)
	if err == nil {
		r.Close()
	}
	return !errors.Is(err, backends.NotExist)
}

func (s *actorStore) Get(ctx context.Context, ref backends.Ref, off, n int64) (r io.ReadCloser, info backends.Info, err error) {
	err = s.ask(ctx, "get", ref.Key, nil, func(Fate) (err error) {
		r, info, err = s.store.Get(ctx, ref, off, n)
		return err
	})
	return r, info, err
}

// List takes what there is at the moment the call proceeds.
func (s *actorStore) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		var all []backends.Info
		err := s.ask(ctx, "list", prefix, nil, func(Fate) error {
			for info, err := range s.store.List(ctx, prefix, o) {
				if err != nil {
					return err
				}
				all = append(all, info)
			}
			return nil
		})
		if err != nil {
			yield(backends.Info{}, err)
			return
		}
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (s *actorStore) Erase(ctx context.Context, keys ...string) (rem []backends.Remnant, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	err = s.ask(ctx, "erase", keys[0], nil, func(f Fate) (err error) {
		if f == Part || f == CrashPart {
			keys = keys[:(len(keys)+1)/2]
		}
		rem, err = s.store.Erase(context.WithoutCancel(ctx), keys...)
		return err
	})
	return rem, err
}

func (s *actorStore) Probe(ctx context.Context) (backends.Capabilities, error) {
	return s.store.Probe(ctx)
}

// Keeper returns k as the actor sees it.
func (a *Actor) Keeper(k custody.Keeper) custody.Keeper { return &actorKeeper{a, k} }

type actorKeeper struct {
	actor  *Actor
	keeper custody.Keeper
}

func ask[T any](k *actorKeeper, ctx context.Context, op, key string, do func(context.Context) (T, error)) (out T, err error) {
	err = k.actor.ask(ctx, op, key, nil, func(Fate) (err error) {
		out, err = do(context.WithoutCancel(ctx))
		return err
	})
	if err == errDoubt || errors.Is(err, ErrCrashed) {
		var zero T
		return zero, fmt.Errorf("%s %s: %w: %w", op, key, custody.ErrUnavailable, err)
	}
	return out, err
}

func (k *actorKeeper) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	return ask(k, ctx, "create", label, func(ctx context.Context) (custody.KeyRef, error) { return k.keeper.Create(ctx, label) })
}

func (k *actorKeeper) Wrap(ctx context.Context, ref custody.KeyRef, context_ [32]byte, secret []byte) ([]byte, error) {
	return ask(k, ctx, "wrap", string(ref), func(ctx context.Context) ([]byte, error) { return k.keeper.Wrap(ctx, ref, context_, secret) })
}

func (k *actorKeeper) Unwrap(ctx context.Context, ref custody.KeyRef, context_ [32]byte, wrapped []byte) ([]byte, error) {
	return ask(k, ctx, "unwrap", string(ref), func(ctx context.Context) ([]byte, error) { return k.keeper.Unwrap(ctx, ref, context_, wrapped) })
}

func (k *actorKeeper) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	return ask(k, ctx, "destroy", string(ref), func(ctx context.Context) (custody.Destruction, error) { return k.keeper.Destroy(ctx, ref) })
}

func (k *actorKeeper) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	return ask(k, ctx, "status", string(ref), func(ctx context.Context) (custody.KeyStatus, error) { return k.keeper.Status(ctx, ref) })
}

func (k *actorKeeper) List(ctx context.Context, prefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		all, err := ask(k, ctx, "keys", prefix, func(ctx context.Context) (out []custody.KeyRef, err error) {
			for ref, err := range k.keeper.List(ctx, prefix) {
				if err != nil {
					return nil, err
				}
				out = append(out, ref)
			}
			return out, nil
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, ref := range all {
			if !yield(ref, nil) {
				return
			}
		}
	}
}

func (k *actorKeeper) Profile(ctx context.Context) (custody.Profile, error) {
	return k.keeper.Profile(ctx)
}
