package seal

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"
)

var testFileKey = []byte("YELLOW SUBMARINE")

// With the random numbers of an age file, the same bytes come out.
func TestSameBytesAsAge(t *testing.T) {
	id, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, segmentSize, 3*segmentSize + 5, 9 * segmentSize} {
		plaintext := bytes.Repeat([]byte{7}, n)
		var b bytes.Buffer
		w, err := age.Encrypt(&b, id.Recipient().age, id.Recipient().age)
		if err == nil {
			_, err = w.Write(plaintext)
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		theirs := b.Bytes()
		h, err := CheckHeader(theirs)
		if err != nil {
			t.Fatal(err)
		}
		fileKey, err := age.DecryptHeader(theirs[:h.Size], id.open().age)
		if err != nil {
			t.Fatal(err)
		}
		nonce := theirs[h.Size:][:payloadNonceSize]
		for _, workers := range []int{1, 2, 5} {
			ours, err := appendFile(nil, plaintext, workers, fileKey, nonce, stanzas(theirs, h))
			if err != nil || !bytes.Equal(ours, theirs) {
				t.Errorf("%d bytes, %d workers: other bytes than age's: %v", n, workers, err)
			}
		}
	}
}

func TestEveryObjectHasItsOwnKeys(t *testing.T) {
	id, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{string(make([]byte, fileKeySize)): true}
	for range 4 {
		sealed, err := Seal(make([]byte, 100), id.Recipient(), id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		h, err := CheckHeader(sealed)
		if err != nil {
			t.Fatal(err)
		}
		fileKey, err := age.DecryptHeader(sealed[:h.Size], id.open().age)
		if err != nil {
			t.Fatal(err)
		}
		s := stanzas(sealed, h)
		for _, part := range []string{
			string(fileKey), string(sealed[h.Size:][:payloadNonceSize]),
			s[0].Args[0], s[1].Args[0], string(s[0].Body), string(s[1].Body),
		} {
			if seen[part] {
				t.Fatal("two objects or stanzas share a file key, a nonce, a share or a wrapping")
			}
			seen[part] = true
		}
	}
}

// Whatever is done to the segments of a payload, it no longer opens.
func TestPayloadTampering(t *testing.T) {
	const n = 4*segmentSize + 100
	file, err := appendFile(nil, make([]byte, n), 1, testFileKey, make([]byte, payloadNonceSize), nil)
	if err != nil {
		t.Fatal(err)
	}
	payload := payloadOf(t, file)
	if _, err := openPayload(payload, testFileKey, 2); err != nil {
		t.Fatal(err)
	}
	// seg is the nonce for 0 and segment i−1 for i.
	seg := func(i int) []byte {
		if i == 0 {
			return payload[:payloadNonceSize]
		}
		b := payload[payloadNonceSize+(i-1)*sealedSegment:]
		return b[:min(len(b), sealedSegment)]
	}
	for name, b := range map[string][]byte{
		"swapped":         slices.Concat(seg(0), seg(2), seg(1), seg(3), seg(4), seg(5)),
		"repeated":        slices.Concat(seg(0), seg(1), seg(2), seg(2), seg(3), seg(4), seg(5)),
		"first missing":   slices.Concat(seg(0), seg(2), seg(3), seg(4), seg(5)),
		"middle missing":  slices.Concat(seg(0), seg(1), seg(3), seg(4), seg(5)),
		"last missing":    slices.Concat(seg(0), seg(1), seg(2), seg(3), seg(4)),
		"last twice":      slices.Concat(seg(0), seg(1), seg(2), seg(3), seg(4), seg(5), seg(5)),
		"last first":      slices.Concat(seg(0), seg(5)),
		"one more byte":   append(bytes.Clone(payload), 0),
		"one less byte":   payload[:len(payload)-1],
		"nothing":         seg(0),
		"half a nonce":    payload[:payloadNonceSize/2],
		"other nonce":     append(make([]byte, 0, len(payload)), append(bytes.Repeat([]byte{1}, payloadNonceSize), payload[payloadNonceSize:]...)...),
		"other half left": slices.Concat(seg(0), seg(1)[:sealedSegment/2]),
	} {
		for _, workers := range []int{1, 2} {
			if _, err := openPayload(b, testFileKey, workers); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %d workers: %v, want ErrCorrupt", name, workers, err)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := bytes.Clone(payload)
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		if _, err := openPayload(b, testFileKey, 2); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v, want ErrCorrupt", err)
		}
	})
}

// A wrong MAC is noticed even if stanzas and payload are right.
func TestHeaderMACCoversEveryStanza(t *testing.T) {
	a, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	b, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := Seal([]byte("plaintext"), a.Recipient(), b.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	first, second := sealed[len(intro):][:stanzaSize], sealed[len(intro)+stanzaSize:][:stanzaSize]
	start, end := []byte(intro), sealed[len(intro)+2*stanzaSize:]
	for name, changed := range map[string][]byte{
		"one dropped":  slices.Concat(start, first, end),
		"swapped":      slices.Concat(start, second, first, end),
		"one repeated": slices.Concat(start, first, second, second, end),
	} {
		if _, err := OpenShared(changed, a); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	if _, err := OpenShared(slices.Concat(start, second, end), a); !errors.Is(err, ErrNoMatch) {
		t.Errorf("the matching one dropped: %v, want ErrNoMatch", err)
	}
}

func TestSizesAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64Range(0, 1<<20), rapid.Int64Range(0, math.MaxInt64/2)).Draw(t, "plaintext")
		if got, ok := plaintextSize(payloadSize(n)); !ok || got != n {
			t.Fatalf("plaintextSize(payloadSize(%d)) = %d, %v", n, got, ok)
		}
	})
	sizes := make(map[int64]bool)
	for n := range int64(3*segmentSize + 1) {
		sizes[payloadSize(n)] = true
	}
	for n := int64(-payloadNonceSize); n <= payloadSize(3*segmentSize); n++ {
		if _, ok := plaintextSize(n); ok != sizes[n] {
			t.Fatalf("plaintextSize(%d) says %v", n, ok)
		}
	}
}

