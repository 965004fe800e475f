package backendtest

import (
	"context"
	"fmt"
	"slices"

	"github.com/aivault/aivault/backends"
)

func listChecks() []check {
	return []check{
		{"list-order", "A listing is in bytewise order of whole keys, where '-' and '.' sort before '/'.", listOrder},
		{"list-pages", "A listing yields every key once, in order, however many there are.", listPages},
		{"list-prefix", "A prefix need not end at a segment boundary, and what does not start with it is not listed.", listPrefix},
		{"list-limit", "A listing stops after Limit results.", listLimit},
		{"list-one-level", "A one-level listing names each common prefix once, in order, with all but the key zero.", listOneLevel},
		{"list-versions", "A listing of versions yields every version of every key, in order of keys.", listVersions},
		{"list-info", "A listing tells the size of each object.", listInfo},
		{"list-break", "A consumer may stop a listing at any result, and list again.", listBreak},
	}
}

// traps are names whose order differs between comparing whole keys and
// comparing segment by segment, as a walk over directories does.
func traps() []string {
	return []string{
		"a-", "a-b-", "a-b/c", "a.", "a.b/c", "a/b-c", "a/b.c", "a/b/c", "a/b0", "a/bb", "a0-", "a0/b", "aa-", "aa/a",
		"b--/x", "b-/x", "b./x", "b/x", "b0/x", "-", ".a", "0", "z/z/z/z", "z/z/z-z", "z/z/z.z", "z/z-z",
	}
}

func sorted(names []string) []string {
	out := slices.Clone(names)
	slices.Sort(out)
	return out
}

func listOrder(ctx context.Context, b *bench) error {
	if err := b.putAll(ctx, traps()...); err != nil {
		return err
	}
	got, err := b.names(ctx, "", backends.ListOptions{})
	if err != nil {
		return err
	}
	return wantNames("listing", got, sorted(traps()))
}

// crowd returns n names, more than a page of a listing or a batch of deletions
// has, over several directories.
func crowd(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("d%s%04d", []string{"", "-x/", "/", "/y/"}[i%4], i)
	}
	return names
}

const manyKeys = 1100

func listPages(ctx context.Context, b *bench) error {
	names := crowd(manyKeys)
	if err := b.putAll(ctx, names...); err != nil {
		return err
	}
	want := sorted(names)
	got, err := b.names(ctx, "", backends.ListOptions{})
	if err != nil {
		return err
	}
	if err := wantNames("listing", got, want); err != nil {
		return err
	}
	got, err = b.names(ctx, "d", backends.ListOptions{Versions: true})
	if err != nil {
		return err
	}
	if err := wantNames("listing of versions", got, want); err != nil {
		return err
	}
	got, err = b.names(ctx, "d", backends.ListOptions{Limit: 1050})
	if err != nil {
		return err
	}
	return wantNames("listing with limit 1050", got, want[:1050])
}

func listPrefix(ctx context.Context, b *bench) error {
	names := []string{"a", "ab/c", "ab/cd", "ab/cd-e", "ab/d", "ab-c", "abc/c", "b/ab/c", "x/y/z1", "x/y/z2", "x/yy/z"}
	if err := b.putAll(ctx, names...); err != nil {
		return err
	}
	for prefix, want := range map[string][]string{
		"a":        {"a", "ab-c", "ab/c", "ab/cd", "ab/cd-e", "ab/d", "abc/c"},
		"ab":       {"ab-c", "ab/c", "ab/cd", "ab/cd-e", "ab/d", "abc/c"},
		"ab/":      {"ab/c", "ab/cd", "ab/cd-e", "ab/d"},
		"ab/c":     {"ab/c", "ab/cd", "ab/cd-e"},
		"ab/cd":    {"ab/cd", "ab/cd-e"},
		"ab/c/":    nil,
		"ab/cd-e":  {"ab/cd-e"},
		"ab/cd-ef": nil,
		"x/y":      {"x/y/z1", "x/y/z2", "x/yy/z"},
		"x/y/":     {"x/y/z1", "x/y/z2"},
		"x/y/z2":   {"x/y/z2"},
		"y":        nil,
		"no/such/": nil,
	} {
		got, err := b.names(ctx, prefix, backends.ListOptions{})
		if err != nil {
			return err
		}
		if err := wantNames(fmt.Sprintf("listing of %q", prefix), got, want); err != nil {
			return err
		}
	}
	// The whole store, of which only this check's own part is known.
	for in, err := range b.List(ctx, "", backends.ListOptions{Limit: 1}) {
		if err != nil {
			return fmt.Errorf("list of everything: %w", err)
		}
		if err := backends.CheckKey(in.Key); err != nil {
			return fmt.Errorf("list of everything: %w", err)
		}
	}
	return nil
}

