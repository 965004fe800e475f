package backendtest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aivault/aivault/backends"
)

func brokenPuts() []brokenCase {
	return []brokenCase{
		{"nothing", func(*broken) {}, nil},
		{"put overwrites", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				if errors.Is(err, backends.Exists) {
					b.Tamper(key, func([]byte) []byte { return body })
					return backends.Info{Ref: backends.Ref{Key: key}, Size: int64(len(body))}, nil
				}
				return in, err
			}
		}, []string{"probe-fit", "put-once", "put-race"}},
		{"put accepts equal bytes again", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				if !errors.Is(err, backends.Exists) {
					return in, err
				}
				r, in, gerr := b.Store.Get(ctx, backends.Ref{Key: key}, 0, -1)
				if gerr != nil {
					return in, err
				}
				if there, _ := io.ReadAll(r); bytes.Equal(there, body) {
					return in, nil
				}
				return in, err
			}
		}, []string{"probe-fit", "put-once"}},
		{"put checks, then acts", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				if b.has(key) || backends.CheckKey(key) != nil {
					return b.Store.Put(ctx, key, body)
				}
				time.Sleep(10 * time.Millisecond)
				b.Store.Put(ctx, key, body)
				return backends.Info{Ref: backends.Ref{Key: key}, Size: int64(len(body))}, nil
			}
		}, []string{"probe-fit", "put-race"}},
		{"put refuses and stores", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				if errors.Is(err, backends.Exists) {
					b.Tamper(key, func([]byte) []byte { return body })
				}
				return in, err
			}
		}, []string{"probe-fit", "put-once", "put-race"}},
		{"put shows half", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body[:len(body)/2])
				if err == nil {
					time.Sleep(10 * time.Millisecond)
					b.Tamper(key, func([]byte) []byte { return body })
					in.Size = int64(len(body))
				}
				return in, err
			}
		}, []string{"put-atomic"}},
		{"put keeps the slice", func(b *broken) {
			var kept sync.Map
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				if err == nil {
					kept.Store(key, body)
				}
				return in, err
			}
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				if body, ok := kept.Load(ref.Key); ok {
					b.Tamper(ref.Key, func([]byte) []byte { return body.([]byte) })
				}
				return b.Store.Get(ctx, ref, off, n)
			}
		}, []string{"put-body"}},
		{"put scribbles", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				defer func() {
					if len(body) > 50_000 {
						body[0]++
					}
				}()
				return b.Store.Put(ctx, key, body)
			}
		}, []string{"bytes-intact", "cancel-get", "get-range", "probe-fit", "put-body"}},
		{"put tells a wrong size", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				in.Size++
				return in, err
			}
		}, []string{"put-info"}},
		{"put refuses a nil body", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				if body == nil && !b.has(key) {
					return backends.Info{}, backends.Invalid
				}
				return b.Store.Put(ctx, key, body)
			}
		}, []string{"get-range", "put-empty"}},
		{"put refuses the largest", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				if len(body) >= backends.MaxObject {
					return backends.Info{}, backends.Invalid
				}
				return b.Store.Put(ctx, key, body)
			}
		}, []string{"put-largest"}},
		{"put accepts too much", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				return b.Store.Put(ctx, key, body[:min(len(body), backends.MaxObject)])
			}
		}, []string{"put-too-large"}},
		{"put decodes what it should not", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				return b.Store.Put(ctx, key, bytes.ReplaceAll(body, []byte("chunk-signature="), []byte("chunk=")))
			}
		}, []string{"bytes-intact", "probe-fit"}},
		{"put refuses long keys", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				if len(key) > 150 {
					return backends.Info{}, backends.Invalid
				}
				return b.Store.Put(ctx, key, body)
			}
		}, []string{"keys-allowed"}},
		{"put accepts any key", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				if backends.CheckKey(key) != nil {
					return in, nil
				}
				return in, err
			}
		}, []string{"keys-refused"}},
		{"put refuses empty segments only", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				if err != nil && strings.HasSuffix(key, " ") {
					return in, nil
				}
				return in, err
			}
		}, []string{"keys-refused"}},
		{"probe leaves an object", func(b *broken) {
			probe := b.probe
			b.probe = func(ctx context.Context) (backends.Capabilities, error) {
				b.Store.Put(ctx, "probe/x/left", nil)
				return probe(ctx)
			}
		}, []string{"probe-clean"}},
		{"probe finds it unfit", func(b *broken) {
			probe := b.probe
			b.probe = func(ctx context.Context) (backends.Capabilities, error) {
				c, err := probe(ctx)
				c.RefusesAnonymous = false
				return c, err
			}
		}, []string{"probe-fit"}},
	}
}

