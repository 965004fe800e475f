package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/internal/bulk"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc"
)

// Put implements [backends.Store].
func (s *Store) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if err := backends.CheckKey(key); err != nil {
		return backends.Info{}, invalid("put", key, err)
	}
	if len(body) > backends.MaxObject {
		return backends.Info{}, invalid("put", key, fmt.Errorf("body of %d bytes", len(body)))
	}
	session, client, c, err := s.session(ctx, "put", key)
	if err != nil {
		return backends.Info{}, err
	}
	defer c.end()
	stream, err := client.Put(c)
	if err != nil {
		return backends.Info{}, storeFailure(c, "put", key, backends.Unavailable, err)
	}
	in, err := put(c, session, stream, key, body)
	if err == nil && (in.Key != key || in.Size != int64(len(body)) || in.Marker) {
		err = protocol("of %d bytes it stored %d, as %q", len(body), in.Size, clean(in.Key))
	}
	if err != nil {
		return backends.Info{}, storeFailure(c, "put", key, backends.Indeterminate, err)
	}
	return in, nil
}

type putStream = grpc.BidiStreamingClient[pluginv1.PutRequest, pluginv1.PutResponse]

// put sends a body and returns what the plugin says that it stored.
func put(c *call, session Session, stream putStream, key string, body []byte) (backends.Info, error) {
	send, inBulk := putPieces, session.Bulk != "" && len(body) > 0
	sent := stream.Send(&pluginv1.PutRequest{Step: &pluginv1.PutRequest_Begin{Begin: &pluginv1.PutBegin{Key: key, Size: int64(len(body)), Bulk: inBulk}}})
	if sent == nil && inBulk {
		answer, err := stream.Recv()
		if err != nil {
			return backends.Info{}, err
		}
		conn, release, err := dial(c, session, answer.GetToken())
		if err != nil {
			return backends.Info{}, err
		}
		defer release()
		send = func(c *call, _ putStream, body []byte) error { return putBulk(c, conn, body) }
	}
	if sent == nil {
		sent = send(c, stream, body)
	}
	sent = errors.Join(sent, stream.CloseSend())
	c.await()
	// Why sending failed stands in the answer, if there is one.
	answer, err := stream.Recv()
	switch {
	case err != nil && sent != nil && detailOf[*pluginv1.StoreError](err) == nil:
		return backends.Info{}, sent
	case err != nil:
		return backends.Info{}, err
	case sent != nil:
		return backends.Info{}, protocol("it answers to a put whose body it has not got")
	case answer.GetInfo() == nil:
		return backends.Info{}, protocol("it answers to a put without saying what it stored")
	}
	return fromInfo(answer.GetInfo())
}

// putPieces sends a body over gRPC.
func putPieces(c *call, stream putStream, body []byte) error {
	for len(body) > 0 {
		n := min(len(body), maxPiece)
		if err := stream.Send(&pluginv1.PutRequest{Step: &pluginv1.PutRequest_Data{Data: body[:n]}}); err != nil {
			return err
		}
		c.await()
		body = body[n:]
	}
	return nil
}

// putBulk sends a body over the bulk socket.
func putBulk(c *call, conn net.Conn, body []byte) error {
	s := bulk.NewSender(conn)
	for len(body) > 0 {
		n := min(len(body), bulk.MaxFrame)
		c.await()
		if _, err := s.Write(body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return s.End()
}

// dial connects to the bulk socket of a session for one transfer, which the end
// of the call cuts off. release closes the connection.
func dial(c *call, session Session, token []byte) (conn net.Conn, release func(), err error) {
	if len(token) != bulk.TokenSize {
		return nil, nil, protocol("a token of %d bytes", len(token))
	}
	conn, err = bulk.Dial(c, session.Bulk, session.PID, token)
	if err != nil {
		return nil, nil, err
	}
	release = cutWith(c, conn)
	return conn, release, nil
}

// cutWith makes the end of ctx end what is going on on a connection, until
// release, which closes it.
func cutWith(ctx context.Context, conn net.Conn) (release func()) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() {
		stop()
		conn.Close()
	}
}
