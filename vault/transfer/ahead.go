package transfer

import (
	"context"
	"iter"
	"sync"
)

// ahead calls do for each item, up to n+1 at once, and yields the results in the
// order of the items. The first error, of an item or of do, is yielded and ends
// it; so does the end of ctx. When it returns all its goroutines have.
func ahead[I, O any](ctx context.Context, n int, items iter.Seq2[I, error], do func(context.Context, I) (O, error)) iter.Seq2[O, error] {
	type result struct {
		v   O
		err error
	}
	return func(yield func(O, error) bool) {
		outer := ctx
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		futures := make(chan chan result, n)
		wg.Go(func() {
			defer close(futures)
			for item, err := range items {
				future := make(chan result, 1)
				select {
				case futures <- future:
				case <-ctx.Done():
					return
				}
				if err != nil {
					future <- result{err: err}
					return
				}
				wg.Go(func() {
					v, err := do(ctx, item)
					future <- result{v, err}
				})
			}
		})
		for future := range futures {
			r := <-future
			if !yield(r.v, r.err) || r.err != nil {
				return
			}
		}
		if outer.Err() != nil {
			var none O
			yield(none, context.Cause(outer))
		}
	}
}
