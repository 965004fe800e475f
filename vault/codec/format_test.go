package codec

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// vector returns the vector of FORMAT.md §7.9 with that info string, in hex.
func vector(t *testing.T, info string) (plain, encoded string) {
	t.Helper()
	doc, err := os.ReadFile("../FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "\n```text "+info+"\nplaintext ")
	plain, rest, found := strings.Cut(rest, "\nencoded ")
	encoded, _, end := strings.Cut(rest, "\n```\n")
	if !ok || !found || !end {
		t.Fatalf("FORMAT.md has no vector %q", info)
	}
	return plain, encoded
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of FORMAT.md §7.9 must decode to what stands there.
func TestFormatVectors(t *testing.T) {
	for _, info := range []string{"planes-1 raw and constant", "planes-1 Huffman", "planes-1 frame", "zstd-1"} {
		plain, encoded := vector(t, info)
		want, src := unhex(t, plain), unhex(t, encoded)
		name, _, _ := strings.Cut(info, " ")
		d := NewDecoder()
		if got, err := d.Decode(nil, src, name, len(want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: decodes to %x (%v)", info, got, err)
		}
		for _, n := range []int{len(want) - 1, len(want) + 1} {
			if _, err := d.Decode(nil, src, name, n); err == nil {
				t.Errorf("%s: decodes to %d bytes as well", info, n)
			}
		}
	}
}

// What FORMAT.md §7.9 has a decoder refuse, tried on its own vector.
func TestFormatRefusals(t *testing.T) {
	plain, good := vector(t, "planes-1 Huffman")
	for _, c := range []struct{ what, from, to string }{
		{"nothing changed", "", ""},
		{"a rotation of single bytes", "4061", "4461"},
		{"a phase as large as the width", "4061", "4861"},
		{"a mode that is none", "610261", "610361"},
		{"symbols in the wrong order", "6164", "6461"},
		{"an incomplete code", "2133", "2143"},
		{"a code too full", "2133", "2132"},
		{"a code of 12 bits", "2133", "2c33"},
		{"a stream shorter than its codes", "040000040000030000", "030000050000030000"},
		{"bits left over that are not 0", "64229303", "64229383"},
	} {
		src := unhex(t, strings.Replace(good, c.from, c.to, 1))
		if c.from != "" && !strings.Contains(good, c.from) {
			t.Errorf("%s: the vector has no %s", c.what, c.from)
		}
		if _, err := NewDecoder().Decode(nil, src, planes, len(plain)/2); (err == nil) != (c.from == "") {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	wide := unhex(t, "28b52ffd80700000010003000800")
	if err := checkFrame(wide, 1<<16); err == nil {
		t.Error("a window of 16 MiB is not refused before decoding")
	}
	wide[5] = 13 << 3
	if err := checkFrame(wide, 1<<16); err != nil {
		t.Errorf("a window of 8 MiB: %v", err)
	}
}
