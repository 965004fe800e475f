package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/aivault/aivault/backends"
)

func keyChecks() []check {
	return []check{
		{"keys-allowed", "Every key of up to MaxKey bytes of [a-z0-9/.-] without an empty or all-dots segment can be used.", keysAllowed},
		{"keys-refused", "Put, Get and Erase refuse every other key with Invalid.", keysRefused},
		{"prefixes-refused", "List refuses with Invalid a prefix that no key can start with.", prefixesRefused},
	}
}

func keysAllowed(ctx context.Context, b *bench) error {
	room := backends.MaxKey - len(b.prefix)
	names := []string{
		strings.Repeat("x", room),
		strings.Repeat("y/", room/2-1) + "y",
		"-", ".a", "a..b", "--/-", "0123456789", "a.tmp", ".tmp/a", "tmp/a", "lost-found", "abcdefghijklmnopqrstuvwxyz",
	}
	if err := b.putAll(ctx, names...); err != nil {
		return err
	}
	for _, name := range names {
		if err := b.expect(ctx, name, []byte(name)); err != nil {
			return err
		}
	}
	got, err := b.names(ctx, "", backends.ListOptions{})
	if err != nil {
		return err
	}
	return wantNames("listing", got, sorted(names))
}

// badNames are refused wherever they stand in a key.
func badNames() []string {
	return []string{
		"A", "kEy", "a b", " ", "a\x00b", "\x00", "a\\b", "a_b", "a+b", "a%2fb", "a?b", "a#b", "a:b", "a*b", "\u00e4", "\xff",
		"a\nb", "~", "..", ".", "...", "../a", "a/..", "a/../b", "./a", "a/.", "a//b", "/a", "a/", "a//",
	}
}

func keysRefused(ctx context.Context, b *bench) error {
	keys := []string{"", "/", "/a", ".", "..", "../a", "/" + b.prefix + "a", strings.Repeat("x", backends.MaxKey+1)}
	for _, name := range badNames() {
		keys = append(keys, b.prefix+name)
	}
	keys = append(keys, b.prefix+strings.Repeat("x", backends.MaxKey-len(b.prefix)+1))
	body := []byte("should not be stored")
	for _, key := range keys {
		_, err := b.Put(ctx, key, body)
		if err := wantKind(fmt.Sprintf("put of key %q", key), err, backends.Invalid); err != nil {
			b.Erase(ctx, key)
			return err
		}
		r, _, err := b.Get(ctx, backends.Ref{Key: key}, 0, -1)
		if err == nil {
			r.Close()
		}
		if err := wantKind(fmt.Sprintf("get of key %q", key), err, backends.Invalid); err != nil {
			return err
		}
	}
	if _, err := b.put(ctx, "good", body); err != nil {
		return err
	}
	for _, key := range keys {
		_, err := b.Erase(ctx, b.key("good"), key)
		if err := wantKind(fmt.Sprintf("erase of key %q", key), err, backends.Invalid); err != nil {
			return err
		}
	}
	// A call that is refused as invalid has done nothing.
	got, _, err := b.read(ctx, backends.Ref{Key: b.key("good")}, 0, -1)
	switch {
	case err != nil:
		return fmt.Errorf("a good key was erased by calls that were refused: %w", err)
	case !bytes.Equal(got, body):
		return fmt.Errorf("a good key was changed by calls that were refused: %s", difference(got, body))
	}
	return nil
}

func prefixesRefused(ctx context.Context, b *bench) error {
	for _, prefix := range []string{
		"/", "A", " ", "\x00", "a\\b", "a_", "\u00e4", "a//", "a//b", "/a", "./", "../", "a/../", "a/./b", "a/.../",
		strings.Repeat("x", backends.MaxKey+1),
	} {
		var err error
		for in, e := range b.List(ctx, prefix, backends.ListOptions{Limit: 1}) {
			if err = e; e == nil {
				return fmt.Errorf("list of prefix %q gave %+v", prefix, in)
			}
		}
		if err := wantKind(fmt.Sprintf("list of prefix %q", prefix), err, backends.Invalid); err != nil {
			return err
		}
	}
	var err error
	for _, e := range b.List(ctx, b.prefix, backends.ListOptions{Limit: -1}) {
		err = e
	}
	return wantKind("list with limit -1", err, backends.Invalid)
}
