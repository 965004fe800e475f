package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

func TestSlots(t *testing.T) {
	for _, seq := range []uint64{0, 1, 31, 1 << 40, entry.MaxSeq, math.MaxUint64} {
		name := journal.Slot(seq)
		if back, ok := journal.ParseSlot(name); !ok || back != seq || len(name) != 16 {
			t.Errorf("slot %d is %s, and that is %d, %v", seq, name, back, ok)
		}
		if seq > 0 && journal.Slot(seq-1) <= name {
			t.Errorf("slot %d does not stand before %d", seq, seq-1)
		}
	}
	for _, name := range []string{"", "0", "fffffffffffffff", "FFFFFFFFFFFFFFFF", "gfffffffffffffff", "+fffffffffffffff", "fffffffffffffffff", "0xffffffffffffff", "ffffffff_fffffff"} {
		if _, ok := journal.ParseSlot(name); ok {
			t.Errorf("%q is a slot", name)
		}
	}
}

// TestCopies: entry k and copies back to the last multiple of 32; at the end of
// a block back to the last multiple of 1,024.
func TestCopies(t *testing.T) {
	for seq, want := range map[uint64]uint64{0: 0, 1: 0, 30: 0, 31: 0, 32: 32, 33: 32, 62: 32, 63: 0, 64: 64, 1022: 992, 1023: 0, 1024: 1024, 1025: 1024,
		1055: 1024, 1056: 1056, 2046: 2016, 2047: 1024, 2048: 2048} {
		if got := journal.Base(seq); got != want {
			t.Errorf("slot %d copies back to %d, want %d", seq, got, want)
		}
	}
	b := filled(t, 100)
	for seq := range uint64(100) {
		entries, sum, err := b.journal.Object(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if err := same(entries, b.log.Entries[journal.Base(seq):seq+1]); err != nil || sum != canonical.Sum(b.get(seq)) {
			t.Errorf("slot %d: %v", seq, err)
		}
	}
}

func TestEmpty(t *testing.T) {
	b := newBench(t, mem.Options{})
	if log, err := b.read(nil); !errors.Is(err, journal.ErrEmpty) || log == nil || len(log.Entries) != 0 {
		t.Errorf("%v, %v", log, err)
	}
}

// TestRequests counts what reading costs.
func TestRequests(t *testing.T) {
	b := filled(t, 2000)
	counting := backendtest.NewCounting(b.mem)
	b.journal.Store = counting
	count := func() string {
		defer counting.Reset()
		return fmt.Sprint(counting.Count(backendtest.List, ""), " lists, ", counting.Count(backendtest.Get, ""), " gets, ", len(counting.Requests()))
	}
	log := b.good(nil)
	if got := count(); got != "1 lists, 3 gets, 4" {
		t.Errorf("cold, 2,000 entries: %s", got)
	}
	b.good(log)
	if got := count(); got != "1 lists, 0 gets, 1" {
		t.Errorf("warm: %s", got)
	}
	b.fill(1)
	log = b.good(log)
	if got := count(); got != "1 lists, 1 gets, 2" {
		t.Errorf("warm, one entry more: %s", got)
	}
	b.fill(40)
	b.good(log)
	if got := count(); got != "1 lists, 2 gets, 3" {
		t.Errorf("warm, 40 entries more: %s", got)
	}
	for n := uint64(1); n <= 2000; n++ { // what a cold read of n entries opens
		opened := 0
		for at := n; at > 0; at = journal.Base(at - 1) {
			opened++
		}
		if opened > 4 {
			t.Errorf("a cold read of %d entries opens %d objects", n, opened)
		}
	}
}

// TestTampered changes the object in every slot in every way a hostile store
// can, also one that knows how to seal.
func TestTampered(t *testing.T) {
	const n = 36 // the end of a block, 31, and four entries above
	b := filled(t, n)
	other := filled(t, n)
	other.journal.ID = canonical.Sum([]byte("another artefact")).String()
	other.log = &journal.Log{}
	other.fill(n)
	foreign := newBench(t, mem.Options{})
	foreign.journal.Genesis = canonical.Sum([]byte("another vault"))
	foreign.fill(n)
	flip := func(at func(int) int) func(uint64, []byte) []byte {
		return func(_ uint64, s []byte) []byte { s[at(len(s))] ^= 1; return s }
	}
	sealed := func(plain []byte) []byte {
		s, err := seal(plain)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	forged := func(seq uint64) *entry.Entry {
		return b.sign(b.thief, b.log.Before(seq), struct{}{}, nil)
	}
	objects := func(b *bench, seq uint64) []*entry.Entry { return b.log.Entries[journal.Base(seq) : seq+1] }
	encode := func(entries []*entry.Entry) []byte {
		plain := []byte(journal.Magic)
		for _, e := range entries {
			plain = append(append(plain, e.Raw...), '\n')
		}
		return sealed(plain)
	}
	changes := map[string]func(seq uint64, s []byte) []byte{
		"first bit flipped":           flip(func(int) int { return 0 }),
		"middle bit flipped":          flip(func(n int) int { return n / 2 }),
		"last bit flipped":            flip(func(n int) int { return n - 1 }),
		"truncated":                   func(_ uint64, s []byte) []byte { return s[:len(s)-1] },
		"emptied":                     func(uint64, []byte) []byte { return nil },
		"extended":                    func(_ uint64, s []byte) []byte { return append(s, 0) },
		"swapped with the slot below": func(seq uint64, _ []byte) []byte { return b.get((seq + n - 1) % n) },
		"swapped with the slot above": func(seq uint64, _ []byte) []byte { return b.get((seq + 1) % n) },
		"of another journal":          func(seq uint64, _ []byte) []byte { return other.get(seq) },
		"of another vault":            func(seq uint64, _ []byte) []byte { return foreign.get(seq) },
		"forged": func(seq uint64, _ []byte) []byte {
			return encode(append(slices.Clone(objects(b, seq)[:len(objects(b, seq))-1]), forged(seq)))
		},
		"a copy left out":   func(seq uint64, _ []byte) []byte { return encode(objects(b, seq)[min(1, len(objects(b, seq))-1):]) },
		"a copy too many":   func(seq uint64, _ []byte) []byte { return encode(b.log.Entries[max(1, journal.Base(seq))-1 : seq+1]) },
		"another plaintext": func(uint64, []byte) []byte { return sealed([]byte("aivault-table/1\n")) },
		"the plaintext cut off": func(seq uint64, _ []byte) []byte {
			p := journal.EncodeObject(objects(b, seq))
			return sealed(p[:len(p)-1])
		},
		"removed": nil,
	}
	for _, seq := range []uint64{0, 30, 31, 32, 34, 35} {
		original := b.get(seq)
		for name, change := range changes {
			if change == nil {
				b.mem.Remove(key(seq))
			} else {
				changed := change(seq, slices.Clone(original))
				b.raw(seq, changed)
				if canonical.Sum(changed[min(nonceSize, len(changed)):]) == canonical.Sum(original[nonceSize:]) && name != "first bit flipped" {
					b.raw(seq, original)
					continue // no change: the first slot of a block has no copies
				}
			}
			log, err := b.read(nil)
			needed := seq == n-1 || seq == 31
			switch {
			case name == "first bit flipped" && err == nil: // of the nonce, which protects nothing here
			case !needed && err == nil && same(log.Entries, b.log.Entries) == nil:
			case seq == n-1 && name == "removed" && err == nil && same(log.Entries, b.log.Entries[:n-1]) == nil:
			case seq == n-1 && name != "removed" && errors.Is(err, journal.ErrJunk) && same(log.Entries, b.log.Entries[:n-1]) == nil && log.Junk[0].Key == key(seq):
			case seq == 31 && errors.Is(err, journal.ErrUnverifiable) && log == nil:
			default:
				t.Errorf("slot %d %s: cold: %v", seq, name, err)
			}
			// A client that has read it all looks at no object again.
			log, err = b.read(b.log)
			if wants := seq == n-1 && name == "removed"; wants != errors.Is(err, journal.ErrRolledBack) || !wants && err != nil {
				t.Errorf("slot %d %s: with memory of it: %v", seq, name, err)
			}
			// One that has read half needs the upper half.
			have := b.log.Before(20)
			log, err = b.read(have)
			if err == nil && same(log.Entries, b.log.Entries) != nil && !(seq == n-1 && name == "removed") {
				t.Errorf("slot %d %s: with memory of half: other entries", seq, name)
			}
			if err != nil && (!needed || !errors.Is(err, journal.ErrJunk) && !errors.Is(err, journal.ErrUnverifiable)) {
				t.Errorf("slot %d %s: with memory of half: %v", seq, name, err)
			}
			b.raw(seq, original)
		}
	}
	b.good(nil)
}

func TestMemory(t *testing.T) {
	b := filled(t, 40)
	seen := b.good(nil)
	for _, n := range []int{39, 1, 0} {
		shorter := &bench{tb: t, mem: mem.New(mem.Options{}), journal: b.journal, log: &journal.Log{}}
		shorter.journal.Store = shorter.mem
		for _, e := range b.log.Entries[:n] {
			shorter.write(e)
		}
		if _, err := shorter.read(seen); !errors.Is(err, journal.ErrRolledBack) {
			t.Errorf("rolled back to %d entries: %v", n, err)
		}
	}
	for _, at := range []uint64{0, 31, 32} { // another history from there on, longer than the one seen
		fork := &bench{tb: t, mem: mem.New(mem.Options{}), journal: b.journal, member: b.member, log: &journal.Log{}}
		fork.journal.Store = fork.mem
		for _, e := range b.log.Before(at).Entries {
			fork.write(e)
		}
		fork.fill(45)
		if _, err := fork.read(seen); !errors.Is(err, journal.ErrRolledBack) {
			t.Errorf("forked at %d: %v", at, err)
		}
		fork.good(nil)
	}
}

// A vault's journal may be read without knowing its genesis.
func TestUnknownGenesis(t *testing.T) {
	b := newBench(t, mem.Options{})
	b.journal.ID, b.journal.Genesis = entry.VaultJournal, canonical.Digest{}
	vault := func(h *entry.Header) {
		if h.Seq > 0 {
			h.Genesis, h.Vault = b.log.Entries[0].Hash, b.log.Head()
		}
	}
	for range 70 {
		b.write(b.next(b.log, vault))
	}
	b.good(nil)
	b.good(b.log.Before(40))
	known := b.journal
	known.Genesis = b.log.Entries[0].Hash
	if log, err := known.Read(t.Context(), nil); err != nil || same(log.Entries, b.log.Entries) != nil {
		t.Errorf("knowing it: %v", err)
	}
	known.Genesis = genesis
	if log, err := known.Read(t.Context(), nil); err == nil {
		t.Errorf("knowing another: %d entries", len(log.Entries))
	}
	b.mem.Remove(key(0))
	b.mem.Remove(key(31))
	b.mem.Remove(key(63))
	if _, err := b.read(nil); !errors.Is(err, journal.ErrUnverifiable) {
		t.Errorf("without the beginning: %v", err)
	}
}

func TestReadErrorsPass(t *testing.T) {
	b := filled(t, 40)
	for op, mode := range map[backendtest.Op]backendtest.Mode{backendtest.List: backendtest.Fail, backendtest.Get: backendtest.Break} {
		for n := 1; n <= 2; n++ {
			if op == backendtest.List && n == 2 {
				continue
			}
			b.journal.Store = backendtest.NewFaulty(b.mem, backendtest.FailNth(op, n, mode))
			if log, err := b.read(nil); !errors.Is(err, backends.Unavailable) || log != nil {
				t.Errorf("%s %d fails: %v, %v", op, n, log, err)
			}
		}
	}
	b.journal.Store = b.mem
	broken := errors.New("broken")
	b.journal.Open = func([]byte) ([]byte, error) { return nil, broken }
	if _, err := b.read(nil); !errors.Is(err, broken) {
		t.Errorf("Open fails: %v", err)
	}
	b.journal.Open = open
	b.journal.Check = func(context.Context, []*entry.Entry, *entry.Entry) error { return broken }
	if _, err := b.read(nil); !errors.Is(err, broken) {
		t.Errorf("Check fails: %v", err)
	}
}
