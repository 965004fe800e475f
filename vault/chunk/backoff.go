package chunk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aivault/aivault/backends"
)

const (
	minPause = 20 * time.Millisecond
	maxPause = 5 * time.Second
)

// backoff paces the attempts at one object: full jitter (Brooker, "Exponential
// Backoff And Jitter"), doubling from minPause to maxPause, or as long as the
// store asks for. It gives up once stall has passed since the first failure, or
// when an attempt on which nothing moved took that long by itself: the store
// bounds attempts, by the bytes that move.
type backoff struct {
	stall   time.Duration // 0: as long as ctx
	attempt int
	over    *time.Timer
}

// pause waits before another attempt after err. What it returns wraps err.
func (b *backoff) pause(ctx context.Context, err error) error {
	var over <-chan time.Time
	if b.stall > 0 {
		if b.over == nil {
			b.over = time.NewTimer(b.stall)
		}
		over = b.over.C
	}
	limit := maxPause
	if b.attempt < 8 {
		limit = min(maxPause, minPause<<b.attempt)
	}
	b.attempt++
	wait := rand.N(limit) + time.Millisecond
	if b.stalled(err) {
		return fmt.Errorf("no progress for %v: %w", b.stall, err)
	}
	var asked *backends.Error
	if errors.As(err, &asked) {
		wait = max(wait, asked.RetryAfter)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	case <-over:
		return fmt.Errorf("no answer from the store for %v: %w", b.stall, err)
	case <-t.C:
		return nil
	}
}

// stalled reports whether err took as long as all attempts together may.
func (b *backoff) stalled(err error) bool {
	var e *backends.Error
	return b.stall > 0 && errors.As(err, &e) && e.Stalled
}

func (b *backoff) stop() {
	if b.over != nil {
		b.over.Stop()
	}
}

// transient reports whether the same call may do better.
func transient(err error) bool {
	return errors.Is(err, backends.Unavailable) || errors.Is(err, backends.Indeterminate)
}
