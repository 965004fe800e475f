package seal_test

import (
	"bytes"
	"testing"

	"github.com/aivault/aivault/crypto/seal"
)

// What NewWriter writes is what Seal writes, and nothing before it is closed.
func TestNewWriter(t *testing.T) {
	id := newIdentity(t)
	for _, n := range []int{0, 1, segment, segment + 1, 3*segment + 5} {
		plaintext := random(n)
		var out bytes.Buffer
		w, err := seal.NewWriter(&out, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		for part := range bytes.SplitAfterSeq(plaintext, []byte{0}) {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := seal.Open(out.Bytes(), id); err == nil && n > 0 {
			t.Errorf("%d bytes: it opens before it is closed", n)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := seal.Open(out.Bytes(), id); err != nil || !bytes.Equal(got, plaintext) || int64(out.Len()) != seal.SealedSize(int64(n), 1) {
			t.Errorf("%d bytes: another plaintext, or none: %v", n, err)
		}
		if _, err := seal.Open(out.Bytes(), newIdentity(t)); err == nil {
			t.Errorf("%d bytes: anybody opens it", n)
		}
	}
}
