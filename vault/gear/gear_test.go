package gear

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// scale divides lengths, so that tests need less data: a 256th.
const scale = 8

func scaled(t *Table) *Cutter {
	s := standard()
	return &Cutter{table: t, bounds: bounds{s.min >> scale, s.normal >> scale, s.max >> scale, s.strict << scale, s.loose << scale}}
}

func noise(seed uint64, n int) []byte {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// cuts returns the ends of the pieces of data, fed so many bytes at a time.
func cuts(c *Cutter, data []byte, feed int) []int {
	var ends []int
	for at := 0; at < len(data); {
		n, end := c.Next(data[at:min(len(data), at+feed)])
		if at += n; end || at == len(data) {
			ends = append(ends, at)
		}
	}
	return ends
}

// The words that FORMAT.md names were computed by another program.
func TestFormatTable(t *testing.T) {
	doc, err := os.ReadFile("../FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	var key [32]byte
	for i := range key {
		key[i] = byte(0x40 + i)
	}
	table := NewTable(key)
	if want := fmt.Sprintf("T[0] is `%016x` and T[255] `%016x`", table[0], table[255]); !strings.Contains(string(doc), want) {
		t.Errorf("FORMAT.md does not say %s", want)
	}
}

// A table is what FORMAT.md says, and no other key gives it.
func TestTableIsDerivedFromTheKey(t *testing.T) {
	key := [32]byte{1, 2, 3}
	table := NewTable(key)
	for _, b := range []int{0, 3, 4, 255} {
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte{'g', 'e', 'a', 'r', 0, byte(b / 4)})
		if want := binary.BigEndian.Uint64(mac.Sum(nil)[b%4*8:]); table[b] != want {
			t.Errorf("word %d is %x, want %x", b, table[b], want)
		}
	}
	data := noise(1, 8<<20)
	if slices.Equal(cuts(scaled(table), data, len(data)), cuts(scaled(NewTable([32]byte{1, 2, 4})), data, len(data))) {
		t.Error("two keys cut alike")
	}
}

// What the unrolled loop finds is what the definition says, byte by byte.
func TestCutsAreThoseOfTheDefinition(t *testing.T) {
	table := NewTable([32]byte{5})
	b := scaled(table).bounds
	data := noise(2, 4<<20)
	var want []int
	var h uint64
	start := 0
	for i, x := range data {
		n := i + 1 - start
		if n > b.min {
			h = h<<1 + table[x]
		}
		if n == b.max || n > b.min && n <= b.normal && h < b.strict || n > b.normal && h < b.loose || i+1 == len(data) {
			want = append(want, i+1)
			start, h = i+1, 0
		}
	}
	if got := cuts(scaled(table), data, len(data)); !slices.Equal(got, want) {
		t.Errorf("cuts at %d, want %d", got, want)
	}
}

func TestFeedingMakesNoDifference(t *testing.T) {
	table := NewTable([32]byte{7})
	data := noise(3, 1<<19)
	want := cuts(scaled(table), data, len(data))
	rapid.Check(t, func(t *rapid.T) {
		c := scaled(table)
		var ends []int
		for at := 0; at < len(data); {
			n, end := c.Next(data[at:min(len(data), at+rapid.IntRange(0, 1<<15).Draw(t, "feed"))])
			if at += n; end || at == len(data) {
				ends = append(ends, at)
			}
		}
		if !slices.Equal(ends, want) {
			t.Fatalf("cuts at %d, want %d", ends, want)
		}
	})
}

// A change moves the cuts next to it; then they stand between the same bytes.
func TestCutsComeBackAfterAnInsertion(t *testing.T) {
	table := NewTable([32]byte{9})
	data := noise(4, 8<<20)
	before := cuts(scaled(table), data, len(data))
	for _, n := range []int{1, 7, 4096, 100_000} {
		const at = 5 << 20
		changed := slices.Concat(data[:at], noise(5, n), data[at:])
		after := cuts(scaled(table), changed, len(changed))
		same := 0
		for _, end := range before {
			moved := end
			if end > at {
				moved += n
			}
			if slices.Contains(after, moved) {
				same++
			}
		}
		if lost := len(before) - same; lost > 12 {
			t.Errorf("after inserting %d bytes %d of %d cuts are lost", n, lost, len(before))
		}
	}
}

func TestLengths(t *testing.T) {
	data := noise(6, 32<<20)
	b := scaled(nil).bounds
	ends := cuts(scaled(NewTable([32]byte{11})), data, len(data))
	last, longest := 0, 0
	for i, end := range ends {
		n := end - last
		if last = end; n > b.max || n <= b.min && i < len(ends)-1 {
			t.Errorf("a piece of %d bytes", n)
		}
		if n == b.max {
			longest++
		}
	}
	// 8 MiB on average; a hundredth of the pieces is as long as can be.
	mean := float64(len(data)) / float64(len(ends)) / float64(1<<20>>scale)
	if mean < 7.6 || mean > 8.4 || longest > len(ends)/30 {
		t.Errorf("%d pieces of %.2f MiB on average, %d of them of 16 MiB", len(ends), mean, longest)
	}
	if s := standard(); bits.LeadingZeros64(s.strict) != 24 || bits.LeadingZeros64(s.loose) != 20 {
		t.Error("other odds")
	}
}

// Bytes that are all alike give pieces of one length each.
func TestZeros(t *testing.T) {
	ends := cuts(scaled(NewTable([32]byte{13})), make([]byte, 1<<20), 1<<20)
	for i, end := range ends {
		if end != (i+1)*ends[0] {
			t.Fatalf("cuts at %d", ends)
		}
	}
}
