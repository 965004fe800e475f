package object

import (
	"context"
	"fmt"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
)

// UnfitError says why a store is refused as a keeper. It is a custody.ErrUnfit.
type UnfitError struct {
	Reasons []string // in words, for a person; not empty
}

func (e *UnfitError) Error() string {
	return fmt.Sprintf("%v: %s", custody.ErrUnfit, strings.Join(e.Reasons, "; "))
}

// Unwrap returns custody.ErrUnfit.
func (e *UnfitError) Unwrap() error { return custody.ErrUnfit }

// Fit judges the capabilities of a store: an [UnfitError] if a key that is
// erased there might not be gone.
func Fit(c backends.Capabilities) error {
	reasons := c.Refusals()
	if c.Versioned {
		reasons = append(reasons, "it keeps old versions of objects: erased keys could come back (switch versioning off, in a bucket that never had it)")
	}
	if c.Locked {
		reasons = append(reasons, "a default retention or object lock would keep destroyed keys")
	}
	reasons = append(reasons, copies(c)...)
	if len(reasons) > 0 {
		return &UnfitError{reasons}
	}
	return nil
}

// copies are the reasons why an object may live on although no listing of
// versions shows it.
func copies(c backends.Capabilities) (reasons []string) {
	if c.SoftDelete {
		reasons = append(reasons, "deletions leave something that can be recovered")
	}
	if c.Replicated {
		reasons = append(reasons, "copies of objects go elsewhere, where this keeper cannot erase them")
	}
	if !c.EraseWorks {
		reasons = append(reasons, "an erased object can still be read or listed")
	}
	return reasons
}

// measure probes the store once in the life of k.
func (k *Keeper) measure(ctx context.Context) (backends.Capabilities, error) {
	k.mu.Lock()
	known := k.measured
	k.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	c, err := k.store.Probe(ctx)
	if err != nil {
		return c, fmt.Errorf("measure what the store does with erased objects: %w", storeError(ctx, err))
	}
	k.mu.Lock()
	k.measured = &c
	k.mu.Unlock()
	return c, nil
}
