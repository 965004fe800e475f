package seal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"filippo.io/age"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/aivault/aivault/crypto/seal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const segment = 64 << 10

// boundaries are lengths of plaintext at which the shape of a payload changes.
var boundaries = []int{
	0, 1, segment - 1, segment, segment + 1, 2*segment - 1, 2 * segment, 2*segment + 1,
	4 * segment, 4*segment + 1, 5*segment - 1, 8 * segment, 16<<20 - 1, 16 << 20, 16<<20 + 1,
}

func TestStandardAgeOpensWhatSealWrites(t *testing.T) {
	id := newIdentity(t)
	for _, n := range boundaries {
		plaintext := random(n)
		sealed, err := seal.Seal(plaintext, id.Recipient())
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got, err := ageOpen(sealed, id); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes: age opens another plaintext, or none: %v", n, err)
		}
	}
}

func TestOpenReadsWhatStandardAgeWrites(t *testing.T) {
	id := newIdentity(t)
	for _, n := range boundaries {
		plaintext := random(n)
		if got, err := seal.Open(ageSeal(t, plaintext, id), id); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes: another plaintext, or none: %v", n, err)
		}
	}
}

// Whatever the size, the number of recipients and workers, and what stands in
// the destination: every recipient opens, both ways, and sizes are as foretold.
func TestRoundTrip(t *testing.T) {
	ids := []*seal.Identity{newIdentity(t), newIdentity(t), newIdentity(t)}
	stranger := newIdentity(t)
	rapid.Check(t, func(t *rapid.T) {
		segments := rapid.IntRange(0, 9).Draw(t, "segments")
		plaintext := random(max(0, segments*segment+rapid.IntRange(-2, 2).Draw(t, "more")))
		readers := ids[:rapid.IntRange(1, len(ids)).Draw(t, "recipients")]
		workers := rapid.IntRange(-1, 6).Draw(t, "workers")
		prefix := random(rapid.IntRange(0, 3).Draw(t, "prefix"))
		spare := rapid.SampledFrom([]int{0, 100, len(plaintext) + 1<<13}).Draw(t, "spare")

		var to []*seal.Recipient
		for _, id := range readers {
			to = append(to, id.Recipient())
		}
		out, err := seal.AppendSeal(withSpare(prefix, spare), plaintext, workers, to...)
		if err != nil {
			t.Fatal(err)
		}
		sealed, ok := bytes.CutPrefix(out, prefix)
		if !ok {
			t.Fatal("AppendSeal changed what stood in dst")
		}
		if want := seal.SealedSize(int64(len(plaintext)), len(to)); int64(len(sealed)) != want {
			t.Fatalf("%d bytes, SealedSize says %d", len(sealed), want)
		}
		want := seal.Header{Stanzas: len(to), Size: 70 + 1557*len(to), PayloadSize: int64(len(plaintext))}
		if h, err := seal.CheckHeader(sealed); err != nil || h != want {
			t.Fatalf("CheckHeader = %+v, %v, want %+v", h, err, want)
		}
		for _, id := range readers {
			if got, err := ageOpen(sealed, id); err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("age opens another plaintext, or none: %v", err)
			}
			if got, err := seal.OpenShared(sealed, id); err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("OpenShared gives another plaintext, or none: %v", err)
			}
			got, err := seal.AppendOpen(withSpare(prefix, spare), sealed, workers, id)
			switch {
			case len(to) == 1 && (err != nil || !bytes.Equal(got, append(bytes.Clone(prefix), plaintext...))):
				t.Fatalf("AppendOpen gives another plaintext, or none: %v", err)
			case len(to) > 1 && !errors.Is(err, seal.ErrFormat):
				t.Fatalf("AppendOpen of %d stanzas: %v, want ErrFormat", len(to), err)
			}
		}
		if _, err := seal.OpenShared(sealed, stranger); !errors.Is(err, seal.ErrNoMatch) {
			t.Fatalf("a stranger: %v, want ErrNoMatch", err)
		}
	})
}

func TestAppendUsesCapacity(t *testing.T) {
	id := newIdentity(t)
	plaintext := random(3 * segment)
	dst := make([]byte, 2, 2+seal.SealedSize(int64(len(plaintext)), 1))
	sealed, err := seal.AppendSeal(dst, plaintext, 1, id.Recipient())
	if err != nil || &sealed[0] != &dst[0] {
		t.Errorf("AppendSeal moved to another array, or failed: %v", err)
	}
	dst = make([]byte, 2, 2+len(plaintext))
	opened, err := seal.AppendOpen(dst, sealed[2:], 1, id)
	if err != nil || &opened[0] != &dst[0] {
		t.Errorf("AppendOpen moved to another array, or failed: %v", err)
	}
}

