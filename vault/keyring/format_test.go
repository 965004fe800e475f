package keyring

import (
	"bytes"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
)

func sampleTable(n int) []row {
	var rows []row
	for i := range n {
		rows = append(rows, row{VID: canonical.ID{byte(i + 1)}, GID: canonical.ID{9}, Row: []byte{1, 2, 3}})
	}
	return rows
}

func TestDecodeTable(t *testing.T) {
	swapped := sampleTable(2)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	empty := sampleTable(2)
	empty[1].Row = nil
	for name, c := range map[string]struct {
		rows []row
		ok   bool
	}{
		"one": {sampleTable(1), true}, "full": {sampleTable(tableRows), true}, "none": {[]row{}, false}, "too many": {sampleTable(tableRows + 1), false},
		"twice": {append(sampleTable(1), sampleTable(1)...), false}, "out of order": {swapped, false}, "empty row": {empty, false},
	} {
		plain, err := encodeTable(c.rows)
		must(t, err)
		if _, err := decodeTable(plain); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain, err := encodeTable(sampleTable(1))
	must(t, err)
	if _, err := decodeTable(bytes.Replace(plain, []byte("table/1"), []byte("table/2"), 1)); err == nil {
		t.Error("a table of another version is read")
	}
}

func TestIndexFind(t *testing.T) {
	x := index{Tables: []indexed{{First: canonical.ID{2}}, {First: canonical.ID{4}}, {First: canonical.ID{6}}}}
	for vid, want := range map[byte]int{0: -1, 1: -1, 2: 0, 3: 0, 4: 1, 5: 1, 6: 2, 255: 2} {
		if got := x.find(canonical.ID{vid}); got != want {
			t.Errorf("version %d: table %d, want %d", vid, got, want)
		}
	}
}

func FuzzDecodeTable(f *testing.F) {
	for _, n := range []int{1, 2, tableRows} {
		plain, err := encodeTable(sampleTable(n))
		must(f, err)
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := decodeTable(b)
		if err != nil {
			return
		}
		again, err := encodeTable(rows)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q is read, and written as %q (%v)", b, again, err)
		}
	})
}

func FuzzDecodeIndex(f *testing.F) {
	for _, x := range []index{
		{Format: indexFormat, EID: canonical.ID{1}, Survivors: state.BindSurvivors(nil), Tables: []indexed{}},
		{Format: indexFormat, EID: canonical.ID{1}, Survivors: state.BindSurvivors([]canonical.ID{{1}}), Tables: []indexed{{First: canonical.ID{1}, Name: canonical.ID{2}}}},
	} {
		plain, err := canonical.Marshal(x)
		must(f, err)
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := decodeIndex(b)
		if err != nil {
			return
		}
		for i, table := range x.Tables {
			if x.find(table.First) != i {
				t.Errorf("table %d of %q is not found by its first row", i, b)
			}
		}
	})
}

func FuzzDecodeSeed(f *testing.F) {
	plain, err := canonical.Marshal(seedObject{Format: seedFormat, Mode: state.AnyOf, Wraps: []wrappedSeed{{Instance: "k", Wrapped: []byte{1}}}})
	must(f, err)
	f.Add(plain)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeSeed(b); err == nil && s.Format != seedFormat {
			t.Errorf("%q has format %q", b, s.Format)
		}
	})
}

func TestSplit(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, 32)
	for _, part := range split(state.AnyOf, seed, 3) {
		if !bytes.Equal(part, seed) {
			t.Error("any-of: a part is not the seed")
		}
	}
	for n := 1; n <= 4; n++ {
		parts := split(state.AllOf, seed, n)
		sum := make([]byte, 32)
		for i, part := range parts {
			if n > 1 && bytes.Equal(part, seed) {
				t.Errorf("all-of %d: part %d is the seed", n, i)
			}
			for j := range sum {
				sum[j] ^= part[j]
			}
		}
		if !bytes.Equal(sum, seed) {
			t.Errorf("all-of %d: the parts do not make the seed", n)
		}
	}
}
