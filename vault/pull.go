package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// PullOptions narrows a pull, and says how what stands in its way goes.
type PullOptions struct {
	Include []string          // globs: only what they select
	Exclude []string          // globs: not what they select
	Force   bool              // replace what is in the way, whose ever it is
	Labels  map[string]string // for the receipt: pod, node, job
	Link    bool              // the destination is a link, switched from one tree to the next
	// Forensic reads a version in quarantine by a permit, and leaves a receipt
	// whatever policy says and this machine has left before.
	Forensic bool
	// Tensors are names, or patterns: these tensors alone, as one file,
	// transfer.TensorFile. Then there is no Link, Before or After.
	Tensors []string
	// Before and After are called before the destination changes and after it
	// did, if it does; either may be nil. An error of Before stops the pull, with
	// nothing changed; one of After is returned, and nothing is taken back.
	Before, After func(context.Context, PullSwap) error
}

// PullSwap is what a pull does to a destination.
type PullSwap struct {
	Ref    string
	Digest canonical.Digest
	transfer.Swap
}

// PullResult is what a pull brought.
type PullResult struct {
	Artefact  string
	Version   int
	Digest    canonical.Digest
	Files     int64
	Bytes     int64 // of those files
	Kept      int64 // of those, bytes that stood there already
	Reused    int64 // of those, bytes that the destination held under other names or in older files
	Fetched   int64 // bytes of stored objects that were fetched for files
	Swapped   bool  // a whole tree took the place of the one before
	Changed   bool
	Receipt   string     // what became of the receipt: ReceiptLeft …
	Parts     []PartInfo // of a system, each in a directory of its name
	Head      ledger.Pin
	Freshness string
}

// Pull copies a version into the directory dest, as transfer.Version.Pull does.
// Files get their names only once they verified. Of a system its own files come
// there, and those of each part into a directory of its name: one tree, which is
// exchanged as one.
//
// Errors: ErrNotFound, ErrEmptyMain; ErrDestroyed, ErrRefused, also for a
// quarantine without a permit; ErrIntegrity,
// which names object and file; ErrOverwrite, ErrNoExchange, ErrNotLink, ErrName,
// ErrChanged, of dest; ErrNotPermitted for a member that is no reader; ErrNoTensor; those of
// storage, keeper, Before and After.
func (v *Vault) Pull(ctx context.Context, ref Ref, dest string, o PullOptions) (*PullResult, error) {
	if len(o.Tensors) > 0 && (o.Link || o.Before != nil || o.After != nil) {
		return nil, errors.New("a pull of tensors switches no link and has no hooks")
	}
	l, a, cv, err := v.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	members, err := v.members(ctx, l, a, cv)
	if err != nil {
		return nil, err
	}
	check := checkUsable
	if o.Forensic {
		check = v.checkForensic
	}
	if err := usable(members, check); err != nil {
		return nil, err
	}
	left, err := v.leaveReceipts(ctx, members, o)
	if err != nil {
		return nil, fmt.Errorf("pulling %s: %w", cv.Ref(a.Name), err)
	}
	placed, err := v.placed(ctx, members, v.session.Store)
	if err != nil {
		return nil, fmt.Errorf("pulling %s: %w", cv.Ref(a.Name), err)
	}
	hook := func(f func(context.Context, PullSwap) error) func(context.Context, transfer.Swap) error {
		if f == nil {
			return nil
		}
		return func(ctx context.Context, s transfer.Swap) error {
			return f(ctx, PullSwap{Ref: cv.Ref(a.Name), Digest: cv.Digest, Swap: s})
		}
	}
	var done *transfer.Pulled
	if len(o.Tensors) > 0 {
		done, err = placed[0].Version.PullTensors(ctx, dest, transfer.TensorOptions{Names: o.Tensors, Include: o.Include, Exclude: o.Exclude, Force: o.Force, Progress: v.config.Progress})
	} else {
		done, err = transfer.Pull(ctx, dest, placed, transfer.PullOptions{Include: o.Include, Exclude: o.Exclude, Force: o.Force, Link: o.Link,
			Before: hook(o.Before), After: hook(o.After), Progress: v.config.Progress})
	}
	if err != nil {
		return nil, fmt.Errorf("pulling %s: %w", cv.Ref(a.Name), err)
	}
	v.keep()
	return &PullResult{Artefact: a.Name, Version: cv.Number, Digest: cv.Digest, Files: done.Files, Bytes: done.Bytes, Kept: done.KeptBytes,
		Reused: done.Reused, Fetched: done.Fetched, Swapped: done.Swapped, Changed: done.Changed, Receipt: left, Parts: partsOf(members), Head: pinOf(a), Freshness: v.freshness(a.ID.String())}, nil
}

// leaveReceipts leaves a receipt of each version that is about to be read, after
// it has made sure that it may be.
func (v *Vault) leaveReceipts(ctx context.Context, members []member, o PullOptions) (string, error) {
	for _, m := range members {
		if err := v.checkFresh(m.artefact.ID.String(), m.ref()); err != nil {
			return "", err
		}
	}
	out := ""
	for _, m := range members {
		left, err := v.leaveReceipt(ctx, m.artefact, m.version, o.Labels, o.Forensic)
		if err != nil {
			return "", err
		}
		if out == "" || left == ReceiptFailed {
			out = left
		}
	}
	return out, nil
}

// openVersion opens the manifest of a version: by way of the keeper, the epoch,
// the row and the readers' generation.
func (v *Vault) openVersion(ctx context.Context, l *ledger.Artefact, a *state.Artefact, cv *state.CommittedVersion, store backends.Store) (*transfer.Version, error) {
	source, err := v.openSource(ctx, l, a, cv, store)
	if err != nil {
		return nil, err
	}
	return transfer.Open(ctx, source)
}

// openSource opens the keys of a version, and reads nothing of it.
func (v *Vault) openSource(ctx context.Context, l *ledger.Artefact, a *state.Artefact, cv *state.CommittedVersion, store backends.Store) (transfer.Source, error) {
	keepers, err := v.connect(ctx)
	if err != nil {
		return transfer.Source{}, err
	}
	key, err := v.ring(l, store, keepers).OpenVersion(ctx, a, cv)
	if err != nil {
		return transfer.Source{}, keyError(a, cv, err)
	}
	return v.source(a, cv, key, store)
}

// keyError gives the errors of the key layer their names here.
func keyError(a *state.Artefact, cv *state.CommittedVersion, err error) error {
	switch {
	case errors.Is(err, custody.ErrDestroyed):
		if use := checkUsable(a.Name, cv); use != nil {
			return errors.Join(use, err)
		}
		return fmt.Errorf("the keeper has destroyed the key of the current epoch, and no disposal says so: %w: %w", ErrIntegrity, err)
	case errors.Is(err, keyring.ErrNoReader):
		return fmt.Errorf("%w: %w", ErrNotPermitted, err)
	case errors.Is(err, keyring.ErrIntegrity):
		return fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	return err
}
