package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/pluginv1"
)

// List implements [backends.Store].
func (s *Store) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		if err := checkList(prefix, o); err != nil {
			yield(backends.Info{}, invalid("list", prefix, err))
			return
		}
		_, client, c, err := s.session(ctx, "list", prefix)
		if err != nil {
			yield(backends.Info{}, err)
			return
		}
		defer c.end()
		more, err := list(c, client, prefix, o, yield)
		if err != nil && more {
			yield(backends.Info{}, storeFailure(c, "list", prefix, backends.Unavailable, err))
		}
	}
}

func checkList(prefix string, o backends.ListOptions) error {
	switch {
	case o.Limit < 0:
		return fmt.Errorf("limit %d", o.Limit)
	case o.OneLevel && o.Versions:
		return errors.New("one level of versions")
	}
	return backends.CheckPrefix(prefix)
}

// list yields what the plugin lists; more says that the caller still wants more.
func list(c *call, client pluginv1.StoreClient, prefix string, o backends.ListOptions, yield func(backends.Info, error) bool) (more bool, err error) {
	stream, err := client.List(c, &pluginv1.ListRequest{Prefix: prefix, Limit: int64(o.Limit), OneLevel: o.OneLevel, Versions: o.Versions})
	if err != nil {
		return true, err
	}
	order := order{prefix: prefix, o: o}
	for {
		c.await()
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		c.pause()
		if n := len(page.GetInfos()); n == 0 || n > pageSize {
			return true, protocol("a page of %d results", n)
		}
		for _, m := range page.GetInfos() {
			if err := c.parent.Err(); err != nil {
				return true, err
			}
			in, err := fromInfo(m)
			if err == nil {
				err = order.check(in)
			}
			if err != nil {
				return true, err
			}
			if !yield(in, nil) {
				return false, nil
			}
		}
	}
}

// order holds a listing to what was asked for.
type order struct {
	prefix string
	o      backends.ListOptions
	n      int
	last   string
}

func (l *order) check(in backends.Info) error {
	key, isPrefix := in.Key, false
	if l.o.OneLevel {
		key, isPrefix = strings.CutSuffix(in.Key, "/")
	}
	switch {
	case backends.CheckKey(key) != nil || !strings.HasPrefix(in.Key, l.prefix):
		return protocol("it lists %q under %q", clean(in.Key), l.prefix)
	case l.n > 0 && (in.Key < l.last || in.Key == l.last && !l.o.Versions):
		return protocol("it lists %q after %q", clean(in.Key), clean(l.last))
	case l.o.Limit > 0 && l.n == l.o.Limit:
		return protocol("it lists more than the %d that were asked for", l.o.Limit)
	case in.Marker && !l.o.Versions:
		return protocol("it lists a delete marker, %q", clean(in.Key))
	case isPrefix && in != (backends.Info{Ref: backends.Ref{Key: in.Key}}):
		return protocol("it lists the prefix %q with properties of an object", clean(in.Key))
	case l.o.OneLevel && !isPrefix && strings.Contains(in.Key[len(l.prefix):], "/"):
		return protocol("it lists %q on one level under %q", clean(in.Key), l.prefix)
	case isPrefix && strings.Contains(key[min(len(key), len(l.prefix)):], "/"):
		return protocol("it lists the prefix %q on one level under %q", clean(in.Key), l.prefix)
	}
	l.last, l.n = in.Key, l.n+1
	return nil
}
