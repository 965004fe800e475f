package journal_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

// kindsOfJunk returns objects for a slot above b's head that must not be taken for entries.
func kindsOfJunk(b *bench, seq uint64) map[string][]byte {
	sealed := func(plain []byte) []byte {
		s, err := seal(plain)
		if err != nil {
			b.tb.Fatal(err)
		}
		return s
	}
	forge := func(change func(*entry.Header)) []byte { // chains, is well formed, and no member has signed it
		log := b.log
		for {
			e := b.sign(b.thief, log, struct{}{}, change)
			log = &journal.Log{Entries: append(slices.Clip(log.Entries), e)}
			if e.Seq == seq {
				return sealed(journal.EncodeObject(log.Entries))
			}
		}
	}
	old := make([]byte, 100)
	if len(b.log.Entries) > 0 {
		old = b.get(b.log.Head().Seq)
	}
	return map[string][]byte{
		"garbage":                          []byte("garbage"),
		"nothing":                          {},
		"sealed garbage":                   sealed([]byte("garbage")),
		"an empty object":                  sealed([]byte(journal.Magic)),
		"an older object":                  old,
		"forged":                           forge(nil),
		"forged, in a format nobody knows": sealed([]byte("aivault-journal/9\n")),
	}
}

// TestJunkInTheNextSlot stops readers until a skip entry passes over it.
func TestJunkInTheNextSlot(t *testing.T) {
	for _, n := range []int{1, 31, 32} {
		start := filled(t, n)
		for name := range kindsOfJunk(start, uint64(n)) {
			b := start.fork()
			seen := b.good(nil)
			b.raw(uint64(n), kindsOfJunk(b, uint64(n))[name])
			for _, have := range []*journal.Log{nil, seen, b.log.Before(uint64(n - 1))} {
				log, err := b.read(have)
				if !errors.Is(err, journal.ErrJunk) || log == nil || same(log.Entries, b.log.Entries) != nil || !strings.Contains(err.Error(), key(uint64(n))) {
					t.Fatalf("%s above %d entries: %v", name, n, err)
				}
				want := []entry.SkippedSlot{{Seq: uint64(n), SHA256: canonical.Sum(b.get(uint64(n)))}}
				if !slices.Equal(log.Blocking(), want) {
					t.Errorf("%s: blocking %v, want %v", name, log.Blocking(), want)
				}
			}
			b.write(b.skip(1))
			b.good(nil)
			b.good(seen)
			b.fill(2)
			b.good(nil)
			b.good(seen)
		}
	}
}

// TestJunkFurtherUp is reported and ignored, also in the last slot of all.
func TestJunkFurtherUp(t *testing.T) {
	for _, n := range []int{1, 31, 32} {
		for _, seq := range []uint64{uint64(n) + 1, uint64(n) + 33} {
			start := filled(t, n)
			for name := range kindsOfJunk(start, seq) {
				b := start.fork()
				seen := b.good(nil)
				b.raw(seq, kindsOfJunk(b, seq)[name])
				for _, have := range []*journal.Log{nil, seen} {
					log := b.good(have)
					if len(log.Junk) != 1 || log.Junk[0].Seq != seq || log.Junk[0].Key != key(seq) || log.Junk[0].SHA256 != canonical.Sum(b.get(seq)) || len(log.Blocking()) != 0 {
						t.Errorf("%s in slot %d above %d entries: reported as %+v", name, seq, n, log.Junk)
					}
				}
				if seq > uint64(n)+1 {
					b.fill(1)
					b.good(seen)
				}
			}
		}
	}
	b := filled(t, 3)
	for _, seq := range []uint64{entry.MaxSeq, entry.MaxSeq + 1, 1 << 60, math.MaxUint64} {
		b.raw(seq, []byte("junk"))
	}
	if log := b.good(nil); len(log.Junk) != 4 || log.Junk[0].Key != prefix+"0000000000000000" {
		t.Errorf("in the last slots: %+v", log.Junk)
	}
	b.fill(100)
	b.good(nil)
}

