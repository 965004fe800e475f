package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aivault/aivault/backends"
)

func cancelChecks() []check {
	return []check{
		{"cancel-put", "A cancelled Put is Indeterminate, or Unavailable if certainly not applied; the key is absent or complete.", cancelPut},
		{"cancel-get", "Get observes ctx: a cancelled one fails, and a cut-off read never looks like the end of the object.", cancelGet},
		{"cancel-list", "List observes ctx: a cancelled listing ends in an error, never as if it were complete.", cancelList},
		{"cancel-erase", "Erase observes ctx: called with one that has ended, it fails.", cancelErase},
	}
}

func cancelPut(ctx context.Context, b *bench) error {
	body := random(2 << 20)
	for i, after := range []time.Duration{-1, 0, 20 * time.Microsecond, 200 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond} {
		name := fmt.Sprintf("k%d", i)
		cctx, cancel := context.WithCancel(ctx)
		var timer *time.Timer
		if after < 0 {
			cancel()
		} else {
			timer = time.AfterFunc(after, cancel)
		}
		_, err := b.Put(cctx, b.key(name), body)
		if timer != nil {
			timer.Stop()
		}
		cancel()
		if after < 0 && err == nil {
			return errors.New("put with a context that had ended: no error")
		}
		got, _, rerr := b.read(ctx, backends.Ref{Key: b.key(name)}, 0, -1)
		complete, absent := rerr == nil && bytes.Equal(got, body), errors.Is(rerr, backends.NotExist)
		switch {
		case rerr == nil && !complete:
			return fmt.Errorf("after a cancelled put: %s", difference(got, body))
		case !complete && !absent:
			return fmt.Errorf("after a cancelled put: get: %w", rerr)
		case err == nil && !complete:
			return errors.New("put returned nil and the key is absent")
		case err == nil:
			continue
		case !errors.Is(err, context.Canceled):
			return fmt.Errorf("cancelled put: error %q is not context.Canceled", err)
		case errors.Is(err, backends.Unavailable) && complete:
			return fmt.Errorf("put said that it was certainly not applied (%w), yet the object is there", err)
		}
		if err := wantKind("cancelled put", err, backends.Indeterminate, backends.Unavailable); err != nil {
			return err
		}
	}
	return nil
}

func cancelGet(ctx context.Context, b *bench) error {
	body := random(2 << 20)
	if _, err := b.put(ctx, "k", body); err != nil {
		return err
	}
	cctx, cancel := context.WithCancel(ctx)
	cancel()
	_, _, err := b.read(cctx, backends.Ref{Key: b.key("k")}, 0, -1)
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("get with a context that had ended: error %v is not context.Canceled", err)
	}

	cctx, cancel = context.WithCancel(ctx)
	defer cancel()
	r, _, err := b.Get(cctx, backends.Ref{Key: b.key("k")}, 0, -1)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	defer r.Close()
	got := make([]byte, 1000)
	if _, err := io.ReadFull(r, got); err != nil {
		return fmt.Errorf("reading the first bytes: %w", err)
	}
	cancel()
	rest, err := io.ReadAll(r)
	got = append(got, rest...)
	if !bytes.HasPrefix(body, got) {
		return errors.New("a cancelled read gave wrong bytes")
	}
	if err == nil && len(got) != len(body) {
		return fmt.Errorf("a cancelled read ended cleanly after %d of %d bytes", len(got), len(body))
	}
	return nil
}

func cancelList(ctx context.Context, b *bench) error {
	names := []string{"a", "b", "c/a", "c/b", "d/a", "e"}
	if err := b.putAll(ctx, names...); err != nil {
		return err
	}
	cctx, cancel := context.WithCancel(ctx)
	cancel()
	if got, err := b.names(cctx, "", backends.ListOptions{}); !errors.Is(err, context.Canceled) || len(got) > 0 {
		return fmt.Errorf("listing with a context that had ended: %q, error %v is not context.Canceled", got, err)
	}
	for after := range len(names) - 1 {
		if err := cancelListAfter(ctx, b, after); err != nil {
			return fmt.Errorf("cancelled at result %d: %w", after, err)
		}
	}
	return nil
}

// cancelListAfter cancels a listing at result n, and wants an error next.
func cancelListAfter(ctx context.Context, b *bench, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	i := -1
	for in, err := range b.List(ctx, b.prefix, backends.ListOptions{}) {
		switch i++; {
		case i > n && !errors.Is(err, context.Canceled):
			return fmt.Errorf("the listing went on with %q and error %v", in.Key, err)
		case i > n:
			return nil
		case err != nil:
			return fmt.Errorf("list: %w", err)
		case i == n:
			cancel()
		}
	}
	return errors.New("the listing ended as if it were complete")
}

func cancelErase(ctx context.Context, b *bench) error {
	if err := b.putAll(ctx, "k"); err != nil {
		return err
	}
	cctx, cancel := context.WithCancel(ctx)
	cancel()
	_, err := b.Erase(cctx, b.key("k"))
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("erase with a context that had ended: error %v is not context.Canceled", err)
	}
	return wantKind("cancelled erase", err, backends.Indeterminate, backends.Unavailable)
}
