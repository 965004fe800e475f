package journal_test

import (
	"errors"
	"testing"

	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

// TestSkip passes over slots at every place of a block, one and several, and
// goes on from there.
func TestSkip(t *testing.T) {
	for _, n := range []int{0, 1, 30, 31, 32} {
		for _, over := range []int{1, 2, entry.MaxSkipped} {
			if over > 2 && n != 31 {
				continue
			}
			b := newBench(t, mem.Options{})
			b.fill(n)
			halfway := b.log
			for i := range over {
				b.raw(uint64(n+i), []byte("junk"))
			}
			log, err := b.read(nil)
			if !errors.Is(err, journal.ErrJunk) || len(log.Blocking()) != over {
				t.Fatalf("%d slots above %d entries: %d block, %v", over, n, len(log.Blocking()), err)
			}
			e := b.skip(over)
			for i, s := range log.Blocking() {
				if skipped, err := e.Skipped(); err != nil || skipped[i] != s {
					t.Fatalf("the entry names %v, the log %v", skipped[i], s)
				}
			}
			appended, err := b.journal.Append(t.Context(), log, e, seal)
			if err != nil {
				t.Fatal(err)
			}
			b.log = appended
			b.good(nil)
			if n > 0 {
				b.good(halfway)
			}
			for range 3 { // past the end of a block
				b.fill(11)
				if _, err := b.read(halfway); err != nil && n > 0 {
					t.Fatalf("%d slots above %d entries, at %d: %v", over, n, b.log.Head().Seq, err)
				}
			}
			b.good(nil)
			if b.log.At(uint64(n)) != nil || b.log.At(uint64(n+over)) == nil {
				t.Error("the log has an entry in a slot that was passed over")
			}
			// What was passed over may be erased later.
			for i := range over {
				b.mem.Remove(key(uint64(n + i)))
			}
			b.good(nil)
		}
	}
}

// TestSkips: one after another, and one above a slot that another passed over in vain.
func TestSkips(t *testing.T) {
	b := filled(t, 30)
	for range 4 {
		b.raw(b.log.Head().Seq+1, []byte("junk"))
		b.write(b.skip(1))
	}
	b.good(nil)
	b.fill(30)
	b.good(nil)
	b = filled(t, 30)
	b.raw(30, []byte("junk"))
	b.raw(31, []byte("junk, where a skip entry should have stood"))
	b.write(b.skip(2))
	b.good(nil)
}

// TestSkipIsStrict: numbers may be missing only where a skip entry says so.
func TestSkipIsStrict(t *testing.T) {
	for name, change := range map[string]func(b *bench, h *entry.Header) any{
		"no skip entry": func(b *bench, h *entry.Header) any { h.Kind = "note"; return struct{}{} },
		"one slot less": func(b *bench, h *entry.Header) any {
			return entry.Skip{Slots: []entry.SkippedSlot{{Seq: 6}}, Reason: "r"}
		},
		"one slot more": func(b *bench, h *entry.Header) any {
			return entry.Skip{Slots: []entry.SkippedSlot{{Seq: 4}, {Seq: 5}, {Seq: 6}}, Reason: "r"}
		},
		"chained to another entry": func(b *bench, h *entry.Header) any {
			h.Prev = b.log.Entries[3].Hash
			return entry.Skip{Slots: []entry.SkippedSlot{{Seq: 5}, {Seq: 6}}, Reason: "r"}
		},
		"chained to junk": func(b *bench, h *entry.Header) any {
			h.Prev = canonical.Sum(b.get(6))
			return entry.Skip{Slots: []entry.SkippedSlot{{Seq: 5}, {Seq: 6}}, Reason: "r"}
		},
	} {
		b := filled(t, 5)
		b.raw(5, []byte("junk"))
		b.raw(6, []byte("junk"))
		h := entry.Header{}
		body := change(b, &h)
		e := b.sign(b.member, b.log, body, func(x *entry.Header) {
			x.Kind, x.Critical, x.Seq = entry.KindSkip, true, 7
			if h.Kind != "" {
				x.Kind = h.Kind
			}
			if !h.Prev.IsZero() {
				x.Prev = h.Prev
			}
		})
		if _, err := b.journal.Append(t.Context(), b.log, e, seal); err == nil {
			t.Errorf("%s: appended", name)
		}
		b.put(7, journal.EncodeObject(append(b.log.Entries[:5:5], e)))
		if log, err := b.read(nil); !errors.Is(err, journal.ErrJunk) && !errors.Is(err, journal.ErrUnverifiable) {
			t.Errorf("%s: %d entries, %v", name, len(log.Entries), err)
		}
	}
}
