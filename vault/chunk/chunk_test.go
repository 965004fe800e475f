package chunk_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

func newSealer(padded bool) *chunk.Sealer {
	return &chunk.Sealer{Version: canonical.NewID(), Secret: manifest.NewSecret(), Padded: padded}
}

func sealed(t testing.TB, s *chunk.Sealer, plain []byte) ([]byte, *manifest.Chunk) {
	t.Helper()
	b, c, err := s.Seal(nil, chunk.Plain(bytes.Clone(plain), manifest.Sum(plain)), 2)
	if err != nil {
		t.Fatal(err)
	}
	return b, &c
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestSealOpen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSealer(rapid.Bool().Draw(rt, "padded"))
		plain := random(rapid.IntRange(1, 200<<10).Draw(rt, "length"))
		b, c := sealed(t, s, plain)
		if err := chunk.Verify(c, b); err != nil {
			rt.Error(err)
		}
		if c.SealedSize != int64(len(b)) || c.Length != int64(len(plain)) || c.Creator != s.Version {
			rt.Errorf("%d bytes sealed into %d: %+v", len(plain), len(b), c)
		}
		if want := seal.SealedSize(manifest.PaddedSize(c.Length), 1); s.Padded && c.SealedSize != want {
			rt.Errorf("%d bytes sealed into %d instead of %d", len(plain), len(b), want)
		}
		got, err := chunk.Open([]byte("before"), b, c, 2)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(got, append([]byte("before"), plain...)) {
			rt.Error("another plaintext came out")
		}
		if err := chunk.VerifyPlain(c, got[len("before"):]); err != nil {
			rt.Error(err)
		}
	})
}

func TestMaxSealedIsRoomForEveryChunk(t *testing.T) {
	if size := seal.SealedSize(manifest.MaxChunk, 1); size > chunk.MaxSealed {
		t.Errorf("%d bytes", size)
	}
}

func TestSealInPlace(t *testing.T) {
	plain, dst := make([]byte, 100_000, manifest.MaxChunk), make([]byte, 0, chunk.MaxSealed)
	out, _, err := newSealer(true).Seal(dst, chunk.Plain(plain, manifest.Sum(plain)), 1)
	if err != nil {
		t.Fatal(err)
	}
	if &out[0] != &dst[:1][0] {
		t.Error("a buffer with room enough was replaced")
	}
}

// The same chunk sealed twice is another object: a file key seals one byte string.
func TestSealTwiceGivesTwoNames(t *testing.T) {
	s, plain := newSealer(false), []byte("plain")
	b1, c1 := sealed(t, s, plain)
	b2, c2 := sealed(t, s, plain)
	if bytes.Equal(b1, b2) || c1.Name == c2.Name || c1.Name[:64] != c2.Name[:64] || !c1.Seed.Equal(c2.Seed) {
		t.Errorf("%s and %s", c1.Name, c2.Name)
	}
}

func TestTamperedChunks(t *testing.T) {
	s := newSealer(false)
	b, c := sealed(t, s, random(100_000))
	other, oc := sealed(t, s, random(100_000))
	longer, _ := sealed(t, s, random(100_001))
	shared, err := seal.Seal(random(100_000), recipient(t, c.Seed), recipient(t, oc.Seed))
	if err != nil {
		t.Fatal(err)
	}
	substitute, err := seal.Seal(random(100_000), recipient(t, c.Seed))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"truncated":     b[:len(b)-1],
		"extended":      append(bytes.Clone(b), 0),
		"header":        flip(b, 50),
		"payload":       flip(b, len(b)/2),
		"tag":           flip(b, len(b)-1),
		"swapped":       other,
		"other length":  longer,
		"two stanzas":   shared,
		"nothing":       nil,
		"no age object": random(100_000),
	} {
		if err := chunk.Verify(c, bad); !errors.Is(err, chunk.ErrIntegrity) {
			t.Errorf("%s: verify: %v", name, err)
		}
		if got, err := chunk.Open(nil, bad, c, 1); !errors.Is(err, chunk.ErrIntegrity) || got != nil {
			t.Errorf("%s: open: %v", name, err)
		}
	}
	// Who knows the chunk's recipient can seal something else to it. Then only
	// the digests tell.
	got, err := chunk.Open(nil, substitute, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := chunk.VerifyPlain(c, got); !errors.Is(err, chunk.ErrIntegrity) {
		t.Errorf("substituted: %v", err)
	}
	if err := chunk.Verify(c, substitute); !errors.Is(err, chunk.ErrIntegrity) {
		t.Errorf("substituted: %v", err)
	}
}

