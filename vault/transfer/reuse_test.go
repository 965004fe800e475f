package transfer_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault/transfer"
)

// chunkGets counts what is fetched of chunks, in bytes.
type chunkGets struct {
	backends.Store
	n *atomic.Int64
}

func (c chunkGets) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	r, info, err := c.Store.Get(ctx, ref, off, n)
	if err == nil && strings.Contains(ref.Key, "/c/") {
		c.n.Add(info.Size)
	}
	return r, info, err
}

// What a destination holds is not fetched: under its name, under another, in part.
func TestReuse(t *testing.T) {
	base := cheap(1, 36*mib)
	changed := []byte(base)
	copy(changed[20*mib:], cheap(2, 1000))
	for name, c := range map[string]struct {
		old, new        map[string]string
		kept, reused    int64 // the latter at least: where chunks end, their content and a key say
		fetched, atMost int64 // plaintext of chunks that must, and may, be fetched
	}{
		"the same":     {map[string]string{"w": base}, map[string]string{"w": base}, 36 * mib, 0, 0, 0},
		"moved":        {map[string]string{"w": base, "d/s": "small"}, map[string]string{"e/x": base, "s": "small"}, 0, 36*mib + 5, 0, 0},
		"copied":       {map[string]string{"w": base}, map[string]string{"w": base, "x": base, "y": base}, 36 * mib, 72 * mib, 0, 0},
		"empty again":  {map[string]string{"w": base, "none": ""}, map[string]string{"w": base, "other": ""}, 36 * mib, 0, 0, 0},
		"changed":      {map[string]string{"w": base}, map[string]string{"w": string(changed)}, 0, 20 * mib, 1000, 17 * mib},
		"appended":     {map[string]string{"w": base}, map[string]string{"w": base + cheap(3, mib)}, 0, 20 * mib, mib, 18 * mib},
		"cut":          {map[string]string{"w": base}, map[string]string{"w": base[:33*mib]}, 0, 33 * mib, 0, 0},
		"renamed too":  {map[string]string{"w": base}, map[string]string{"x": string(changed)}, 0, 20 * mib, 1000, 17 * mib},
		"prefix moved": {map[string]string{"w": cheap(4, 12345) + base}, map[string]string{"w": base}, 0, 36 * mib, 0, 0},
		"all new":      {map[string]string{"w": base}, map[string]string{"w": cheap(5, 36*mib)}, 0, 0, 36 * mib, 37 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			dest := tree(t, c.old)
			src := tree(t, c.new)
			s, _ := v.push(src, nil)
			s.Store = chunkGets{v.mem, new(atomic.Int64)}
			done := mustPull(t, s, dest, transfer.PullOptions{Force: true})
			for path := range c.new {
				want, _ := os.ReadFile(filepath.Join(src, path))
				if got, err := os.ReadFile(filepath.Join(dest, path)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s differs: %v", path, err)
				}
			}
			if done.KeptBytes != c.kept || done.Reused < c.reused || done.Reused+done.KeptBytes > done.Bytes || c.fetched == 0 && done.Reused != c.reused || done.Fetched < c.fetched || done.Fetched > c.atMost {
				t.Errorf("%+v", done)
			}
		})
	}
}

// A file that changes while it is reused does not become another's content.
func TestReusedFileThatChanges(t *testing.T) {
	v := newVault(t)
	src := tree(t, map[string]string{"a": cheap(1, 5*mib), "z": cheap(2, 5*mib)})
	s, _ := v.push(src, nil)
	dest := tree(t, map[string]string{"a": cheap(1, 5*mib), "y": cheap(2, 5*mib)})
	opened, err := transfer.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	_, err = opened.Pull(t.Context(), dest, transfer.PullOptions{Before: func(context.Context, transfer.Swap) error {
		return os.WriteFile(filepath.Join(dest, "y"), []byte(cheap(3, 5*mib)), 0o644)
	}})
	if err == nil {
		t.Fatal("the change was not noticed")
	}
	if _, err := os.Stat(filepath.Join(dest, "z")); err == nil {
		t.Error("a file got its name without its bytes")
	}
}

// One chunk holds bytes of many files and of many places in one: what comes before
// its turn does not wait for what comes after.
func TestChunksThatComeOutOfTurn(t *testing.T) {
	a, b := cheap(1, 16*mib), cheap(2, 16*mib)
	v := newVault(t)
	v.jobs = 1
	src := tree(t, map[string]string{"f": a + b + a + a + b + "end", "g": b + a + b, "h": a})
	s, _ := v.push(src, nil)
	dest := t.TempDir()
	mustPull(t, s, dest, transfer.PullOptions{})
	sameContents(t, dest, src)
}
