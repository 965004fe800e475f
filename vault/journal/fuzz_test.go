package journal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

// FuzzDecodeObject: what is accepted for a slot is a chain that ends in its
// entry, reaches down to its base, and encodes to the bytes it was read from.
func FuzzDecodeObject(f *testing.F) {
	b := newBench(f, mem.Options{})
	b.fill(30)
	b.raw(30, []byte("junk"))
	b.write(b.skip(1))
	b.fill(4)
	for _, seq := range []uint64{0, 5, 29, 31, 32, 35} {
		f.Add(b.get(seq)[nonceSize+32:], seq)
		f.Add(b.get(seq)[nonceSize+32:], seq+1)
	}
	f.Add([]byte{}, uint64(0))
	f.Add([]byte(journal.Magic), uint64(0))
	f.Add([]byte(journal.Magic+"\n"), uint64(0))
	f.Add([]byte("aivault-journal/2\n"), uint64(0))
	f.Fuzz(func(t *testing.T, plain []byte, seq uint64) {
		entries, err := journal.DecodeObject(plain, seq, genesis, b.journal.ID)
		if err != nil {
			if !errors.Is(err, entry.ErrMalformed) && !errors.Is(err, entry.ErrChain) && !errors.Is(err, entry.ErrUpgrade) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if last := entries[len(entries)-1]; last.Seq != seq {
			t.Fatalf("slot %d ends in entry %d", seq, last.Seq)
		}
		if low, err := journal.Below(entries[0]); err != nil || low > journal.Base(seq) || entries[0].Seq < journal.Base(seq) {
			t.Fatalf("slot %d starts at entry %d", seq, entries[0].Seq)
		}
		for i := 1; i < len(entries); i++ {
			if entries[i].Prev != entries[i-1].Hash {
				t.Fatalf("entry %d does not follow", entries[i].Seq)
			}
		}
		if again := journal.EncodeObject(entries); !bytes.Equal(again, plain) {
			t.Fatalf("two spellings of one object")
		}
	})
}

// TestUpgrade: an object of a newer format in the next slot says so; one
// further up is junk, which anyone can make.
func TestUpgrade(t *testing.T) {
	newer := []byte("aivault-journal/2\nwhatever")
	b := filled(t, 3)
	b.put(9, newer)
	if log := b.good(nil); len(log.Junk) != 1 {
		t.Errorf("further up: %+v", log.Junk)
	}
	b.put(3, newer)
	if log, err := b.read(nil); !errors.Is(err, entry.ErrUpgrade) || log == nil || same(log.Entries, b.log.Entries) != nil {
		t.Errorf("in the next slot: %v", err)
	}
}
