package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// target is a file that a pull writes.
type target struct {
	pull    *pull
	path    string
	mode    manifest.Mode
	size    int64
	sum     canonical.Digest
	temp    string
	wasFree bool
	near    *nearby // where some of its bytes may be found; may be nil

	// Of dispatch alone: what it has handed out, in the order of the file up to
	// planned, and beyond that.
	planned int64
	early   map[int64]int64

	make    sync.Once
	makeErr error

	mu     sync.Mutex
	hash   hash.Hash
	hashed int64                   // up to here
	parked map[int64]int64         // written before its turn: offset and length
	turns  map[int64]chan struct{} // closed when hashed gets there
}

func newTarget(p *pull, e *manifest.Entry, s *standing) *target {
	t := &target{pull: p, path: e.Path, mode: e.Mode, size: e.Size, sum: e.SHA256, temp: p.dest.temporary(), wasFree: p.next != nil || s == nil || s.free}
	if s != nil {
		t.near = s.near
	}
	return t
}

func (t *target) verify(sum canonical.Digest) error {
	if sum != t.sum {
		return fmt.Errorf("%q: %w: its SHA-256 is %s, not %s", t.path, ErrIntegrity, sum, t.sum)
	}
	return nil
}

// reserve notes that a piece is handed out, and reports whether all before it
// was handed out earlier: only then may it wait for its turn.
func (t *target) reserve(at, n int64) bool {
	if at != t.planned {
		if t.early == nil {
			t.early = make(map[int64]int64)
		}
		t.early[at] = n
		return false
	}
	for ok := true; ok; n, ok = t.early[t.planned] {
		delete(t.early, t.planned)
		t.planned += n
	}
	return true
}

// whole writes the file in one go.
func (t *target) whole(ctx context.Context, data []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := t.verify(canonical.Sum(data)); err != nil {
		return err
	}
	if err := t.create(); err != nil {
		return err
	}
	f, err := t.pull.dest.write(t.temp, data, 0, t.size)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return t.publish(int64(len(data)))
}

// create makes the file, with room for all of it.
func (t *target) create() error {
	t.make.Do(func() {
		f, err := t.pull.dest.root.OpenFile(t.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm(t.mode))
		if err != nil {
			t.makeErr = err
			return
		}
		if t.size > smallFile {
			err = preallocate(f, t.size)
		}
		if t.makeErr = errors.Join(err, f.Close()); t.makeErr != nil {
			t.makeErr = fmt.Errorf("making room for %q: %w", t.path, t.makeErr)
		}
	})
	return t.makeErr
}

func (t *target) publish(written int64) error {
	if err := t.pull.publish(t); err != nil {
		return err
	}
	t.pull.meter.add(Progress{Files: 1, Bytes: written})
	return nil
}

// piece writes a part of the file; the last one completes it. One that is in
// turn waits until all before it was hashed, so that its bytes are hashed where
// they are. Any other is hashed from the file when its turn has come.
func (t *target) piece(ctx context.Context, data []byte, at int64, inTurn bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := t.create(); err != nil {
		return err
	}
	f, err := t.pull.dest.write(t.temp, data, at, t.size)
	if err != nil {
		return err
	}
	if inTurn {
		err = t.wait(ctx, at)
	}
	if err == nil {
		err = t.digest(ctx, f, data, at)
	}
	return errors.Join(err, f.Close())
}

// wait returns when everything before at was hashed.
func (t *target) wait(ctx context.Context, at int64) error {
	t.mu.Lock()
	if t.hashed == at {
		t.mu.Unlock()
		return nil
	}
	if t.turns == nil {
		t.turns = make(map[int64]chan struct{})
	}
	turn := make(chan struct{})
	t.turns[at] = turn
	t.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// digest adds data to the file's hash if it is its turn, and then what was
// written before its turn, from the file.
func (t *target) digest(ctx context.Context, f *os.File, data []byte, at int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hash == nil {
		t.hash, t.parked = sha256.New(), make(map[int64]int64)
	}
	if at != t.hashed {
		t.parked[at] = int64(len(data))
		t.pull.meter.add(Progress{Bytes: int64(len(data))})
		return nil
	}
	t.hash.Write(data)
	t.hashed += int64(len(data))
	for {
		n, ok := t.parked[t.hashed]
		if !ok {
			break
		}
		delete(t.parked, t.hashed)
		if err := t.readBack(ctx, f, n); err != nil {
			return err
		}
	}
	if turn, ok := t.turns[t.hashed]; ok {
		delete(t.turns, t.hashed)
		close(turn)
	}
	if t.hashed < t.size {
		t.pull.meter.add(Progress{Bytes: int64(len(data))})
		return nil
	}
	if err := t.verify(canonical.Digest(t.hash.Sum(nil))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return t.publish(int64(len(data)))
}

// readBack adds the next n bytes of the file to its hash.
func (t *target) readBack(ctx context.Context, f *os.File, n int64) error {
	back := untilDone{ctx, io.NewSectionReader(f, t.hashed, n)}
	got, err := io.CopyBuffer(struct{ io.Writer }{t.hash}, back, make([]byte, 256<<10))
	if err != nil || got != n {
		return errors.Join(fmt.Errorf("reading %d of %d bytes of %q back", got, n, t.path), err)
	}
	t.hashed += n
	return nil
}