func TestSpreadDoesEachOnce(t *testing.T) {
	for n := range 40 {
		for workers := -1; workers < 12; workers++ {
			counts := make([]atomic.Int32, n)
			if !spread(n, workers, func(_ *segmentNonce, i int) bool { counts[i].Add(1); return true }) {
				t.Fatalf("spread(%d, %d) failed", n, workers)
			}
			for i := range counts {
				if c := counts[i].Load(); c != 1 {
					t.Fatalf("spread(%d, %d) did %d %d times", n, workers, i, c)
				}
			}
			if n > 0 && spread(n, workers, func(_ *segmentNonce, i int) bool { return i != n-1 }) {
				t.Fatalf("spread(%d, %d) forgot a failure", n, workers)
			}
		}
	}
}

// The nonce is the big-endian counter of eleven bytes and the flag of C2SP age.md.
func TestSegmentNonce(t *testing.T) {
	var n segmentNonce
	for _, c := range []struct {
		i    int
		last bool
		want segmentNonce
	}{
		{0, true, segmentNonce{11: 1}},
		{0, false, segmentNonce{}},
		{0x01020304, false, segmentNonce{7: 1, 8: 2, 9: 3, 10: 4}},
		{255, true, segmentNonce{10: 255, 11: 1}},
		{1, false, segmentNonce{10: 1}},
	} {
		if n.set(c.i, c.last); n != c.want {
			t.Errorf("segment %d, last %v: %x, want %x", c.i, c.last, n, c.want)
		}
	}
}

// FuzzOpen holds Open against age itself.
func FuzzOpen(f *testing.F) {
	id, err := IdentityFromSeed(bytes.Repeat([]byte{1}, SeedSize))
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []int{0, 1, segmentSize + 1} {
		sealed, err := Seal(make([]byte, n), id.Recipient())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed)
	}
	two, err := Seal([]byte("x"), id.Recipient(), id.Recipient())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(two)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		shared, err := OpenShared(sealed, id)
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNoMatch) && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("an error of no kind: %v", err)
		}
		if r, ageErr := age.Decrypt(bytes.NewReader(sealed), id.open().age); ageErr == nil && err == nil {
			if want, ageErr := io.ReadAll(r); ageErr != nil || !bytes.Equal(shared, want) {
				t.Fatalf("age opens another plaintext, or none: %v", ageErr)
			}
		} else if err == nil {
			t.Fatalf("opened, age says: %v", ageErr)
		}
		alone, err := Open(sealed, id)
		if err == nil && !bytes.Equal(alone, shared) {
			t.Fatal("Open and OpenShared differ")
		}
		if h, headerErr := CheckHeader(sealed); err == nil && (headerErr != nil || h.Stanzas != 1 || h.PayloadSize != int64(len(alone))) {
			t.Fatalf("opened, though CheckHeader says %+v, %v", h, headerErr)
		}
	})
}

// FuzzMalleability changes one sealed object: every changed byte is refused.
func FuzzMalleability(f *testing.F) {
	id, err := IdentityFromSeed(bytes.Repeat([]byte{1}, SeedSize))
	if err != nil {
		f.Fatal(err)
	}
	plaintext := []byte("some plaintext")
	sealed, err := Seal(plaintext, id.Recipient())
	if err != nil {
		f.Fatal(err)
	}
	for _, at := range []uint16{0, 25, 50, 1500, 1540, 1580, 1600, 1626, 1627, 1642, 1643} {
		f.Add(at, uint16(1), []byte{'A'})
	}
	f.Add(uint16(0), uint16(0), []byte{})
	f.Add(uint16(len(sealed)), uint16(0), []byte{0})
	f.Fuzz(func(t *testing.T, at, drop uint16, insert []byte) {
		from := min(int(at), len(sealed))
		to := min(from+int(drop), len(sealed))
		changed := slices.Concat(sealed[:from], insert, sealed[to:])
		got, err := Open(changed, id)
		if same := bytes.Equal(changed, sealed); same != (err == nil) {
			t.Fatalf("changed: %v; %v", !same, err)
		}
		if err == nil && !bytes.Equal(got, plaintext) {
			t.Fatal("another plaintext")
		}
	})
}

// TestEveryByteMatters is the malleability of every single byte.
func TestEveryByteMatters(t *testing.T) {
	id, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := Seal([]byte("some plaintext"), id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		b := bytes.Clone(sealed)
		b[i] ^= 1 << (i % 8)
		got, err := Open(b, id)
		if err == nil || got != nil {
			t.Errorf("byte %d changed and opened", i)
		}
	}
}
