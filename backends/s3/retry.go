package s3

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	attempts  = 5
	firstWait = 100 * time.Millisecond
	longWait  = 5 * time.Second
)

// repeat runs op until it succeeds, fails for good, or has failed five times,
// with full jitter in between. Only for what is safe to repeat: never a put.
func (s *Store) repeat(ctx context.Context, op func() error) error {
	for n := 1; ; n++ {
		err := op()
		var f *failure
		if err == nil || n == attempts || ctx.Err() != nil || !errors.As(err, &f) || !f.transient() {
			return err
		}
		wait := rand.N(min(firstWait<<n, longWait))
		if f.retryAfter > 0 {
			wait += min(f.retryAfter, longWait)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return &failure{err: ctx.Err(), left: f.left}
		}
	}
}
