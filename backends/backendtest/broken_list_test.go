package backendtest_test

import (
	"context"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/aivault/aivault/backends"
)

func brokenLists() []brokenCase {
	relist := func(edit func(prefix string, o backends.ListOptions, infos []backends.Info) []backends.Info) func(*broken) {
		return func(b *broken) { b.relist(edit) }
	}
	return []brokenCase{
		{"list walks directories", relist(func(_ string, _ backends.ListOptions, infos []backends.Info) []backends.Info {
			slices.SortStableFunc(infos, func(a, b backends.Info) int {
				return slices.Compare(strings.Split(a.Key, "/"), strings.Split(b.Key, "/"))
			})
			return infos
		}), []string{"list-one-level", "list-order", "list-pages", "list-prefix", "list-versions", "probe-fit"}},
		{"list loses a result between pages", relist(func(_ string, _ backends.ListOptions, infos []backends.Info) []backends.Info {
			if len(infos) > 1000 {
				return slices.Delete(infos, 1000, 1001)
			}
			return infos
		}), []string{"list-pages"}},
		{"list repeats a result between pages", relist(func(_ string, _ backends.ListOptions, infos []backends.Info) []backends.Info {
			if len(infos) > 1000 {
				return slices.Insert(infos, 1000, infos[999])
			}
			return infos
		}), []string{"list-pages"}},
		{"list has one page only", relist(func(_ string, _ backends.ListOptions, infos []backends.Info) []backends.Info {
			return infos[:min(1000, len(infos))]
		}), []string{"list-pages"}},
		{"list remembers what was empty", func(b *broken) {
			var empty sync.Map
			b.relist(func(prefix string, _ backends.ListOptions, infos []backends.Info) []backends.Info {
				if _, ok := empty.Load(prefix); ok {
					return nil
				}
				if len(infos) == 0 {
					empty.Store(prefix, true)
				}
				return infos
			})
		}, []string{"probe-fit", "read-after-write"}},
		{"list ignores the limit", func(b *broken) {
			b.list = func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
				o.Limit = min(o.Limit, 0)
				return b.Store.List(ctx, prefix, o)
			}
		}, []string{"list-limit", "list-pages", "probe-fit"}},
		{"list takes the prefix for a directory", func(b *broken) {
			b.list = func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
				if b.has(prefix) || prefix == "" || strings.HasSuffix(prefix, "/") || backends.CheckPrefix(prefix) != nil {
					return b.Store.List(ctx, prefix, o)
				}
				return b.Store.List(ctx, prefix[:strings.LastIndexByte(prefix, '/')+1], o)
			}
		}, []string{"list-one-level", "list-prefix", "probe-fit", "read-after-write"}},
		{"list puts common prefixes last", relist(func(_ string, o backends.ListOptions, infos []backends.Info) []backends.Info {
			slices.SortStableFunc(infos, func(a, b backends.Info) int {
				return strings.Compare(a.Key[len(a.Key)-1:], b.Key[len(b.Key)-1:])
			})
			if o.OneLevel {
				slices.SortStableFunc(infos, func(a, b backends.Info) int {
					return btoi(strings.HasSuffix(a.Key, "/")) - btoi(strings.HasSuffix(b.Key, "/"))
				})
			} else {
				slices.SortStableFunc(infos, func(a, b backends.Info) int { return strings.Compare(a.Key, b.Key) })
			}
			return infos
		}), []string{"list-one-level", "probe-fit"}},
		{"list tells a time of common prefixes", func(b *broken) {
			b.relist(func(_ string, o backends.ListOptions, infos []backends.Info) []backends.Info {
				for i := range infos {
					infos[i].Modified = backwards("")
				}
				return infos
			})
			get := b.get
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				r, in, err := get(ctx, ref, off, n)
				in.Modified = backwards("")
				return r, in, err
			}
			put := b.put
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := put(ctx, key, body)
				in.Modified = backwards("")
				return in, err
			}
		}, []string{"list-one-level"}},
		{"list of versions drops the version", relist(func(_ string, o backends.ListOptions, infos []backends.Info) []backends.Info {
			for i := range infos {
				if o.Versions {
					infos[i].Version = "other"
				}
			}
			return infos
		}), []string{"get-version", "list-versions"}},
		{"list tells no sizes", relist(func(_ string, o backends.ListOptions, infos []backends.Info) []backends.Info {
			for i := range infos {
				infos[i].Size = 0
			}
			return infos
		}), []string{"list-info", "list-one-level", "list-versions", "put-atomic", "put-largest"}},
		{"list goes on after a break", func(b *broken) {
			b.list = func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
				return func(yield func(backends.Info, error) bool) {
					stopped := false
					for in, err := range b.Store.List(ctx, prefix, o) {
						stopped = !yield(in, err)
						if stopped && (err != nil || o.Limit > 0) {
							return
						}
					}
				}
			}
		}, []string{"list-break"}},
		{"list accepts any prefix", func(b *broken) {
			b.list = func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
				if backends.CheckPrefix(prefix) != nil {
					return func(func(backends.Info, error) bool) {}
				}
				return b.Store.List(ctx, prefix, o)
			}
		}, []string{"prefixes-refused"}},
		{"list takes a negative limit for none", func(b *broken) {
			b.list = func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
				o.Limit = max(o.Limit, 0)
				return b.Store.List(ctx, prefix, o)
			}
		}, []string{"prefixes-refused"}},
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// has reports whether key is listed.
func (b *broken) has(key string) bool { return slices.Contains(b.Keys(), key) }

