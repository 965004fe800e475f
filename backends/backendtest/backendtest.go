// Package backendtest is the conformance suite of [backends.Store], and the
// test doubles that stand in front of one.
//
// The suite is a table of named checks, each with the sentence of the contract
// that its failure breaks. A check returns an error and erases what it wrote,
// so the same table runs as subtests ([Run]), against a plugin process and, by
// command, against anybody's bucket.
package backendtest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
)

// Check is one rule of the contract and a way to see it broken.
type Check struct {
	Name string // lower case, unique in the table
	Rule string // the sentence of the contract that a failure breaks
	// Run exercises s under a random prefix below "probe/check-" and erases
	// what it wrote. The error says what was seen instead.
	Run func(ctx context.Context, s backends.Store) error
}

// Checks is the whole table. Together the checks make some 3,000 requests, and
// as many reads as fit beside three puts, and need 32 MiB of room. They may run
// in any order, and in parallel on one store but for probe-clean, which would
// take what another probe is writing for what its own left behind.
func Checks() []Check {
	table := slices.Concat(putChecks(), getChecks(), listChecks(), eraseChecks(), keyChecks(), cancelChecks(), probeChecks())
	out := make([]Check, len(table))
	for i, c := range table {
		out[i] = Check{c.name, c.rule, func(ctx context.Context, s backends.Store) error {
			b := newBench(s)
			return errors.Join(c.run(ctx, b), b.clean(ctx))
		}}
	}
	return out
}

// Run runs every check as a subtest, each on the store that open returns for
// it: a new one, or always the same.
func Run(t *testing.T, open func(t *testing.T) backends.Store) {
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), open(t)); err != nil {
				t.Errorf("%v\nrule: %s", err, c.Rule)
			}
		})
	}
}

type check struct {
	name, rule string
	run        func(ctx context.Context, b *bench) error
}

// bench is a store, a prefix of its own, and the keys to erase in the end.
type bench struct {
	backends.Store
	prefix string

	mu   sync.Mutex
	keys map[string]bool
}

func newBench(s backends.Store) *bench {
	var id [8]byte
	rand.Read(id[:])
	return &bench{Store: s, prefix: "probe/check-" + hex.EncodeToString(id[:]) + "/", keys: make(map[string]bool)}
}

// key returns prefix+name and remembers it for clean.
func (b *bench) key(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[b.prefix+name] = true
	return b.prefix + name
}

// clean erases every key the check named, also when ctx has ended.
func (b *bench) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	keys := make([]string, 0, len(b.keys))
	for k := range b.keys {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if _, err := b.Erase(ctx, keys...); err != nil {
		return fmt.Errorf("erasing what the check wrote: %w", err)
	}
	return nil
}

// put stores body under prefix+name.
func (b *bench) put(ctx context.Context, name string, body []byte) (backends.Info, error) {
	in, err := b.Put(ctx, b.key(name), body)
	if err != nil {
		return in, fmt.Errorf("put of %d bytes: %w", len(body), err)
	}
	return in, nil
}

// putAll stores the name itself as content under each name, 32 at a time.
func (b *bench) putAll(ctx context.Context, names ...string) error {
	work := make(chan string)
	errs := make(chan error, len(names))
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for name := range work {
				if _, err := b.put(ctx, name, []byte(name)); err != nil {
					errs <- err
				}
			}
		})
	}
	for _, name := range names {
		work <- name
	}
	close(work)
	wg.Wait()
	close(errs)
	return <-errs
}

// read returns the n bytes from off of ref (to the end if n < 0).
func (b *bench) read(ctx context.Context, ref backends.Ref, off, n int64) (_ []byte, _ backends.Info, err error) {
	r, in, err := b.Get(ctx, ref, off, n)
	if err != nil {
		return nil, in, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	// A store that is under test may tell any size and send any amount.
	buf := bytes.NewBuffer(make([]byte, 0, max(0, min(in.Size, backends.MaxObject))+bytes.MinRead))
	_, err = buf.ReadFrom(io.LimitReader(r, backends.MaxObject+1))
	return buf.Bytes(), in, err
}

// expect fails unless prefix+name reads back as body, whole.
func (b *bench) expect(ctx context.Context, name string, body []byte) error {
	got, in, err := b.read(ctx, backends.Ref{Key: b.key(name)}, 0, -1)
	switch {
	case err != nil:
		return fmt.Errorf("get: %w", err)
	case !bytes.Equal(got, body):
		return fmt.Errorf("get %s: %s", name, difference(got, body))
	case in.Key != b.key(name) || in.Size != int64(len(body)) || in.Marker:
		return fmt.Errorf("get %s: info %+v of an object of %d bytes", name, in, len(body))
	}
	return nil
}

// absent fails unless a get of prefix+name says NotExist.
func (b *bench) absent(ctx context.Context, name string) error {
	got, _, err := b.read(ctx, backends.Ref{Key: b.key(name)}, 0, -1)
	if err == nil {
		return fmt.Errorf("get %s: %d bytes, want an error that is NotExist", name, len(got))
	}
	return wantKind("get "+name, err, backends.NotExist)
}

// list collects a listing of prefix+name, with the bench's prefix cut off its keys.
func (b *bench) list(ctx context.Context, name string, o backends.ListOptions) ([]backends.Info, error) {
	var out []backends.Info
	for in, err := range b.List(ctx, b.prefix+name, o) {
		if err != nil {
			return out, fmt.Errorf("list %q: %w", name, err)
		}
		rest, ok := bytes.CutPrefix([]byte(in.Key), []byte(b.prefix))
		if !ok {
			return out, fmt.Errorf("list %q: key %q outside of the prefix", name, in.Key)
		}
		in.Key = string(rest)
		out = append(out, in)
	}
	return out, nil
}

// names collects the keys of a listing.
func (b *bench) names(ctx context.Context, name string, o backends.ListOptions) ([]string, error) {
	infos, err := b.list(ctx, name, o)
	var out []string
	for _, in := range infos {
		out = append(out, in.Key)
	}
	return out, err
}

// wantKind fails unless err is of one of the kinds.
func wantKind(what string, err error, kinds ...backends.Kind) error {
	for _, k := range kinds {
		if errors.Is(err, k) && backends.KindOf(err) == k {
			return nil
		}
	}
	return fmt.Errorf("%s: error %q of kind %v, want %v", what, fmt.Sprint(err), backends.KindOf(err), kinds)
}

// wantNames fails unless a listing gave exactly these names in this order.
func wantNames(what string, got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Errorf("%s: %d results, want %d; result %d is %s, want %s", what, len(got), len(want), i, g, w)
		}
	}
	return nil
}

func difference(got, want []byte) string {
	n := min(len(got), len(want))
	for i := range n {
		if got[i] != want[i] {
			return fmt.Sprintf("%d bytes, want %d; they differ at byte %d", len(got), len(want), i)
		}
	}
	return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
}

// random returns n bytes that do not compress and never come again.
func random(n int) []byte {
	var key [16]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("internal error: " + err.Error())
	}
	b := make([]byte, n)
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(b, b)
	return b
}
