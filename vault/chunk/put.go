package chunk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aivault/aivault/backends"
)

// maxVanished bounds how often a key may be taken and empty at once.
const maxVanished = 4

// Put stores sealed under key, a key that no other bytes have a right to: one
// with a random part, or the name of a chunk. If the store gives no clear answer
// the key is read: there, byte for byte, is success; absent, the same bytes are
// sent again, until ctx ends or nothing has succeeded for stall (0: no limit).
//
// ErrIntegrity: other bytes stand there. Other errors are the store's; it is
// then unknown whether the object stands.
func Put(ctx context.Context, store backends.Store, key string, sealed []byte, stall time.Duration) error {
	b := backoff{stall: stall}
	defer b.stop()
	for vanished := 0; ; {
		_, err := store.Put(ctx, key, sealed)
		if err == nil {
			return nil
		}
		taken := errors.Is(err, backends.Exists)
		switch {
		case b.stalled(err): // a look would take as long again
		case taken, errors.Is(err, backends.Indeterminate):
			same, readErr := holds(ctx, store, key, sealed)
			switch {
			case readErr == nil && same:
				return nil
			case readErr == nil:
				return fmt.Errorf("storing %s: %w: other bytes stand there", key, ErrIntegrity)
			case errors.Is(readErr, backends.NotExist):
				if taken {
					if vanished++; vanished == maxVanished {
						return fmt.Errorf("storing %s: it can neither be written nor read, as under a delete marker: %w", key, err)
					}
				}
			case !transient(readErr):
				return fmt.Errorf("storing %s: %w; reading it back: %w", key, err, readErr)
			}
		case !transient(err):
			return fmt.Errorf("storing %s: %w", key, err)
		}
		if err := b.pause(ctx, err); err != nil {
			return fmt.Errorf("storing %s: %w", key, err)
		}
	}
}

// holds reports whether key holds exactly want.
func holds(ctx context.Context, store backends.Store, key string, want []byte) (same bool, err error) {
	r, _, err := store.Get(ctx, backends.Ref{Key: key}, 0, -1)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if n > len(want) || !bytes.Equal(buf[:n], want[:n]) {
			return false, nil
		}
		want = want[n:]
		if err == io.EOF {
			return len(want) == 0, nil
		}
		if err != nil {
			return false, err
		}
	}
}
