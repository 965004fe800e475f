package chunk_test

import (
	"context"
	"io"
	"strings"

	"github.com/aivault/aivault/backends"
)

// liar yields more bytes than it announces.
type liar struct{ backends.Store }

func (l liar) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	r, info, err := l.Store.Get(ctx, ref, off, n)
	if err != nil {
		return nil, info, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(r, strings.NewReader("more")), r}, info, nil
}