func brokenErases() []brokenCase {
	erase := func(f func(b *broken, ctx context.Context, keys []string) ([]backends.Remnant, error)) func(*broken) {
		return func(b *broken) {
			b.erase = func(ctx context.Context, keys ...string) ([]backends.Remnant, error) { return f(b, ctx, keys) }
		}
	}
	return []brokenCase{
		{"erase leaves a version", erase(func(b *broken, ctx context.Context, keys []string) ([]backends.Remnant, error) {
			for _, key := range keys {
				if backends.CheckKey(key) != nil || ctx.Err() != nil {
					return b.Store.Erase(ctx, keys...)
				}
			}
			for _, key := range keys {
				b.Delete(key)
			}
			return nil, nil
		}), []string{"erase-gone", "erase-many", "probe-clean", "probe-fit"}},
		{"erase does nothing", erase(func(b *broken, ctx context.Context, keys []string) ([]backends.Remnant, error) {
			if len(keys) > 0 && (backends.CheckKey(keys[len(keys)-1]) != nil || ctx.Err() != nil) {
				return b.Store.Erase(ctx, keys...)
			}
			return nil, nil
		}), []string{"erase-gone", "erase-many", "probe-clean", "probe-fit", "put-after-erase"}},
		{"erase is kept from the listing of versions", func(b *broken) {
			var erased sync.Map
			b.erase = func(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
				for _, key := range keys {
					erased.Store(key, true)
				}
				if len(keys) > 0 && (backends.CheckKey(keys[len(keys)-1]) != nil || ctx.Err() != nil) {
					return b.Store.Erase(ctx, keys...)
				}
				return nil, nil
			}
			b.relist(func(_ string, _ backends.ListOptions, infos []backends.Info) []backends.Info {
				return slices.DeleteFunc(infos, func(in backends.Info) bool { _, ok := erased.Load(in.Key); return ok })
			})
		}, []string{"erase-gone", "probe-fit", "put-after-erase"}},
		{"erase takes a prefix", erase(func(b *broken, ctx context.Context, keys []string) ([]backends.Remnant, error) {
			rem, err := b.Store.Erase(ctx, keys...)
			for _, key := range b.Keys() {
				if err == nil && slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(key, k) }) {
					b.Remove(key)
				}
			}
			return rem, err
		}), []string{"erase-exact"}},
		{"erase refuses a key given twice", erase(func(b *broken, ctx context.Context, keys []string) ([]backends.Remnant, error) {
			if len(slices.Compact(slices.Sorted(slices.Values(keys)))) < len(keys) {
				return nil, backends.Invalid
			}
			return b.Store.Erase(ctx, keys...)
		}), []string{"erase-absent"}},
		{"erase of nothing is refused", erase(func(b *broken, ctx context.Context, keys []string) ([]backends.Remnant, error) {
			if len(keys) == 2 && !b.has(keys[0]) && !b.has(keys[1]) {
				return nil, backends.NotExist
			}
			return b.Store.Erase(ctx, keys...)
		}), []string{"erase-absent"}},
		{"erase takes one batch", erase(func(b *broken, ctx context.Context, keys []string) ([]backends.Remnant, error) {
			return b.Store.Erase(ctx, keys[:min(len(keys), 1000)]...)
		}), []string{"erase-many"}},
		{"erase leaves a tombstone", func(b *broken) {
			var tombs sync.Map
			b.erase = func(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
				for _, key := range keys {
					tombs.Store(key, true)
				}
				return b.Store.Erase(ctx, keys...)
			}
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				if _, ok := tombs.Load(key); ok && backends.CheckKey(key) == nil {
					return backends.Info{}, backends.Exists
				}
				return b.Store.Put(ctx, key, body)
			}
		}, []string{"probe-fit", "put-after-erase"}},
		{"erase checks keys as it goes", erase(func(b *broken, ctx context.Context, keys []string) ([]backends.Remnant, error) {
			for _, key := range keys {
				if rem, err := b.Store.Erase(ctx, key); err != nil {
					return rem, err
				}
			}
			return nil, nil
		}), []string{"keys-refused"}},
	}
}
