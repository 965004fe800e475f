package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault/entry"
)

const (
	minPause = 200 * time.Millisecond
	maxPause = 5 * time.Second
	// maxVanished bounds how often a slot may be taken and empty at once before it is called blocked.
	maxVanished = 4
)

// Append puts e, which must follow log's head, into its slot. seal seals the
// object to the vault's metadata identity; it is called once: a retry sends the
// same bytes, and what is found in the slot is compared with them. Append
// returns the log with e at its head. A store that gives no clear answer is
// asked again until ctx ends or, in one piece, for Stall.
//
// ErrLost: another writer's object stands there; read again and build the entry
// anew, under the number it then gets. Any other error leaves it open whether
// the entry stands; the next Read tells, by the entry's operation id.
func (j *Journal) Append(ctx context.Context, log *Log, e *entry.Entry, seal func(plain []byte) ([]byte, error)) (*Log, error) {
	var prev *entry.Entry
	if n := len(log.Entries); n > 0 {
		prev = log.Entries[n-1]
	}
	if err := j.Follows(e, prev); err != nil {
		return nil, fmt.Errorf("appending entry %d to %s: %w", e.Seq, j.Prefix, err)
	}
	entries := append(log.Entries[:len(log.Entries):len(log.Entries)], e)
	sealed, err := seal(encodeObject(entries))
	if err != nil {
		return nil, fmt.Errorf("sealing entry %d: %w", e.Seq, err)
	}
	key := j.key(e.Seq)
	if j.Stall > 0 {
		stalled := fmt.Errorf("no clear answer from the store for %v: %w", j.Stall, backends.Unavailable)
		limited, cancel := context.WithTimeoutCause(ctx, j.Stall, stalled)
		defer cancel()
		ctx = limited
	}
	vanished := 0
	for attempt := 0; ; attempt++ {
		_, err := j.Store.Put(ctx, key, sealed)
		if err == nil {
			return &Log{Entries: entries, Junk: log.Junk}, nil
		}
		if !inDoubt(err) {
			return nil, fmt.Errorf("appending entry %d: %w", e.Seq, err)
		}
		there, getErr := j.get(ctx, key)
		switch {
		case getErr == nil && bytes.Equal(there, sealed):
			return &Log{Entries: entries, Junk: log.Junk}, nil
		case getErr == nil:
			return nil, fmt.Errorf("appending entry %d to %s: %w", e.Seq, j.Prefix, ErrLost)
		case errors.Is(getErr, backends.NotExist):
			if errors.Is(err, backends.Exists) {
				if vanished++; vanished == maxVanished {
					return nil, fmt.Errorf("%w: %s can neither be written nor read: a delete marker stands there; erase it with all its versions", ErrJunk, key)
				}
			}
		case !errors.Is(getErr, backends.Unavailable) && !errors.Is(getErr, backends.Indeterminate):
			return nil, fmt.Errorf("appending entry %d: %w", e.Seq, errors.Join(err, getErr))
		}
		if waitErr := Pause(ctx, attempt); waitErr != nil {
			return nil, fmt.Errorf("appending entry %d: %w", e.Seq, errors.Join(waitErr, err))
		}
	}
}

// inDoubt reports whether the object may stand in the store after this error,
// or may be put there by trying again.
func inDoubt(err error) bool {
	for _, k := range []backends.Kind{backends.Exists, backends.Indeterminate, backends.Unavailable} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// Pause waits before another attempt: full jitter (Brooker, "Exponential Backoff
// And Jitter"), doubling from 200 ms to at most 5 s. Long pauses cost a lone
// writer little and let a crowd drain: what a lost slot costs is four requests.
func Pause(ctx context.Context, attempt int) error { return PauseAfter(ctx, attempt, 0) }

// PauseAfter is Pause for whoever lost a slot in an attempt that took so long.
// Where an attempt takes long, so do those of everybody else, and what would be
// room for a crowd on a quick machine or link is none: the pauses grow with it.
func PauseAfter(ctx context.Context, attempt int, took time.Duration) error {
	limit := min(max(minPause, 4*took)<<min(attempt, 5), max(maxPause, took<<6))
	t := time.NewTimer(rand.N(limit) + time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
