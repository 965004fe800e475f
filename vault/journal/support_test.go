package journal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

// bench is a journal of an artefact in memory, with one member who signs.
// Objects are "sealed" by a nonce before the plaintext: two seals differ, as
// with real ones, and cost nothing.
type bench struct {
	tb      testing.TB
	mem     *mem.Store
	journal journal.Journal
	member  *dsse.PrivateKey
	thief   *dsse.PrivateKey // knows how to seal, and is no member
	log     *journal.Log     // what was written
}

var (
	genesis = canonical.Sum([]byte("genesis"))
	noon    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

const prefix = "a/x/log/"

func newBench(tb testing.TB, o mem.Options) *bench {
	b := &bench{tb: tb, mem: mem.New(o), member: newKey(tb), thief: newKey(tb), log: &journal.Log{}}
	b.journal = journal.Journal{Store: b.mem, Prefix: prefix, ID: canonical.Sum([]byte("aid")).String(), Genesis: genesis, Open: open, Check: b.check}
	return b
}

// filled returns a bench with n entries.
func filled(tb testing.TB, n int) *bench {
	b := newBench(tb, mem.Options{})
	b.fill(n)
	return b
}

func (b *bench) fill(n int) {
	b.tb.Helper()
	for range n {
		b.write(b.next(b.log, nil))
	}
}

// fork returns a bench with a copy of the storage.
func (b *bench) fork() *bench {
	b.tb.Helper()
	c := *b
	c.mem = mem.New(mem.Options{})
	for _, k := range b.mem.Keys() {
		seq, _ := journal.ParseSlot(k[len(prefix):])
		if _, err := c.mem.Put(context.Background(), k, b.get(seq)); err != nil {
			b.tb.Fatal(err)
		}
	}
	c.journal.Store = c.mem
	return &c
}

func newKey(tb testing.TB) *dsse.PrivateKey {
	tb.Helper()
	k, err := dsse.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

const nonceSize = 8

func seal(plain []byte) ([]byte, error) {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	sum := canonical.Sum(plain)
	return slices.Concat(nonce, sum[:], plain), nil
}

var errSealed = errors.New("does not open")

func open(sealed []byte) ([]byte, error) {
	if len(sealed) < nonceSize+32 {
		return nil, journal.Unverified(errSealed)
	}
	plain := sealed[nonceSize+32:]
	if sum := canonical.Sum(plain); !bytes.Equal(sum[:], sealed[nonceSize:nonceSize+32]) {
		return nil, journal.Unverified(errSealed)
	}
	return plain, nil
}

// check knows one member.
func (b *bench) check(_ context.Context, _ []*entry.Entry, e *entry.Entry) error {
	if err := e.Envelope.Verify(b.member.Public()); err != nil {
		return journal.Unverified(fmt.Errorf("%w: %w", journal.ErrUnverifiable, err))
	}
	return nil
}

// next signs an entry that follows log.
func (b *bench) next(log *journal.Log, change func(*entry.Header)) *entry.Entry {
	b.tb.Helper()
	return b.sign(b.member, log, struct{}{}, change)
}

func (b *bench) sign(k *dsse.PrivateKey, log *journal.Log, body any, change func(*entry.Header)) *entry.Entry {
	b.tb.Helper()
	author, err := canonical.ParseDigest(k.Public().KeyID())
	if err != nil {
		b.tb.Fatal(err)
	}
	h := entry.Header{Kind: "note", Format: entry.Format, Genesis: b.journal.Genesis, Journal: b.journal.ID, Author: author, Time: entry.At(noon), Op: canonical.NewID()}
	if n := len(log.Entries); n > 0 {
		h.Seq, h.Prev = log.Entries[n-1].Seq+1, log.Entries[n-1].Hash
	}
	if change != nil {
		change(&h)
	}
	e, err := entry.Sign(context.Background(), h, body, k)
	if err != nil {
		b.tb.Fatal(err)
	}
	return e
}

// write appends e to what was written, past the protocol.
func (b *bench) write(e *entry.Entry) {
	b.tb.Helper()
	b.log = &journal.Log{Entries: append(slices.Clip(b.log.Entries), e)}
	b.put(e.Seq, journal.EncodeObject(b.log.Entries))
}

// put seals a plaintext into a slot, over whatever stands there.
func (b *bench) put(seq uint64, plain []byte) {
	b.tb.Helper()
	sealed, err := seal(plain)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.raw(seq, sealed)
}

func key(seq uint64) string { return prefix + journal.Slot(seq) }

func (b *bench) raw(seq uint64, sealed []byte) {
	b.tb.Helper()
	b.mem.Remove(key(seq))
	if _, err := b.mem.Put(context.Background(), key(seq), sealed); err != nil {
		b.tb.Fatal(err)
	}
}

func (b *bench) get(seq uint64) []byte {
	b.tb.Helper()
	r, _, err := b.mem.Get(context.Background(), backends.Ref{Key: key(seq)}, 0, -1)
	if err != nil {
		b.tb.Fatal(err)
	}
	defer r.Close()
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(r); err != nil {
		b.tb.Fatal(err)
	}
	return buf.Bytes()
}

func (b *bench) read(have *journal.Log) (*journal.Log, error) {
	return b.journal.Read(context.Background(), have)
}

// good is read for what must be readable; it compares with what was written.
func (b *bench) good(have *journal.Log) *journal.Log {
	b.tb.Helper()
	log, err := b.read(have)
	if err != nil {
		b.tb.Fatal(err)
	}
	if err := same(log.Entries, b.log.Entries); err != nil {
		b.tb.Fatal(err)
	}
	return log
}

func same(got, want []*entry.Entry) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d entries, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Hash != want[i].Hash {
			return fmt.Errorf("entry number %d is %d %s, want %d %s", i, got[i].Seq, got[i].Hash, want[i].Seq, want[i].Hash)
		}
	}
	return nil
}

// skip signs a skip entry over the junk that stands in the n slots above the head.
func (b *bench) skip(n int) *entry.Entry {
	b.tb.Helper()
	next := uint64(0)
	if len(b.log.Entries) > 0 {
		next = b.log.Head().Seq + 1
	}
	var slots []entry.SkippedSlot
	for i := range n {
		slots = append(slots, entry.SkippedSlot{Seq: next + uint64(i), SHA256: canonical.Sum(b.get(next + uint64(i)))})
	}
	return b.sign(b.member, b.log, entry.Skip{Slots: slots, Reason: "junk"}, func(h *entry.Header) { h.Kind, h.Critical, h.Seq = entry.KindSkip, true, next+uint64(n) })
}
