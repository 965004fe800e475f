package transfer_test

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault/transfer"
)

// heap notes the most memory in use above what was in use at the start.
type heap struct {
	mu          sync.Mutex
	start, peak uint64
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func newHeap() *heap {
	runtime.GC()
	return &heap{start: inUse()}
}

func (h *heap) sample() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peak = max(h.peak, inUse())
}

// check compares the peak with what the package promises: (8 + jobs) × 16 MiB, on
// few cores (4 + jobs) × 16 MiB, and something for everything else.
func (h *heap) check(t *testing.T, jobs int) {
	t.Helper()
	limit := uint64(min(max(4, runtime.GOMAXPROCS(0)), 8)+jobs)*16*mib + 32*mib
	if used := h.peak - h.start; h.peak > h.start && used > limit {
		t.Errorf("%d MiB were in use, %d are promised", used/mib, limit/mib)
	} else {
		t.Logf("%d of %d MiB were in use", used/mib, limit/mib)
	}
}

// sampler samples whenever an object passes. discard makes it keep nothing.
type sampler struct {
	backends.Store
	heap    *heap
	discard bool
}

func (s sampler) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	s.heap.sample()
	if s.discard {
		return backends.Info{}, nil
	}
	return s.Store.Put(ctx, key, body)
}

func (s sampler) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	s.heap.sample()
	return s.Store.Get(ctx, ref, off, n)
}

// sparse makes a file of n pieces of 16 MiB, no two alike, that takes no room.
func sparse(t *testing.T, n int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(n * 16 * mib); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := f.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(i)), i*16*mib); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func TestPushTakesBoundedMemory(t *testing.T) {
	v := newVault(t)
	h := newHeap()
	v.store = sampler{v.mem, h, true}
	p, _ := v.newPush()
	if _, err := p.Run(t.Context(), scan(t, sparse(t, 64)), nil); err != nil {
		t.Fatal(err)
	}
	h.check(t, transfer.MaxJobs)
}

func TestPullAndCheckTakeBoundedMemory(t *testing.T) {
	v := newVault(t)
	s, _ := v.push(sparse(t, 20), nil)
	h := newHeap()
	s.Store = sampler{v.mem, h, false}
	mustPull(t, s, t.TempDir(), transfer.PullOptions{})
	h.check(t, transfer.MaxJobs)
	h = newHeap()
	s.Store = sampler{v.mem, h, false}
	if _, err := transfer.Check(t.Context(), s, true, nil); err != nil {
		t.Error(err)
	}
	h.check(t, transfer.DefaultJobs)
}
