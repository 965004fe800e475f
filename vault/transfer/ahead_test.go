package transfer

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func numbers(n int, end error) func(func(int, error) bool) {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if end != nil {
			yield(0, end)
		}
	}
}

func TestAheadKeepsOrder(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		var running, most atomic.Int64
		want := 0
		for v, err := range ahead(t.Context(), n, numbers(50, nil), func(_ context.Context, i int) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Duration(50-i) * 10 * time.Microsecond)
			running.Add(-1)
			return i, nil
		}) {
			if err != nil || v != want {
				t.Fatalf("%d, %v where %d belongs", v, err, want)
			}
			want++
		}
		if want != 50 || most.Load() > int64(n+1) {
			t.Errorf("%d results, %d at once", want, most.Load())
		}
	}
}

func TestAheadEnds(t *testing.T) {
	broken := errors.New("broken")
	same := func(_ context.Context, i int) (int, error) { return i, nil }
	collect := func(ctx context.Context, items func(func(int, error) bool), do func(context.Context, int) (int, error)) (n int, last error) {
		for _, err := range ahead(ctx, 3, items, do) {
			if last = err; err == nil {
				n++
			}
		}
		return n, last
	}
	if n, err := collect(t.Context(), numbers(5, broken), same); n != 5 || !errors.Is(err, broken) {
		t.Errorf("items: %d, %v", n, err)
	}
	if n, err := collect(t.Context(), numbers(50, nil), func(_ context.Context, i int) (int, error) {
		if i == 7 {
			return 0, broken
		}
		return i, nil
	}); n != 7 || !errors.Is(err, broken) {
		t.Errorf("do: %d, %v", n, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if n, err := collect(ctx, numbers(50, nil), func(_ context.Context, i int) (int, error) {
		if i == 7 {
			cancel(broken)
		}
		return i, nil
	}); n == 50 || !errors.Is(err, broken) {
		t.Errorf("ctx: %d, %v", n, err)
	}
	for v := range ahead(t.Context(), 3, numbers(50, nil), func(ctx context.Context, i int) (int, error) {
		if i > 0 {
			<-ctx.Done() // only the end of the loop ends it
		}
		return i, ctx.Err()
	}) {
		if v != 0 {
			t.Errorf("%d", v)
		}
		break
	}
}
