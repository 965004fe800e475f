package machine

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
)

// clock returns times one second apart.
func clock() func() time.Time {
	t := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return func() time.Time { t = t.Add(time.Second); return t }
}

func sealedBytes(n int) []byte {
	return append([]byte(sealedMark), bytes.Repeat([]byte{'x'}, n)...)
}

func TestCache(t *testing.T) {
	d := New(t.TempDir())
	c := d.Cache(canonical.Sum([]byte("v")), clock())
	if _, ok := c.Get("log/1"); ok {
		t.Error("an empty cache has something")
	}
	c.Put("log/1", sealedBytes(10))
	c.Put("log/1", sealedBytes(20))
	again := d.Cache(canonical.Sum([]byte("v")), clock())
	if b, ok := again.Get("log/1"); !ok || !bytes.Equal(b, sealedBytes(20)) {
		t.Errorf("got %q, %t", b, ok)
	}
	other := d.Cache(canonical.Sum([]byte("w")), clock())
	if _, ok := other.Get("log/1"); ok {
		t.Error("another vault sees it")
	}
}

// TestOnlyCiphertext keeps whoever caches a plaintext by mistake from doing so.
func TestOnlyCiphertext(t *testing.T) {
	c := New(t.TempDir()).Cache(canonical.Digest{}, clock())
	for _, b := range [][]byte{nil, []byte("weights"), []byte("age-encryption.org/v2\n"), sealedBytes(maxCached)} {
		c.Put("k", b)
		if _, ok := c.Get("k"); ok {
			t.Errorf("%.30q was kept", b)
		}
	}
}

func TestTornFileIsForgotten(t *testing.T) {
	c := New(t.TempDir()).Cache(canonical.Digest{}, clock())
	c.Put("k", sealedBytes(100))
	for _, size := range []int64{50, 31, 0} {
		if err := os.Truncate(c.file("k"), size); err != nil {
			t.Fatal(err)
		}
		if b, ok := c.Get("k"); ok {
			t.Errorf("%d bytes of a torn file", len(b))
		}
		c.Put("k", sealedBytes(100))
	}
}

func TestLeastRecentlyUsedGoes(t *testing.T) {
	c := New(t.TempDir()).Cache(canonical.Digest{}, clock())
	c.limit = 10_000
	for i := range 9 {
		c.Put(fmt.Sprint(i), sealedBytes(1000))
	}
	c.Get("0")
	c.Put("9", sealedBytes(1000))
	if _, ok := c.Get("0"); !ok {
		t.Error("what was just used is gone")
	}
	if _, ok := c.Get("1"); ok {
		t.Error("what was used least recently is still there")
	}
	if _, ok := c.Get("9"); !ok {
		t.Error("what was just put is gone")
	}
	var total int64
	files, err := os.ReadDir(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > c.limit || total != c.size {
		t.Errorf("%d bytes on disk, %d counted, limit %d", total, c.size, c.limit)
	}
}
