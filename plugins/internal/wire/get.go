package wire

import (
	"context"
	"errors"
	"io"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/internal/bulk"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc"
)

// Get implements [backends.Store].
func (s *Store) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if err := errors.Join(backends.CheckKey(ref.Key), checkVersion(ref.Version)); err != nil {
		return nil, backends.Info{}, invalid("get", ref.Key, err)
	}
	session, client, c, err := s.session(ctx, "get", ref.Key)
	if err != nil {
		return nil, backends.Info{}, err
	}
	o, in, err := get(c, session, client, ref, off, n)
	if err != nil {
		c.end()
		return nil, backends.Info{}, storeFailure(c, "get", ref.Key, backends.Unavailable, err)
	}
	c.pause()
	return o, in, nil
}

type getStream = grpc.ServerStreamingClient[pluginv1.GetResponse]

func get(c *call, session Session, client pluginv1.StoreClient, ref backends.Ref, off, n int64) (*object, backends.Info, error) {
	stream, err := client.Get(c, &pluginv1.GetRequest{Ref: toRef(ref), Offset: off, Length: n, Bulk: session.Bulk != ""})
	if err != nil {
		return nil, backends.Info{}, err
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, backends.Info{}, noEOF(err)
	}
	begin := first.GetBegin()
	in, err := fromInfo(begin.GetInfo())
	switch {
	case err != nil:
		return nil, in, err
	case in.Key != ref.Key || ref.Version != "" && in.Version != ref.Version || in.Marker:
		return nil, in, protocol("it gives %q, version %q", clean(in.Key), clean(in.Version))
	case off < 0 || off > in.Size:
		return nil, in, protocol("it reads from byte %d of %d", off, in.Size)
	case begin.GetLength() != span(in.Size, off, n):
		return nil, in, protocol("it gives %d bytes from byte %d of %d where %d were asked for", begin.GetLength(), off, in.Size, n)
	}
	o := &object{c: c, stream: stream, key: ref.Key, release: func() {}}
	if session.Bulk == "" || begin.GetLength() == 0 {
		o.body = &pieces{stream: stream, left: begin.GetLength()}
		return o, in, nil
	}
	conn, release, err := dial(c, session, begin.GetToken())
	if err != nil {
		return nil, in, err
	}
	o.body, o.release = bulk.NewReceiver(conn, begin.GetLength()), release
	return o, in, nil
}

// span returns how many bytes a read of n from off gives of an object of size.
func span(size, off, n int64) int64 {
	if n < 0 || n > size-off {
		return size - off
	}
	return n
}

// noEOF makes the end of a stream that should have had an answer an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return protocol("it ended a call without an answer")
	}
	return err
}

// object reads the bytes of a Get.
type object struct {
	c       *call
	stream  getStream
	body    io.Reader // ends in io.EOF when it is complete
	release func()
	key     string
	err     error // once nothing more can come
}

// Read implements [io.Reader].
func (o *object) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	o.c.await()
	defer o.c.pause()
	n, err := o.body.Read(p)
	if n > 0 || err == nil {
		return n, nil
	}
	o.err = o.ending(err)
	return 0, o.err
}

// ending judges how a read ended: complete only if the plugin says so too, else
// for the reason that it gives, if it gives one.
func (o *object) ending(err error) error {
	if !errors.Is(err, ErrProtocol) && !errors.Is(err, bulk.ErrFrame) {
		_, last := o.stream.Recv()
		switch {
		case last == nil:
			err = protocol("it goes on after the last byte")
		case errors.Is(last, io.EOF) && err == io.EOF:
			return io.EOF
		case !errors.Is(last, io.EOF):
			err = last
		}
	}
	if errors.Is(err, bulk.ErrFrame) {
		err = protocol("%v", err)
	}
	return storeFailure(o.c, "get", o.key, backends.Unavailable, err)
}

// Close implements [io.Closer]; it ends the call.
func (o *object) Close() error {
	o.release()
	o.c.end()
	return nil
}

// pieces reads the bytes that come over gRPC.
type pieces struct {
	stream getStream
	left   int64
	rest   []byte
}

func (p *pieces) Read(to []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.left == 0 {
			return 0, io.EOF
		}
		m, err := p.stream.Recv()
		if errors.Is(err, io.EOF) {
			return 0, protocol("%d bytes are missing", p.left)
		}
		if err != nil {
			return 0, err
		}
		p.rest = m.GetData()
		if n := int64(len(p.rest)); n == 0 || n > p.left {
			return 0, protocol("a piece of %d bytes where %d were to come", n, p.left)
		}
		p.left -= int64(len(p.rest))
	}
	n := copy(to, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
