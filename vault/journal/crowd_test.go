package journal_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

// distant is a store some way off: a call takes a while before and after it is served.
type distant struct{ backends.Store }

func (d distant) travel() { time.Sleep(10*time.Millisecond + rand.N(20*time.Millisecond)) }

func (d distant) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	d.travel()
	defer d.travel()
	return d.Store.Put(ctx, key, body)
}

func (d distant) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	d.travel()
	defer d.travel()
	return d.Store.Get(ctx, ref, off, n)
}

func (d distant) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	d.travel()
	defer d.travel()
	return d.Store.List(ctx, prefix, o)
}

// appendAnew reads, builds an entry and appends it, until it stands.
func appendAnew(ctx context.Context, b *bench, j *journal.Journal, log *journal.Log, op canonical.ID) (*journal.Log, error) {
	for attempt := 0; ; attempt++ {
		log, err := j.Read(ctx, log)
		if err != nil && !errors.Is(err, journal.ErrEmpty) {
			return nil, err
		}
		e := b.next(log, func(h *entry.Header) { h.Op = op })
		appended, err := j.Append(ctx, log, e, seal)
		if !errors.Is(err, journal.ErrLost) {
			return appended, err
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

// TestCrowd lets 64 writers append at once. Each loses slots, builds its entry
// anew, and in the end every entry stands once in one chain.
func TestCrowd(t *testing.T) {
	const writers = 64
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, mem.Options{})
		counting := backendtest.NewCounting(backendtest.NewWriteOnce(t, b.mem, func(string) bool { return true }))
		b.journal.Store = distant{counting}
		want := make([]canonical.ID, writers)
		var wg sync.WaitGroup
		for i := range writers {
			want[i] = canonical.NewID()
			wg.Go(func() {
				j := b.journal
				if _, err := appendAnew(t.Context(), b, &j, nil, want[i]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		requests := len(counting.Requests())
		log, err := b.read(nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []canonical.ID
		for i, e := range log.Entries {
			if e.Seq != uint64(i) {
				t.Fatalf("entry %d at place %d", e.Seq, i)
			}
			got = append(got, e.Op)
		}
		sort := func(ids []canonical.ID) {
			slices.SortFunc(ids, func(a, b canonical.ID) int { return slices.Compare(a[:], b[:]) })
		}
		sort(got)
		sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d entries of %d writers, or others", len(got), writers)
		}
		if each := float64(requests) / writers; each > 30 {
			t.Errorf("%.1f requests for each entry", each)
		} else {
			t.Logf("%.1f requests for each entry", each)
		}
	})
}

// logInput is an operation on the log, for the linearizability checker: an
// append of op, or a read.
type logInput struct {
	op   canonical.ID
	read bool
}

// logOutput is where an append stands, or what a read saw.
type logOutput struct {
	seq  uint64
	seen []canonical.ID
}

var logModel = porcupine.Model{
	Init: func() any { return []canonical.ID(nil) },
	Step: func(s, in, out any) (bool, any) {
		state, input, output := s.([]canonical.ID), in.(logInput), out.(logOutput)
		if input.read {
			return slices.Equal(state, output.seen), state
		}
		return output.seq == uint64(len(state)), append(slices.Clip(state), input.op)
	},
	Equal: func(a, b any) bool { return slices.Equal(a.([]canonical.ID), b.([]canonical.ID)) },
}

// TestLinearizable: readers and writers, on a store that now and then gives no
// clear answer, see one log that only grows.
func TestLinearizable(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, mem.Options{})
			random := rand.New(rand.NewPCG(seed, 1))
			b.journal.Store = distant{backendtest.NewFaulty(b.mem, func(c backendtest.Call) backendtest.Fault {
				switch n := random.IntN(20); {
				case c.Op == backendtest.Put && n < 3:
					return backendtest.Fault{Mode: backendtest.FailStored}
				case c.Op == backendtest.Put && n < 6:
					return backendtest.Fault{Mode: backendtest.FailLost}
				}
				return backendtest.Fault{}
			})}
			var clock atomic.Int64
			var mu sync.Mutex
			var history []porcupine.Operation
			record := func(client int, in logInput, f func() logOutput) {
				call := clock.Add(1)
				out := f()
				mu.Lock()
				defer mu.Unlock()
				history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: clock.Add(1)})
			}
			var wg sync.WaitGroup
			for client := range 12 {
				wg.Go(func() {
					j := b.journal
					var log *journal.Log
					for range 4 {
						if client%3 == 0 {
							record(client, logInput{read: true}, func() logOutput {
								var out logOutput
								next, err := j.Read(t.Context(), log)
								if errors.Is(err, journal.ErrEmpty) {
									return out
								}
								if err != nil {
									t.Error(err)
									return out
								}
								log = next
								for _, e := range log.Entries {
									out.seen = append(out.seen, e.Op)
								}
								return out
							})
							continue
						}
						op := canonical.NewID()
						record(client, logInput{op: op}, func() logOutput {
							next, err := appendAnew(t.Context(), b, &j, log, op)
							if err != nil {
								t.Error(err)
								return logOutput{}
							}
							log = next
							return logOutput{seq: log.Head().Seq}
						})
					}
				})
			}
			wg.Wait()
			if !porcupine.CheckOperations(logModel, history) {
				t.Errorf("seed %d: the history of %d operations is not linearizable", seed, len(history))
			}
		})
	}
}
