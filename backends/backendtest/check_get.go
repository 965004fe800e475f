package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
)

func getChecks() []check {
	return []check{
		{"read-after-write", "As soon as Put returns, Get and List show the object, also where they just found nothing.", readAfterWrite},
		{"bytes-intact", "What was put comes back bit for bit.", bytesIntact},
		{"get-range", "Get reads n bytes from off, to the end if n < 0, cut short at the end; off beyond the end is Invalid.", getRange},
		{"get-version", "An object is readable by the version that Put returned and by the one a listing of versions names.", getVersion},
		{"get-absent", "A get of what is not there is NotExist, which is fs.ErrNotExist.", getAbsent},
		{"modified", "Get and List tell the same storage time of an object, and it does not run backwards.", modified},
	}
}

func readAfterWrite(ctx context.Context, b *bench) error {
	for i := range 8 {
		name := fmt.Sprintf("d/k%d", i)
		if err := b.absent(ctx, name); err != nil {
			return err
		}
		if got, err := b.names(ctx, name, backends.ListOptions{}); err != nil || len(got) > 0 {
			return fmt.Errorf("listing before the put: %q, %v", got, err)
		}
		if err := b.putAll(ctx, name); err != nil {
			return err
		}
		if err := b.expect(ctx, name, []byte(name)); err != nil {
			return fmt.Errorf("right after put: %w", err)
		}
		got, err := b.names(ctx, name, backends.ListOptions{})
		if err != nil {
			return err
		}
		if err := wantNames("listing right after put", got, []string{name}); err != nil {
			return err
		}
	}
	return nil
}

func bytesIntact(ctx context.Context, b *bench) error {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i, body := range [][]byte{
		all,
		bytes.Repeat([]byte("\r\n"), 500),
		[]byte("5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\n\r\n"),
		{0x1f, 0x8b, 8, 0, 0, 0, 0, 0}, // looks like gzip to a helpful proxy
		make([]byte, 70_000),
		random(1<<20 + 1),
	} {
		name := fmt.Sprintf("k%d", i)
		if _, err := b.put(ctx, name, body); err != nil {
			return err
		}
		if err := b.expect(ctx, name, body); err != nil {
			return err
		}
	}
	return nil
}

func getRange(ctx context.Context, b *bench) error {
	const size = 200_000
	body := random(size)
	if _, err := b.put(ctx, "k", body); err != nil {
		return err
	}
	if _, err := b.put(ctx, "empty", nil); err != nil {
		return err
	}
	for _, c := range []struct {
		off, n   int64
		from, to int // of body; from < 0: Invalid
	}{
		{0, -1, 0, size}, {0, -7, 0, size}, {0, size, 0, size}, {0, size + 1, 0, size}, {0, 1 << 62, 0, size},
		{0, 1, 0, 1}, {0, 0, 0, 0}, {1, 0, 0, 0}, {1, 1, 1, 2}, {65535, 2, 65535, 65537}, {1000, 100_000, 1000, 101_000},
		{size - 1, 1, size - 1, size}, {size - 1, -1, size - 1, size}, {size - 1, 100, size - 1, size}, {5, 1<<63 - 1, 5, size},
		{size, -1, size, size}, {size, 0, size, size}, {size, 10, size, size},
		{size + 1, -1, -1, 0}, {size + 1, 0, -1, 0}, {size + 1, 1, -1, 0}, {1 << 62, 1, -1, 0}, {-1, 1, -1, 0}, {-1, -1, -1, 0},
	} {
		what := fmt.Sprintf("get off %d n %d of %d bytes", c.off, c.n, size)
		got, in, err := b.read(ctx, backends.Ref{Key: b.key("k")}, c.off, c.n)
		if c.from < 0 {
			if err := wantKind(what, err, backends.Invalid); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if !bytes.Equal(got, body[c.from:c.to]) {
			return fmt.Errorf("%s: %s", what, difference(got, body[c.from:c.to]))
		}
		if in.Size != size || in.Key != b.key("k") {
			return fmt.Errorf("%s: info %+v is not of the whole object", what, in)
		}
	}
	for _, n := range []int64{-1, 0, 1} {
		got, in, err := b.read(ctx, backends.Ref{Key: b.key("empty")}, 0, n)
		if err != nil || len(got) != 0 || in.Size != 0 {
			return fmt.Errorf("get off 0 n %d of an empty object: %d bytes, %+v, %v", n, len(got), in, err)
		}
		_, _, err = b.read(ctx, backends.Ref{Key: b.key("empty")}, 1, n)
		if err := wantKind(fmt.Sprintf("get off 1 n %d of an empty object", n), err, backends.Invalid); err != nil {
			return err
		}
	}
	return nil
}

func getVersion(ctx context.Context, b *bench) error {
	body := random(1000)
	in, err := b.put(ctx, "k", body)
	if err != nil {
		return err
	}
	refs := []backends.Ref{in.Ref}
	listed, err := b.list(ctx, "k", backends.ListOptions{Versions: true})
	if err != nil {
		return err
	}
	for _, v := range listed {
		refs = append(refs, backends.Ref{Key: b.key(v.Key), Version: v.Version})
	}
	for _, ref := range refs {
		got, _, err := b.read(ctx, ref, 0, -1)
		if err != nil {
			return fmt.Errorf("get of version %q: %w", ref.Version, err)
		}
		if !bytes.Equal(got, body) {
			return fmt.Errorf("get of version %q: %s", ref.Version, difference(got, body))
		}
	}
	// A store may know by the form of a version that it never gave it out.
	_, _, err = b.read(ctx, backends.Ref{Key: b.key("k"), Version: "no-such-version"}, 0, -1)
	return wantKind("get of a version that never was", err, backends.NotExist, backends.Invalid)
}

func getAbsent(ctx context.Context, b *bench) error {
	if err := b.putAll(ctx, "there/k"); err != nil {
		return err
	}
	for _, name := range []string{"absent", "there", "there/k2", "there/absent/k", "not/there"} {
		if err := b.absent(ctx, name); err != nil {
			return err
		}
		_, _, err := b.Get(ctx, backends.Ref{Key: b.key(name)}, 0, 1)
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("get %s: error %v is not fs.ErrNotExist", name, err)
		}
	}
	return nil
}

// grain is the coarsest resolution of storage time that is put up with: HTTP
// headers tell whole seconds.
const grain = 2 * time.Second

func modified(ctx context.Context, b *bench) error {
	var last time.Time
	for i := range 3 {
		name := strings.Repeat("k", i+1) + ".o"
		put, err := b.put(ctx, name, random(10))
		if err != nil {
			return err
		}
		_, got, err := b.read(ctx, backends.Ref{Key: b.key(name)}, 0, -1)
		if err != nil {
			return err
		}
		listed, err := b.list(ctx, name, backends.ListOptions{})
		if err != nil {
			return err
		}
		if len(listed) != 1 {
			return fmt.Errorf("listing of one object: %+v", listed)
		}
		at := listed[0].Modified
		if at.IsZero() || got.Modified.IsZero() {
			return fmt.Errorf("no storage time: get says %v, list %v", got.Modified, at)
		}
		if d := at.Sub(got.Modified).Abs(); d > grain {
			return fmt.Errorf("get says %v, list %v", got.Modified, at)
		}
		if d := at.Sub(put.Modified).Abs(); !put.Modified.IsZero() && d > grain {
			return fmt.Errorf("put says %v, list %v", put.Modified, at)
		}
		if at.Before(last.Add(-grain)) {
			return fmt.Errorf("an object of %v was written after one of %v", at, last)
		}
		last = at
	}
	return nil
}
