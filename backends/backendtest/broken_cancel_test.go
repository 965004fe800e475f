package backendtest_test

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/aivault/aivault/backends"
)

func brokenContexts() []brokenCase {
	return []brokenCase{
		{"put ignores ctx", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				return b.Store.Put(context.WithoutCancel(ctx), key, body)
			}
		}, []string{"cancel-put"}},
		{"put denies what it did", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(context.WithoutCancel(ctx), key, body)
				if err == nil && ctx.Err() != nil {
					return in, &backends.Error{Op: "put", Key: key, Kind: backends.Unavailable, Err: ctx.Err()}
				}
				return in, err
			}
		}, []string{"cancel-put"}},
		{"put stops half way", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				if ctx.Err() != nil {
					b.Store.Put(context.WithoutCancel(ctx), key, body[:len(body)/2])
					return backends.Info{}, &backends.Error{Op: "put", Key: key, Kind: backends.Indeterminate, Err: ctx.Err()}
				}
				return b.Store.Put(ctx, key, body)
			}
		}, []string{"cancel-put"}},
		{"put hides the reason", func(b *broken) {
			b.put = func(ctx context.Context, key string, body []byte) (backends.Info, error) {
				in, err := b.Store.Put(ctx, key, body)
				if errors.Is(err, context.Canceled) {
					return in, backends.Indeterminate
				}
				return in, err
			}
		}, []string{"cancel-put"}},
		{"get ignores ctx", func(b *broken) {
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				return b.Store.Get(context.WithoutCancel(ctx), ref, off, n)
			}
		}, []string{"cancel-get"}},
		{"get ends cleanly when cancelled", func(b *broken) {
			b.get = func(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
				r, in, err := b.Store.Get(ctx, ref, off, n)
				return &polite{ctx, r}, in, err
			}
		}, []string{"cancel-get"}},
		{"list ignores ctx", func(b *broken) {
			b.list = func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
				return b.Store.List(context.WithoutCancel(ctx), prefix, o)
			}
		}, []string{"cancel-list"}},
		{"list ends cleanly when cancelled", func(b *broken) {
			b.list = func(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
				return func(yield func(backends.Info, error) bool) {
					first := true
					for in, err := range b.Store.List(ctx, prefix, o) {
						if !first && ctx.Err() != nil || !yield(in, err) {
							return
						}
						first = false
					}
				}
			}
		}, []string{"cancel-list"}},
		{"erase ignores ctx", func(b *broken) {
			b.erase = func(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
				return b.Store.Erase(context.WithoutCancel(ctx), keys...)
			}
		}, []string{"cancel-erase"}},
	}
}

// polite turns the error of a cancelled read into an end.
type polite struct {
	ctx context.Context
	io.ReadCloser
}

func (p *polite) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, io.EOF
	}
	return p.ReadCloser.Read(b)
}