func TestPaddingIsZerosUpToAFixedSize(t *testing.T) {
	s := newSealer(true)
	plain := random(1000)
	_, c := sealed(t, s, plain)
	dirty := manifest.Pad(bytes.Clone(plain))
	dirty[len(dirty)-1] = 1
	for name, padded := range map[string][]byte{"no zeros": dirty, "another size": append(bytes.Clone(plain), 0)} {
		b, err := seal.Seal(padded, recipient(t, c.Seed))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chunk.Open(nil, b, c, 1); !errors.Is(err, chunk.ErrIntegrity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func recipient(t *testing.T, seed manifest.Secret) *seal.Recipient {
	t.Helper()
	b := seed.Reveal()
	id, err := seal.IdentityFromSeed(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return id.Recipient()
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

func TestFetch(t *testing.T) {
	aid := canonical.Sum(nil)
	b, c := sealed(t, newSealer(false), random(1000))
	under := mem.New(mem.Options{})
	if err := chunk.Put(t.Context(), under, c.Key(aid), b, 0); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		mode backendtest.Mode
		gets int
	}{
		"no fault":    {backendtest.Pass, 1},
		"unavailable": {backendtest.Fail, 2},
		"broken off":  {backendtest.Break, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			faulty := backendtest.NewFaulty(under, backendtest.FailNth(backendtest.Get, 1, x.mode))
			got, err := chunk.Fetch(t.Context(), faulty, aid, c, []byte("before"), 0)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !bytes.Equal(got, append([]byte("before"), b...)) || faulty.Calls(backendtest.Get) != x.gets {
				t.Errorf("%s: %d bytes in %d gets", name, len(got), faulty.Calls(backendtest.Get))
			}
		})
	}
	if got, err := chunk.Head(t.Context(), under, aid, c, 100, 0); err != nil || !bytes.Equal(got, b[:100]) {
		t.Errorf("head: %d bytes, %v", len(got), err)
	}
	if got, err := chunk.Get(t.Context(), under, c.Key(aid), c.Sealed, 0); err != nil || !bytes.Equal(got, b) {
		t.Errorf("get: %d bytes, %v", len(got), err)
	}
	if _, err := chunk.Get(t.Context(), under, c.Key(aid), canonical.Sum(nil), 0); !errors.Is(err, chunk.ErrIntegrity) {
		t.Errorf("get under another digest: %v", err)
	}
}

func TestFetchDoesNotBelieveTheStore(t *testing.T) {
	aid := canonical.Sum(nil)
	b, c := sealed(t, newSealer(false), random(1000))
	for name, change := range map[string]func(s *mem.Store) backends.Store{
		"missing": func(s *mem.Store) backends.Store { s.Remove(c.Key(aid)); return s },
		"shorter": func(s *mem.Store) backends.Store {
			s.Tamper(c.Key(aid), func(b []byte) []byte { return b[1:] })
			return s
		},
		"longer": func(s *mem.Store) backends.Store {
			s.Tamper(c.Key(aid), func(b []byte) []byte { return append(b, 0) })
			return s
		},
		"truncated": func(s *mem.Store) backends.Store {
			return backendtest.NewFaulty(s, backendtest.FailKeys(backendtest.Get, "", backendtest.Truncate))
		},
		"corrupt": func(s *mem.Store) backends.Store {
			return backendtest.NewFaulty(s, func(backendtest.Call) backendtest.Fault {
				return backendtest.Fault{Mode: backendtest.Fail, Err: &backends.Error{Op: "get", Key: c.Key(aid), Kind: backends.Corrupt}}
			})
		},
		"lying": func(s *mem.Store) backends.Store { return liar{s} },
	} {
		s := mem.New(mem.Options{})
		if err := chunk.Put(t.Context(), s, c.Key(aid), b, 0); err != nil {
			t.Fatal(err)
		}
		_, err := chunk.Fetch(t.Context(), change(s), aid, c, nil, 0)
		if !errors.Is(err, chunk.ErrIntegrity) || !bytes.Contains([]byte(err.Error()), []byte(c.Name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Recognise knows what Seal made, of this plaintext, under this secret, and
// describes it alike; anything else it refuses.
func TestRecognise(t *testing.T) {
	for _, padded := range []bool{false, true} {
		s := newSealer(padded)
		plain := random(70_000)
		b, c := sealed(t, s, plain)
		if got, err := s.Recognise(b, chunk.Plain(plain, c.Digest)); err != nil || got.Name != c.Name || got.Sealed != c.Sealed || got.Length != c.Length || got.SealedSize != c.SealedSize || !got.Seed.Equal(c.Seed) {
			t.Errorf("padded %v: %+v, %v", padded, got, err)
		}
		again, _ := sealed(t, s, plain)
		if got, err := s.Recognise(again, chunk.Plain(plain, c.Digest)); err != nil || got.Name == c.Name {
			t.Errorf("padded %v, sealed again: %+v, %v", padded, got, err)
		}
		other := newSealer(!padded)
		other.Secret = s.Secret
		unlike, _ := sealed(t, other, plain)
		stranger, _ := sealed(t, newSealer(padded), plain)
		for name, b := range map[string][]byte{"other padding": unlike, "other secret": stranger, "cut": b[:len(b)-1], "longer": append(bytes.Clone(b), 0), "nothing": nil} {
			if _, err := s.Recognise(b, chunk.Plain(plain, c.Digest)); !errors.Is(err, chunk.ErrIntegrity) {
				t.Errorf("padded %v, %s: %v", padded, name, err)
			}
		}
		if _, err := s.Recognise(b, chunk.Plain(plain[:len(plain)-1], c.Digest)); !errors.Is(err, chunk.ErrIntegrity) {
			t.Errorf("padded %v, other plaintext: %v", padded, err)
		}
	}
}
