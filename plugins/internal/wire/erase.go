package wire

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/pluginv1"
)

// Erase implements [backends.Store].
func (s *Store) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	for _, key := range keys {
		if err := backends.CheckKey(key); err != nil {
			return nil, invalid("erase", key, err)
		}
	}
	var out []backends.Remnant
	for batch := range slices.Chunk(keys, eraseSize) {
		remnants, err := s.erase(ctx, batch)
		out = append(out, remnants...)
		if err != nil {
			return out, err
		}
	}
	if len(keys) > 0 {
		return out, nil
	}
	return nil, ctx.Err()
}

func (s *Store) erase(ctx context.Context, keys []string) (out []backends.Remnant, err error) {
	_, client, c, err := s.session(ctx, "erase", keys[0])
	if err != nil {
		return nil, err
	}
	defer c.end()
	defer func() {
		if err != nil {
			err = storeFailure(c, "erase", keys[0], backends.Indeterminate, err)
		}
	}()
	stream, err := client.Erase(c, &pluginv1.EraseRequest{Keys: keys})
	if err != nil {
		return nil, err
	}
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		c.await()
		if n := len(page.GetRemnants()); n == 0 || n > pageSize {
			return out, protocol("a page of %d remnants", n)
		}
		for _, m := range page.GetRemnants() {
			r, err := fromRemnant(m)
			if err == nil && !slices.Contains(keys, r.Key) {
				err = protocol("a remnant of %q, which was not to be erased", clean(r.Key))
			}
			if err != nil {
				return out, err
			}
			out = append(out, r)
		}
	}
}

func toRemnant(r backends.Remnant) *pluginv1.Remnant {
	return &pluginv1.Remnant{Ref: toRef(r.Ref), Until: toTime(r.Until), Why: clean(r.Why)}
}

func fromRemnant(m *pluginv1.Remnant) (backends.Remnant, error) {
	ref, err := fromRef(m.GetRef())
	if err != nil {
		return backends.Remnant{}, err
	}
	until, err := fromTime("until", m.GetUntil())
	if err != nil {
		return backends.Remnant{}, err
	}
	if _, err := texts("a remnant", []string{m.GetWhy()}); err != nil {
		return backends.Remnant{}, err
	}
	return backends.Remnant{Ref: ref, Until: until, Why: m.GetWhy()}, nil
}