func listLimit(ctx context.Context, b *bench) error {
	names := []string{"a", "b/a", "b/b", "c", "d/a", "e"}
	if err := b.putAll(ctx, names...); err != nil {
		return err
	}
	for limit := range len(names) + 3 {
		want := names
		if limit > 0 {
			want = names[:min(limit, len(names))]
		}
		got, err := b.names(ctx, "", backends.ListOptions{Limit: limit})
		if err != nil {
			return err
		}
		if err := wantNames(fmt.Sprintf("listing with limit %d", limit), got, want); err != nil {
			return err
		}
	}
	got, err := b.names(ctx, "", backends.ListOptions{Limit: 2, OneLevel: true})
	if err != nil {
		return err
	}
	if err := wantNames("one-level listing with limit 2", got, []string{"a", "b/"}); err != nil {
		return err
	}
	got, err = b.names(ctx, "", backends.ListOptions{Limit: 3, Versions: true})
	if err != nil {
		return err
	}
	return wantNames("listing of versions with limit 3", got, names[:3])
}

func listOneLevel(ctx context.Context, b *bench) error {
	if err := b.putAll(ctx, "a-b", "a-b.c/d", "a/b", "a/c/d", "a/c/e", "a0", "ab/c", "b", "c/d/e/f"); err != nil {
		return err
	}
	for prefix, want := range map[string][]string{
		"":      {"a-b", "a-b.c/", "a/", "a0", "ab/", "b", "c/"},
		"a":     {"a-b", "a-b.c/", "a/", "a0", "ab/"},
		"a/":    {"a/b", "a/c/"},
		"a/c":   {"a/c/"},
		"a/c/":  {"a/c/d", "a/c/e"},
		"b":     {"b"},
		"b/":    nil,
		"c":     {"c/"},
		"c/d/e": {"c/d/e/"},
	} {
		infos, err := b.list(ctx, prefix, backends.ListOptions{OneLevel: true})
		if err != nil {
			return err
		}
		var got []string
		for _, in := range infos {
			got = append(got, in.Key)
			dir := in.Key[len(in.Key)-1] == '/'
			if dir && in != (backends.Info{Ref: backends.Ref{Key: in.Key}}) {
				return fmt.Errorf("one-level listing of %q: common prefix %+v", prefix, in)
			}
			if !dir && (in.Size != int64(len(in.Key)) || in.Modified.IsZero()) {
				return fmt.Errorf("one-level listing of %q: object %+v of %d bytes", prefix, in, len(in.Key))
			}
		}
		if err := wantNames(fmt.Sprintf("one-level listing of %q", prefix), got, want); err != nil {
			return err
		}
	}
	_, err := b.names(ctx, "", backends.ListOptions{OneLevel: true, Versions: true})
	return wantKind("one-level listing of versions", err, backends.Invalid)
}

func listVersions(ctx context.Context, b *bench) error {
	names := []string{"a-b", "a/b", "a/b.c", "a/c"}
	want := make(map[string]string)
	for _, name := range names {
		in, err := b.put(ctx, name, []byte(name))
		if err != nil {
			return err
		}
		want[name] = in.Version
	}
	infos, err := b.list(ctx, "", backends.ListOptions{Versions: true})
	if err != nil {
		return err
	}
	var got []string
	for _, in := range infos {
		got = append(got, in.Key)
		if want[in.Key] != "" && in.Version != want[in.Key] {
			return fmt.Errorf("%s is version %q, put said %q", in.Key, in.Version, want[in.Key])
		}
		if in.Marker || in.Size != int64(len(in.Key)) {
			return fmt.Errorf("listing of versions: %+v of %d bytes", in, len(in.Key))
		}
	}
	return wantNames("listing of versions", got, names)
}

func listInfo(ctx context.Context, b *bench) error {
	sizes := map[string]int{"a": 0, "b": 1, "c/d": 70_000}
	for name, size := range sizes {
		if _, err := b.put(ctx, name, random(size)); err != nil {
			return err
		}
	}
	infos, err := b.list(ctx, "", backends.ListOptions{})
	if err != nil {
		return err
	}
	for _, in := range infos {
		if in.Size != int64(sizes[in.Key]) || in.Marker {
			return fmt.Errorf("listing tells %+v of an object of %d bytes", in, sizes[in.Key])
		}
	}
	return nil
}

func listBreak(ctx context.Context, b *bench) error {
	names := []string{"a", "b/a", "b/b", "c"}
	if err := b.putAll(ctx, names...); err != nil {
		return err
	}
	for stop := range names {
		n := 0
		var err error
		// Not a range loop: that would panic where a listing goes on.
		b.List(ctx, b.prefix, backends.ListOptions{})(func(in backends.Info, e error) bool {
			switch {
			case e != nil:
				err = fmt.Errorf("list: %w", e)
			case n > stop:
				err = fmt.Errorf("a listing stopped at result %d went on", stop)
			case in.Key != b.prefix+names[n]:
				err = fmt.Errorf("result %d is %s, want %s", n, in.Key, names[n])
			}
			n++
			return n <= stop && err == nil
		})
		if err != nil {
			return err
		}
	}
	got, err := b.names(ctx, "", backends.ListOptions{})
	if err != nil {
		return err
	}
	return wantNames("listing after stopped ones", got, names)
}