func TestFailedOpenLeavesNoPlaintext(t *testing.T) {
	id := newIdentity(t)
	sealed, err := seal.Seal(bytes.Repeat([]byte{0xa5}, 6*segment), id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	sealed[len(sealed)-1] ^= 1
	for _, workers := range []int{1, 2} {
		dst := make([]byte, 0, 6*segment)
		if got, err := seal.AppendOpen(dst, sealed, workers, id); got != nil || !errors.Is(err, seal.ErrCorrupt) {
			t.Fatalf("%d bytes, %v, want ErrCorrupt", len(got), err)
		}
		if bytes.IndexByte(dst[:cap(dst)], 0xa5) >= 0 {
			t.Errorf("%d workers left plaintext behind", workers)
		}
	}
}

func TestSealLimits(t *testing.T) {
	to := newIdentity(t).Recipient()
	if _, err := seal.Seal(nil); err == nil {
		t.Error("sealed to nobody")
	}
	if _, err := seal.Seal(nil, make([]*seal.Recipient, seal.MaxRecipients+1)...); err == nil {
		t.Error("sealed to too many")
	}
	largest := 0
	for n := seal.MaxSize; n > 0; n /= 2 {
		for seal.SealedSize(int64(largest+n), 1) <= seal.MaxSize {
			largest += n
		}
	}
	sealed, err := seal.Seal(make([]byte, largest), to)
	if err != nil || len(sealed) != seal.MaxSize {
		t.Errorf("largest plaintext: %d bytes, %v", len(sealed), err)
	}
	if _, err := seal.CheckHeader(sealed); err != nil {
		t.Errorf("largest object: %v", err)
	}
	if _, err := seal.CheckHeader(append(sealed, 0)); !errors.Is(err, seal.ErrFormat) {
		t.Errorf("an object too large: %v, want ErrFormat", err)
	}
	if _, err := seal.Seal(make([]byte, largest+1), to); err == nil {
		t.Error("sealed more than an object may hold")
	}
}

func TestSealedSize(t *testing.T) {
	for _, c := range []struct {
		plaintext  int64
		recipients int
		want       int64
	}{
		{0, 1, 1659},
		{1, 1, 1660},
		{segment, 1, 1659 + segment},
		{segment + 1, 1, 1659 + segment + 1 + 16},
		{16 << 20, 1, 1643 + 16<<20 + 256*16},
		{0, 2, 1659 + 1557},
		{-1, 1, math.MaxInt64},
		{0, 0, math.MaxInt64},
		{0, -1, math.MaxInt64},
		{math.MaxInt64, 1, math.MaxInt64},
		{math.MaxInt64 / 2, 1, 1643 + math.MaxInt64/2 + (math.MaxInt64/2+segment-1)/segment*16},
		{0, math.MaxInt, math.MaxInt64},
	} {
		if got := seal.SealedSize(c.plaintext, c.recipients); got != c.want {
			t.Errorf("SealedSize(%d, %d) = %d, want %d", c.plaintext, c.recipients, got, c.want)
		}
	}
}

// random returns n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// withSpare returns a copy of b with so much capacity to spare.
func withSpare(b []byte, spare int) []byte {
	return append(make([]byte, 0, len(b)+spare), b...)
}

func newIdentity(tb testing.TB) *seal.Identity {
	tb.Helper()
	id, err := seal.GenerateIdentity()
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// ageSeal seals with age's own library.
func ageSeal(tb testing.TB, plaintext []byte, to ...*seal.Identity) []byte {
	tb.Helper()
	var recipients []age.Recipient
	for _, id := range to {
		r, err := age.ParseHybridRecipient(id.Recipient().String())
		if err != nil {
			tb.Fatal(err)
		}
		recipients = append(recipients, r)
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, recipients...)
	if err == nil {
		_, err = w.Write(plaintext)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// ageOpen opens with age's own library.
func ageOpen(sealed []byte, id *seal.Identity) ([]byte, error) {
	ageID, err := age.ParseHybridIdentity(id.Reveal())
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), ageID)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func ExampleSeal() {
	id, err := seal.GenerateIdentity()
	if err != nil {
		panic(err)
	}
	sealed, err := seal.Seal([]byte("weights"), id.Recipient())
	if err != nil {
		panic(err)
	}
	plaintext, err := seal.Open(sealed, id)
	fmt.Printf("%s %v %s\n", plaintext, err, strings.SplitN(string(sealed), "\n", 2)[0])
	// Output: weights <nil> age-encryption.org/v1
}
