package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/backends"
)

func eraseChecks() []check {
	return []check{
		{"erase-gone", "An erased key is gone with all its versions, but for what is returned as retained.", eraseGone},
		{"erase-exact", "Erase removes exactly the keys it is given, not what starts with them.", eraseExact},
		{"erase-absent", "Erasing what is not there, nothing at all, or one key twice is no error.", eraseAbsent},
		{"erase-many", "Erase takes any number of keys.", eraseMany},
		{"put-after-erase", "An erased key can be put again.", putAfterErase},
	}
}

// gone fails if any of the names, or a version of one, is still there, unless
// it is among the remnants.
func (b *bench) gone(ctx context.Context, remnants []backends.Remnant, names ...string) error {
	retained := make(map[string]bool)
	for _, r := range remnants {
		retained[r.Key] = true
		if r.Why == "" {
			return fmt.Errorf("remnant of %s without a reason", r.Key)
		}
	}
	infos, err := b.list(ctx, "", backends.ListOptions{Versions: true})
	if err != nil {
		return err
	}
	for _, in := range infos {
		named := slices.ContainsFunc(remnants, func(r backends.Remnant) bool {
			return r.Key == b.prefix+in.Key && r.Version == in.Version
		})
		if slices.Contains(names, in.Key) && !named {
			return fmt.Errorf("version %q of %s (marker: %v) is still listed", in.Version, in.Key, in.Marker)
		}
	}
	for _, name := range names {
		if retained[b.prefix+name] {
			continue
		}
		if err := b.absent(ctx, name); err != nil {
			return fmt.Errorf("after erase: %w", err)
		}
	}
	return nil
}

// erase erases prefix+name for each name.
func (b *bench) erase(ctx context.Context, names ...string) ([]backends.Remnant, error) {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = b.key(name)
	}
	rem, err := b.Erase(ctx, keys...)
	if err != nil {
		return rem, fmt.Errorf("erase of %d keys: %w", len(keys), err)
	}
	return rem, nil
}

func eraseGone(ctx context.Context, b *bench) error {
	names := []string{"a", "b/c", "b/d", "e/f/g"}
	versions := make(map[string]string)
	for _, name := range names {
		in, err := b.put(ctx, name, []byte(name))
		if err != nil {
			return err
		}
		versions[name] = in.Version
	}
	rem, err := b.erase(ctx, names...)
	if err != nil {
		return err
	}
	if err := b.gone(ctx, rem, names...); err != nil {
		return err
	}
	for name, version := range versions {
		if slices.ContainsFunc(rem, func(r backends.Remnant) bool { return r.Key == b.key(name) }) {
			continue
		}
		_, _, err := b.read(ctx, backends.Ref{Key: b.key(name), Version: version}, 0, -1)
		if err := wantKind("get of the version that was erased", err, backends.NotExist); err != nil {
			return err
		}
	}
	return nil
}

func eraseExact(ctx context.Context, b *bench) error {
	names := []string{"a-b", "a.b", "a/b", "a/b-c", "a/bc", "a0", "aa"}
	if err := b.putAll(ctx, names...); err != nil {
		return err
	}
	for _, name := range []string{"a", "a/b", "a/c", "aa"} {
		if _, err := b.erase(ctx, name); err != nil {
			return err
		}
	}
	return errors.Join(
		b.expect(ctx, "a-b", []byte("a-b")), b.expect(ctx, "a.b", []byte("a.b")),
		b.expect(ctx, "a/b-c", []byte("a/b-c")), b.expect(ctx, "a/bc", []byte("a/bc")), b.expect(ctx, "a0", []byte("a0")))
}

func eraseAbsent(ctx context.Context, b *bench) error {
	if _, err := b.erase(ctx); err != nil {
		return err
	}
	switch rem, err := b.erase(ctx, "never", "never/was"); {
	case err != nil:
		return fmt.Errorf("absent keys: %w", err)
	case len(rem) > 0:
		return fmt.Errorf("erase of absent keys: remnants %v", rem)
	}
	if err := b.putAll(ctx, "k", "l"); err != nil {
		return err
	}
	rem, err := b.erase(ctx, "k", "never", "k", "l")
	if err != nil {
		return err
	}
	again, err := b.erase(ctx, "k", "l")
	if err != nil {
		return fmt.Errorf("repeated: %w", err)
	}
	if len(again) > len(rem) {
		return fmt.Errorf("repeated: remnants %v, at first %v", again, rem)
	}
	return nil
}

func eraseMany(ctx context.Context, b *bench) error {
	names := crowd(manyKeys)
	if err := b.putAll(ctx, names...); err != nil {
		return err
	}
	rem, err := b.erase(ctx, names...)
	if err != nil {
		return err
	}
	infos, err := b.list(ctx, "", backends.ListOptions{Versions: true})
	if err != nil {
		return err
	}
	if len(infos) != len(rem) {
		return fmt.Errorf("%d of %d erased versions are still listed, and %d were returned as retained", len(infos), len(names), len(rem))
	}
	return nil
}

func putAfterErase(ctx context.Context, b *bench) error {
	for _, body := range []string{"one", "two", "two", ""} {
		if _, err := b.put(ctx, "k", []byte(body)); err != nil {
			return err
		}
		if err := b.expect(ctx, "k", []byte(body)); err != nil {
			return err
		}
		rem, err := b.erase(ctx, "k")
		if err != nil {
			return err
		}
		if len(rem) > 0 {
			return nil // a lock keeps the key in use
		}
	}
	return nil
}