// TestMuchJunk: a page of it, more than a page, and more than anybody looks at.
func TestMuchJunk(t *testing.T) {
	for _, junk := range []int{journal.Page - 1, journal.Page, journal.Page + 1, journal.MaxJunk} {
		b := filled(t, 3)
		seen := b.good(nil)
		for i := range junk {
			b.raw(10+uint64(i), []byte("junk"))
		}
		for _, have := range []*journal.Log{nil, seen} {
			if log := b.good(have); len(log.Junk) != junk {
				t.Errorf("%d of %d objects reported", len(log.Junk), junk)
			}
		}
		b.mem.Remove(key(2))
		if log, err := b.read(nil); err != nil || len(log.Entries) != 2 {
			t.Errorf("the head removed, below %d objects of junk: %v", junk, err)
		}
		if _, err := b.read(seen); !errors.Is(err, journal.ErrRolledBack) {
			t.Errorf("the head removed, below %d objects of junk, with memory: %v", junk, err)
		}
	}
	b := filled(t, 3)
	for i := range journal.MaxJunk + 1 {
		b.raw(10+uint64(i), []byte("junk"))
	}
	if _, err := b.read(nil); !errors.Is(err, journal.ErrUnverifiable) {
		t.Errorf("%d objects of junk: %v", journal.MaxJunk+1, err)
	}
}

