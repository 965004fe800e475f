package codec

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// The vectors of FORMAT.md §7.9 must decode to what stands there.
func TestFormatVectors(t *testing.T) {
	doc, err := os.ReadFile("../FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range []string{"planes-1 raw and constant", "planes-1 Huffman", "planes-1 frame", "zstd-1"} {
		_, rest, ok := strings.Cut(string(doc), "\n```text "+info+"\nplaintext ")
		plain, rest, found := strings.Cut(rest, "\nencoded ")
		encoded, _, end := strings.Cut(rest, "\n```\n")
		if !ok || !found || !end {
			t.Fatalf("FORMAT.md has no vector %q", info)
		}
		want, err := hex.DecodeString(plain)
		if err != nil {
			t.Fatal(err)
		}
		src, err := hex.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
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
