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
	"time"

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

// check compares the peak with what the package promises: (6 + jobs) × 16 MiB and
// 4 × 33 MiB, on few cores less, and something for everything else.
func (h *heap) check(t *testing.T, jobs int) {
	t.Helper()
	cores := runtime.GOMAXPROCS(0)
	limit := uint64(min(max(4, cores), 6)+jobs)*16*mib + uint64(min(cores, 4))*33*mib + 28*mib
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
	chunks := int64(64)
	if raceDetector {
		chunks = 16
	}
	if _, err := p.Run(t.Context(), scan(t, sparse(t, chunks)), nil); err != nil {
		t.Fatal(err)
	}
	h.check(t, transfer.MaxJobs)
}

// slow keeps objects under way for a while, so that every buffer is in use.
type slow struct{ sampler }

func (s slow) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	time.Sleep(300 * time.Millisecond)
	return s.sampler.Put(ctx, key, body)
}

// With all cores and all jobs it is 512 MiB at most, whatever is pushed.
func TestPushTakesNoMoreThan512MiB(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	v := newVault(t)
	h := newHeap()
	v.store, v.jobs = slow{sampler{v.mem, h, true}}, transfer.MaxJobs
	p, _ := v.newPush()
	if _, err := p.Run(t.Context(), scan(t, sparse(t, 32)), nil); err != nil {
		t.Fatal(err)
	}
	h.check(t, transfer.MaxJobs)
	if used := h.peak - h.start; used > 512*mib {
		t.Errorf("%d MiB", used/mib)
	}
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