// lost is a reader that ends early, as if that were all.
func lost(r io.ReadCloser, n int64) io.ReadCloser {
	body, _ := io.ReadAll(r)
	return io.NopCloser(bytes.NewReader(body[:max(0, int64(len(body))-n)]))
}

func brokenGets() []brokenCase {
	get := func(change func(b *broken, r io.ReadCloser, in *backends.Info, ref backends.Ref, off, n int64) io.ReadCloser) func(*broken) {
		return func(b *broken) {
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				r, in, err := b.Store.Get(ctx, ref, off, n)
				if err != nil {
					return nil, in, err
				}
				return change(b, r, &in, ref, off, n), in, nil
			}
		}
	}
	return []brokenCase{
		{"get loses the last byte", get(func(_ *broken, r io.ReadCloser, in *backends.Info, _ backends.Ref, _, _ int64) io.ReadCloser {
			if in.Size > 1<<20 {
				return lost(r, 1)
			}
			return r
		}), []string{"bytes-intact", "cancel-get", "probe-fit", "put-largest"}},
		{"get ignores n", func(b *broken) {
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				return b.Store.Get(ctx, ref, off, -1)
			}
		}, []string{"get-range", "probe-fit"}},
		{"get is one byte short at the end", get(func(_ *broken, r io.ReadCloser, in *backends.Info, _ backends.Ref, off, n int64) io.ReadCloser {
			if n > 0 && off > 0 && off+n > in.Size {
				return lost(r, 1)
			}
			return r
		}), []string{"get-range"}},
		{"get beyond the end is empty", func(b *broken) {
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				r, in, err := b.Store.Get(ctx, ref, off, n)
				if errors.Is(err, backends.Invalid) && off > 0 {
					return b.Store.Get(ctx, ref, 0, 0)
				}
				return r, in, err
			}
		}, []string{"get-range"}},
		{"get tells the size of the range", get(func(_ *broken, r io.ReadCloser, in *backends.Info, _ backends.Ref, off, n int64) io.ReadCloser {
			in.Size -= off
			return r
		}), []string{"get-range"}},
		{"get ignores the version", func(b *broken) {
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				return b.Store.Get(ctx, backends.Ref{Key: ref.Key}, off, n)
			}
		}, []string{"get-version"}},
		{"put tells a wrong version", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				in.Version += "0"
				return in, err
			}
		}, []string{"get-version", "list-versions"}},
		{"get of a directory is denied", func(b *broken) {
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				r, in, err := b.Store.Get(ctx, ref, off, n)
				if errors.Is(err, backends.NotExist) && slices.ContainsFunc(b.Keys(), func(k string) bool { return strings.HasPrefix(k, ref.Key+"/") }) {
					return nil, in, backends.Denied
				}
				return r, in, err
			}
		}, []string{"get-absent"}},
		{"get remembers what was absent", func(b *broken) {
			var absent sync.Map
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				if _, ok := absent.Load(ref.Key); ok {
					return nil, backends.Info{}, backends.NotExist
				}
				r, in, err := b.Store.Get(ctx, ref, off, n)
				if errors.Is(err, backends.NotExist) {
					absent.Store(ref.Key, true)
				}
				return r, in, err
			}
		}, []string{"probe-fit", "read-after-write"}},
		{"get and list tell different times", get(func(_ *broken, r io.ReadCloser, in *backends.Info, _ backends.Ref, _, _ int64) io.ReadCloser {
			in.Modified = in.Modified.Add(time.Hour)
			return r
		}), []string{"modified"}},
		{"time runs backwards", func(b *broken) {
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				r, in, err := b.Store.Get(ctx, ref, off, n)
				in.Modified = backwards(in.Key)
				return r, in, err
			}
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				in.Modified = time.Time{}
				return in, err
			}
			b.relist(func(_ string, _ backends.ListOptions, infos []backends.Info) []backends.Info {
				for i := range infos {
					if !strings.HasSuffix(infos[i].Key, "/") {
						infos[i].Modified = backwards(infos[i].Key)
					}
				}
				return infos
			})
		}, []string{"modified"}},
	}
}

// backwards gives longer keys earlier times.
func backwards(key string) time.Time {
	return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).Add(-time.Minute * time.Duration(len(key)))
}
