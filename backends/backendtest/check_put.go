package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aivault/aivault/backends"
)

func putChecks() []check {
	return []check{
		{"put-once", "A second Put of a key is refused with Exists, also with equal bytes, and changes nothing.", putOnce},
		{"put-race", "Of writers racing for one key exactly one succeeds, all others get Exists, and the content is the winner's.", putRace},
		{"put-atomic", "A reader during a Put sees all of the object or nothing of it.", putAtomic},
		{"put-body", "Put neither changes the caller's slice nor keeps it.", putBody},
		{"put-info", "Put returns the key and the size of what it stored, as Get does.", putInfo},
		{"put-empty", "An object of zero bytes can be put, read and listed.", putEmpty},
		{"put-largest", "An object of MaxObject bytes can be put, read and listed.", putLargest},
		{"put-too-large", "A body of more than MaxObject bytes is refused with Invalid and nothing is stored.", putTooLarge},
	}
}

func putOnce(ctx context.Context, b *bench) error {
	first := []byte("first")
	if _, err := b.put(ctx, "k", first); err != nil {
		return err
	}
	for _, second := range [][]byte{[]byte("other"), first, []byte("a longer one"), nil} {
		_, err := b.Put(ctx, b.key("k"), second)
		if err := wantKind(fmt.Sprintf("second put, of %q over %q", second, first), err, backends.Exists); err != nil {
			return err
		}
	}
	return b.expect(ctx, "k", first)
}

// racers is how many writers compete for one key.
const racers = 64

func putRace(ctx context.Context, b *bench) error {
	bodies, errs := make([][]byte, racers), make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		bodies[i] = bytes.Repeat([]byte{byte(i + 1)}, 16<<10+i)
		wg.Go(func() {
			<-start
			// A server that is overrun may ask a writer to come again.
			for range 5 {
				if _, errs[i] = b.Put(ctx, b.key("k"), bodies[i]); !errors.Is(errs[i], backends.Unavailable) {
					return
				}
			}
		})
	}
	close(start)
	wg.Wait()

	winner, won := -1, 0
	for i, err := range errs {
		if err == nil {
			winner, won = i, won+1
			continue
		}
		if err := wantKind(fmt.Sprintf("writer %d of %d", i, racers), err, backends.Exists); err != nil {
			return err
		}
	}
	if won != 1 {
		return fmt.Errorf("%d of %d writers were told that they won, want 1", won, racers)
	}
	return b.expect(ctx, "k", bodies[winner])
}

func putAtomic(ctx context.Context, b *bench) error {
	body := random(2 << 20)
	for round := range 3 {
		name := fmt.Sprintf("k%d", round)
		done := make(chan struct{})
		errs := make(chan error, 4)
		var wg sync.WaitGroup
		for range cap(errs) {
			wg.Go(func() { errs <- watch(ctx, b, name, body, done) })
		}
		_, err := b.put(ctx, name, body)
		close(done)
		wg.Wait()
		close(errs)
		for e := range errs {
			err = errors.Join(err, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// watch reads and lists name until done is closed, and once more.
func watch(ctx context.Context, b *bench, name string, body []byte, done <-chan struct{}) error {
	for last := false; ; {
		select {
		case <-done:
			last = true
		default:
		}
		infos, err := b.list(ctx, name, backends.ListOptions{})
		if err != nil {
			return err
		}
		if len(infos) > 1 || len(infos) == 1 && infos[0].Size != int64(len(body)) {
			return fmt.Errorf("listing during a put of %d bytes: %+v", len(body), infos)
		}
		err = b.expect(ctx, name, body)
		if err != nil && (last || len(infos) == 1 || !errors.Is(err, backends.NotExist)) {
			return fmt.Errorf("during a put: %w", err)
		}
		if last {
			return nil
		}
	}
}

func putBody(ctx context.Context, b *bench) error {
	body := random(100 << 10)
	want := bytes.Clone(body)
	if _, err := b.put(ctx, "k", body); err != nil {
		return err
	}
	if !bytes.Equal(body, want) {
		return errors.New("the caller's slice was changed by Put")
	}
	clear(body)
	return b.expect(ctx, "k", want)
}

func putInfo(ctx context.Context, b *bench) error {
	for _, size := range []int{0, 1, 1000} {
		name := fmt.Sprintf("k%d", size)
		in, err := b.put(ctx, name, random(size))
		if err != nil {
			return err
		}
		if in.Key != b.key(name) || in.Size != int64(size) || in.Marker {
			return fmt.Errorf("put of %d bytes as %s returned %+v", size, b.key(name), in)
		}
	}
	return nil
}

func putEmpty(ctx context.Context, b *bench) error {
	if _, err := b.put(ctx, "empty", []byte{}); err != nil {
		return err
	}
	if _, err := b.put(ctx, "nil", nil); err != nil {
		return err
	}
	infos, err := b.list(ctx, "", backends.ListOptions{})
	if err != nil {
		return err
	}
	if len(infos) != 2 || infos[0].Size != 0 || infos[1].Size != 0 {
		return fmt.Errorf("two empty objects are listed as %+v", infos)
	}
	return errors.Join(b.expect(ctx, "empty", nil), b.expect(ctx, "nil", nil))
}

func putLargest(ctx context.Context, b *bench) error {
	body := random(backends.MaxObject)
	if _, err := b.put(ctx, "k", body); err != nil {
		return err
	}
	infos, err := b.list(ctx, "", backends.ListOptions{})
	if err != nil {
		return err
	}
	if len(infos) != 1 || infos[0].Size != backends.MaxObject {
		return fmt.Errorf("an object of %d bytes is listed as %+v", backends.MaxObject, infos)
	}
	return b.expect(ctx, "k", body)
}

func putTooLarge(ctx context.Context, b *bench) error {
	_, err := b.Put(ctx, b.key("k"), make([]byte, backends.MaxObject+1))
	if err := wantKind("put of MaxObject+1 bytes", err, backends.Invalid); err != nil {
		return err
	}
	return b.absent(ctx, "k")
}