func TestStrangeKeys(t *testing.T) {
	b := filled(t, 40)
	for i := range 200 {
		if _, err := b.mem.Put(t.Context(), fmt.Sprintf("%s%04d", prefix, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	log := b.good(nil)
	if len(log.Strange) != journal.MaxStrange || log.Strange[0] != prefix+"0000" {
		t.Errorf("%d strange keys, first %v", len(log.Strange), log.Strange)
	}
	b.fill(3)
	b.good(log)
}

// TestJunkAlone: a name that nobody has registered cannot be blocked but by its first slot.
func TestJunkAlone(t *testing.T) {
	b := newBench(t, mem.Options{})
	for name, junk := range kindsOfJunk(b, 5) {
		b.raw(5, junk)
		if log, err := b.read(nil); !errors.Is(err, journal.ErrEmpty) || errors.Is(err, journal.ErrUnverifiable) || len(log.Junk) != 1 {
			t.Errorf("%s in slot 5: %v", name, err)
		}
	}
	b.raw(0, []byte("junk"))
	log, err := b.read(nil)
	if !errors.Is(err, journal.ErrJunk) || len(log.Blocking()) != 1 || log.Blocking()[0].Seq != 0 {
		t.Fatalf("in slot 0: %v", err)
	}
	b.write(b.skip(1))
	b.fill(50)
	b.good(nil)
	vault := newBench(t, mem.Options{})
	vault.journal.ID, vault.journal.Genesis = entry.VaultJournal, canonical.Digest{}
	for _, seq := range []uint64{5, 0} {
		vault.raw(seq, []byte("junk"))
		if _, err := vault.read(nil); !errors.Is(err, journal.ErrUnverifiable) || errors.Is(err, journal.ErrJunk) || errors.Is(err, journal.ErrEmpty) {
			t.Errorf("a vault without its genesis, and junk in slot %d: %v", seq, err)
		}
	}
}

// TestHole: an entry that a member has signed and that does not connect says
// that something is missing. Anyone can make one that no member has signed.
func TestHole(t *testing.T) {
	b := filled(t, 70)
	seen := b.log.Before(40)
	original := b.get(63)
	b.mem.Remove(key(63))
	for _, have := range []*journal.Log{nil, seen} {
		if log, err := b.read(have); !errors.Is(err, journal.ErrUnverifiable) || log != nil || !strings.Contains(err.Error(), key(63)) {
			t.Errorf("a hole at 63: %v", err)
		}
	}
	b.raw(63, original)
	b.mem.Remove(key(50)) // nobody looks there
	b.good(nil)
	b.raw(100, mustSeal(t, journal.EncodeObject(floating(b, b.member, 100))))
	for _, have := range []*journal.Log{nil, b.log} {
		if _, err := b.read(have); !errors.Is(err, journal.ErrUnverifiable) {
			t.Errorf("a member's entry above a hole: %v", err)
		}
	}
	b.raw(100, mustSeal(t, journal.EncodeObject(floating(b, b.thief, 100))))
	if log := b.good(nil); len(log.Junk) != 1 {
		t.Errorf("a thief's entry above a hole: %+v", log.Junk)
	}
}

// TestBrokenLink: an object that holds one entry alone, by a member, and does not
// follow what stands right below, is junk as it would be in the midst of a block.
func TestBrokenLink(t *testing.T) {
	for _, n := range []int{32, 33} {
		b := filled(t, n)
		b.raw(uint64(n), mustSeal(t, journal.EncodeObject(append(slices.Clone(b.log.Entries[journal.Base(uint64(n)):]),
			b.next(b.log, func(h *entry.Header) { h.Time = entry.At(noon.AddDate(0, 0, -1)) })))))
		if log, err := b.read(nil); !errors.Is(err, journal.ErrJunk) || same(log.Entries, b.log.Entries) != nil {
			t.Errorf("above %d entries: %v", n, err)
		}
		b.write(b.skip(1))
		b.fill(2)
		b.good(nil)
	}
	// One slot further up it may follow what stood in between.
	b := filled(t, 31)
	b.raw(31, []byte("junk"))
	b.raw(32, mustSeal(t, journal.EncodeObject(floating(b, b.member, 32))))
	if _, err := b.read(nil); !errors.Is(err, journal.ErrUnverifiable) || errors.Is(err, journal.ErrJunk) {
		t.Errorf("above a damaged slot: %v", err)
	}
}

// floating makes the entries that a slot's object holds, signed by k, following
// what nobody has seen.
func floating(b *bench, k *dsse.PrivateKey, seq uint64) []*entry.Entry {
	log := &journal.Log{}
	for at := journal.Base(seq); at <= seq; at++ {
		e := b.sign(k, log, struct{}{}, func(h *entry.Header) {
			if h.Seq = at; at == journal.Base(seq) {
				h.Prev = canonical.Sum([]byte("unseen"))
			}
		})
		log = &journal.Log{Entries: append(log.Entries, e)}
	}
	return log.Entries
}

func mustSeal(t *testing.T, plain []byte) []byte {
	t.Helper()
	s, err := seal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestErasedSinceListed(t *testing.T) {
	b := filled(t, 5)
	b.raw(5, []byte("junk"))
	b.journal.Store = backendtest.NewFaulty(b.mem, func(c backendtest.Call) backendtest.Fault {
		if c.Op == backendtest.Get && c.Key == key(5) {
			b.mem.Remove(key(5))
		}
		return backendtest.Fault{}
	})
	if log := b.good(nil); len(log.Junk) != 0 {
		t.Errorf("reported as junk: %+v", log.Junk)
	}
}

// A delete marker in the head's slot is a removal; a writer may find the slot
// free, or blocked.
func TestDeleteMarker(t *testing.T) {
	b := newBench(t, mem.Options{Versioned: true})
	b.fill(5)
	seen := b.good(nil)
	b.mem.Delete(key(4))
	if log, err := b.read(nil); err != nil || len(log.Entries) != 4 {
		t.Errorf("cold: %v", err)
	}
	if _, err := b.read(seen); !errors.Is(err, journal.ErrRolledBack) {
		t.Errorf("with memory: %v", err)
	}
	b.mem.Delete(key(2))
	if log, err := b.read(nil); err != nil || len(log.Entries) != 4 {
		t.Errorf("a slot that nobody needs: %v", err)
	}
}
