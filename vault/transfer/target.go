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

	mu     sync.Mutex
	hash   hash.Hash
	hashed int64           // up to here
	parked map[int64]int64 // written before its turn: offset and length
}

func newTarget(p *pull, e *manifest.Entry, wasFree bool) *target {
	return &target{pull: p, path: e.Path, mode: e.Mode, size: e.Size, sum: e.SHA256, temp: p.dest.temporary(), wasFree: wasFree}
}

func (t *target) verify(sum canonical.Digest) error {
	if sum != t.sum {
		return fmt.Errorf("%q: %w: its SHA-256 is %s, not %s", t.path, ErrIntegrity, sum, t.sum)
	}
	return nil
}

// whole writes the file in one go.
func (t *target) whole(ctx context.Context, data []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := t.verify(canonical.Sum(data)); err != nil {
		return err
	}
	f, err := t.pull.dest.root.OpenFile(t.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm(t.mode))
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return t.publish(int64(len(data)))
}

func (t *target) publish(written int64) error {
	if err := t.pull.dest.publish(t.temp, t.path, t.wasFree); err != nil {
		return err
	}
	t.pull.meter.add(Progress{Files: 1, Bytes: written})
	return nil
}

// piece writes a part of the file. The pieces may come in any order; the last one
// completes the file.
func (t *target) piece(ctx context.Context, data []byte, at int64) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f, err := t.pull.dest.root.OpenFile(t.temp, os.O_RDWR|os.O_CREATE, perm(t.mode))
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, at)
	if err == nil {
		err = t.digest(ctx, f, data, at)
	}
	return errors.Join(err, f.Close())
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
		back := untilDone{ctx, io.NewSectionReader(f, t.hashed, n)}
		if got, err := io.CopyBuffer(struct{ io.Writer }{t.hash}, back, make([]byte, 256<<10)); err != nil || got != n {
			return errors.Join(fmt.Errorf("reading %d of %d bytes of %q back", got, n, t.path), err)
		}
		t.hashed += n
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
