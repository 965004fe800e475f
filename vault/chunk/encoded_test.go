package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/manifest"
)

// encoded seals a plaintext that gains, in another encoding than none.
func encoded(t *testing.T, s *chunk.Sealer) (plain, sealed []byte, c *manifest.Chunk) {
	t.Helper()
	plain = []byte(strings.Repeat("weights are not text ", 10_000))
	name, inner := codec.NewEncoder().Encode(nil, plain, codec.Text)
	if name == codec.None {
		t.Fatal("it is not encoded")
	}
	sealed, made, err := s.Seal(nil, chunk.Content{Bytes: inner, Encoding: name, Digest: manifest.Sum(plain), Length: len(plain)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return plain, sealed, &made
}

func TestEncodedChunks(t *testing.T) {
	for _, padded := range []bool{false, true} {
		plain, sealed, c := encoded(t, newSealer(padded))
		if want := seal.SealedSize(c.Encoded, 1); !padded && (c.SealedSize != want || c.Encoded >= c.Length) {
			t.Errorf("%+v", c)
		}
		if padded && c.SealedSize != seal.SealedSize(64<<10, 1) {
			t.Errorf("padded: %d bytes", c.SealedSize)
		}
		// cid and seed are those of the plaintext.
		if c.Digest != manifest.Sum(plain) || c.Length != int64(len(plain)) {
			t.Errorf("%+v", c)
		}
		o := chunk.NewOpener(1, 1)
		for range 2 {
			got, err := o.Open(t.Context(), []byte("before"), sealed, c)
			if err != nil || !bytes.Equal(got, append([]byte("before"), plain...)) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		}
		if got, err := chunk.Open(nil, sealed, c, 1); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

// What does not come out at exactly its length is refused, and leaves nothing.
func TestEncodedChunksOfAnotherLength(t *testing.T) {
	plain, sealed, c := encoded(t, newSealer(false))
	o := chunk.NewOpener(2, 1)
	for name, change := range map[string]func(*manifest.Chunk){
		"longer":            func(c *manifest.Chunk) { c.Length++ },
		"shorter":           func(c *manifest.Chunk) { c.Length-- },
		"much longer":       func(c *manifest.Chunk) { c.Length = manifest.MaxChunk },
		"half":              func(c *manifest.Chunk) { c.Length /= 2 },
		"less is encoded":   func(c *manifest.Chunk) { c.Encoded-- },
		"more is encoded":   func(c *manifest.Chunk) { c.Encoded++ },
		"not encoded":       func(c *manifest.Chunk) { c.Encoded, c.Encoding = 0, codec.None },
		"in another manner": func(c *manifest.Chunk) { c.Encoding = "planes-1" },
	} {
		bad := *c
		change(&bad)
		dst := make([]byte, 6, manifest.MaxChunk)
		if got, err := o.Open(t.Context(), dst, sealed, &bad); !errors.Is(err, chunk.ErrIntegrity) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
		if spare := dst[:cap(dst)]; bytes.Contains(spare, plain[:40]) {
			t.Errorf("%s: plaintext was left", name)
		}
	}
	bad := *c
	bad.Encoding = "zstd-9"
	if _, err := o.Open(t.Context(), nil, sealed, &bad); !errors.Is(err, entry.ErrUpgrade) || errors.Is(err, chunk.ErrIntegrity) {
		t.Errorf("an encoding of another client: %v", err)
	}
	if got, err := o.Open(t.Context(), nil, sealed, c); err != nil || len(got) != len(plain) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestOpenerWaitsForItsTurn(t *testing.T) {
	_, sealed, c := encoded(t, newSealer(false))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := chunk.NewOpener(0, 1).Open(ctx, nil, sealed, c); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
