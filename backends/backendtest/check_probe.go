package backendtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/aivault/aivault/backends"
)

func probeChecks() []check {
	return []check{
		{"probe-fit", "Probe measures that the store is fit for use.", probeFit},
		{"probe-clean", "Probe leaves nothing behind.", probeClean},
	}
}

func probeFit(ctx context.Context, b *bench) error {
	c, err := b.Probe(ctx)
	if err != nil {
		return err
	}
	if bad := c.Refusals(); len(bad) > 0 {
		return fmt.Errorf("unfit: %s (notes: %s)", strings.Join(bad, "; "), strings.Join(c.Notes, "; "))
	}
	return nil
}

func probeClean(ctx context.Context, b *bench) error {
	before, err := probeKeys(ctx, b)
	if err != nil {
		return err
	}
	c, err := b.Probe(ctx)
	if err != nil {
		return err
	}
	if c.Locked {
		return nil // a lock keeps what was written
	}
	after, err := probeKeys(ctx, b)
	if err != nil {
		return err
	}
	for ref := range after {
		if !before[ref] {
			return fmt.Errorf("probe left %s behind (version %q), or another probe is running", ref.Key, ref.Version)
		}
	}
	return nil
}

// probeKeys lists what lies below "probe/", other checks' objects excepted.
func probeKeys(ctx context.Context, b *bench) (map[backends.Ref]bool, error) {
	refs := make(map[backends.Ref]bool)
	for in, err := range b.List(ctx, "probe/", backends.ListOptions{Versions: true}) {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		if !strings.HasPrefix(in.Key, "probe/check-") {
			refs[in.Ref] = true
		}
	}
	return refs, nil
}
