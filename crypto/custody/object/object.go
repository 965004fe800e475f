// Package object is a keeper in a store of objects: what several machines share
// that have no KMS. It belongs in another bucket than the vault's, under another
// credential (crypto/custody/FORMAT.md §6 has the objects and the order of
// writes).
//
// Nothing is overwritten, and nothing that was erased can be put again by a
// request that a network held up: a key's material has a name that only one
// request was ever sent for, and is used only if that request was answered.
package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
)

// kind is this keeper's in profiles and in instance ids.
const kind = "object"

const (
	instanceKey     = "keeper"
	pointerPrefix   = "k/" // + label: which key the label has; for ever
	secretPrefix    = "s/" // + ref: the key; erased by Destroy
	tombstonePrefix = "t/" // + label: the key is dead; for ever
	donePrefix      = "d/" // + label: nothing is left of it; for ever
)

// attempts bounds how often a request without a clear answer is repeated.
const attempts = 3

// Keeper is a store of keys; see [custody.Keeper]. All its times are the
// storage's.
type Keeper struct {
	store    backends.Store
	instance string

	mu       sync.Mutex
	measured *backends.Capabilities // once a Destroy needed them
}

var _ custody.Keeper = (*Keeper)(nil)

// Init makes an empty store a keeper, or opens the one that is there. It probes
// the store first, and refuses it as an [UnfitError].
func Init(ctx context.Context, store backends.Store) (*Keeper, error) {
	k := &Keeper{store: store}
	caps, err := store.Probe(ctx)
	if err != nil {
		return nil, fmt.Errorf("make keeper: %w", storeError(ctx, err))
	}
	if err := Fit(caps); err != nil {
		return nil, fmt.Errorf("make keeper: %w", err)
	}
	keys := false // asked first: a keeper is named before it has keys
	for _, err := range store.List(ctx, pointerPrefix, backends.ListOptions{Limit: 1}) {
		if err != nil {
			return nil, fmt.Errorf("make keeper: %w", storeError(ctx, err))
		}
		keys = true
	}
	if _, _, err := k.get(ctx, instanceKey); errors.Is(err, backends.NotExist) {
		if keys {
			return nil, fmt.Errorf("make keeper: the store holds keys, but the object %s is lost: %w", instanceKey, custody.ErrCorrupt)
		}
		if _, err := k.settle(ctx, instanceKey, keyfile.EncodeInstance(keyfile.NewInstance(kind))); err != nil {
			return nil, fmt.Errorf("make keeper: %w", err)
		}
	}
	return Open(ctx, store)
}

// Open opens a keeper that Init made. It only reads, hence does not probe: what
// the store has become since, Destroy measures before it acknowledges anything.
// custody.ErrUnavailable: there is no keeper in the store.
func Open(ctx context.Context, store backends.Store) (*Keeper, error) {
	k := &Keeper{store: store}
	var err error
	if k.instance, err = k.readInstance(ctx); err != nil {
		return nil, fmt.Errorf("open keeper: %w", err)
	}
	return k, nil
}

func (k *Keeper) readInstance(ctx context.Context) (string, error) {
	b, _, err := k.get(ctx, instanceKey)
	if errors.Is(err, backends.NotExist) {
		return "", fmt.Errorf("the store has no object %s, so it is no keeper or not the one that should be there: %w", instanceKey, custody.ErrNoKeeper)
	}
	if err != nil {
		return "", storeError(ctx, err)
	}
	id, err := keyfile.ParseInstance(b, kind)
	if err != nil {
		return "", fmt.Errorf("object %s: %w: %w", instanceKey, custody.ErrCorrupt, err)
	}
	return id, nil
}

// confirm makes sure that the store is still this keeper. Without it, a store
// that is empty for a wrong reason would say that keys never were.
func (k *Keeper) confirm(ctx context.Context) error {
	id, err := k.readInstance(ctx)
	if err == nil && id != k.instance {
		err = fmt.Errorf("the store was keeper %s and is %s now: %w", k.instance, id, custody.ErrUnavailable)
	}
	return err
}

// get reads a small object. Errors are the store's.
func (k *Keeper) get(ctx context.Context, key string) ([]byte, backends.Info, error) {
	r, in, err := k.store.Get(ctx, backends.Ref{Key: key}, 0, -1)
	if err != nil {
		return nil, in, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, keyfile.MaxFile+1))
	return b, in, err
}

// settle puts an object that is never erased and returns what stands under its
// key from then on, body or another's. Errors have their kind.
func (k *Keeper) settle(ctx context.Context, key string, body []byte) ([]byte, error) {
	var last error
	for range attempts {
		_, err := k.store.Put(ctx, key, body)
		if err == nil {
			return body, nil
		}
		if !errors.Is(err, backends.Exists) && !errors.Is(err, backends.Indeterminate) {
			return nil, storeError(ctx, err)
		}
		last = err
		b, _, err := k.get(ctx, key)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, backends.NotExist) {
			return nil, storeError(ctx, err)
		}
	}
	return nil, storeError(ctx, last)
}

// storeError gives an error of the store its kind.
func storeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	kind := custody.ErrUnavailable
	var detail *backends.Error
	switch {
	case errors.As(err, &detail) && detail.RetryAfter > 0:
		return &custody.RateLimit{RetryAfter: detail.RetryAfter, Err: err}
	case errors.Is(err, backends.Denied):
		kind = custody.ErrDenied
	case errors.Is(err, backends.Corrupt):
		kind = custody.ErrCorrupt
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// Profile implements [custody.Keeper].
func (k *Keeper) Profile(ctx context.Context) (custody.Profile, error) {
	if err := k.confirm(ctx); err != nil {
		return custody.Profile{}, fmt.Errorf("profile: %w", err)
	}
	return custody.Profile{
		Instance: k.instance, Kind: kind,
		Algorithm: keyfile.Algorithm, Strength: keyfile.Strength, PostQuantum: true,
		KeyThroughHost: true, BackupRetention: "unknown",
		Notes: []string{
			"Key material passes through the memory of each client that wraps or unwraps.",
			"Whoever may read the keeper's bucket has its keys.",
			"Copies that the storage provider keeps of erased objects without reporting them are unknown to this keeper.",
		},
	}, nil
}
