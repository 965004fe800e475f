package wire

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/internal/bulk"
	"github.com/aivault/aivault/plugins/pluginv1"
	"golang.org/x/sync/semaphore"
)

// storeServer serves a store.
type storeServer struct {
	pluginv1.UnimplementedStoreServer
	p      *pluginServer
	bulk   *bulk.Listener // nil: bytes go over gRPC
	room   *semaphore.Weighted
	bodies buffers
}

func (s *storeServer) Put(stream pluginv1.Store_PutServer) error {
	store, err := s.p.theStore()
	if err != nil {
		return err
	}
	ctx := stream.Context()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	b := first.GetBegin()
	if err := backends.CheckKey(b.GetKey()); err != nil {
		return toStoreStatus(err, backends.Invalid)
	}
	if b.GetSize() < 0 || b.GetSize() > backends.MaxObject {
		return toStoreStatus(fmt.Errorf("body of %d bytes: %w", b.GetSize(), backends.Invalid), backends.Invalid)
	}
	if err := s.room.Acquire(ctx, b.GetSize()); err != nil {
		return toStoreStatus(err, backends.Unavailable)
	}
	defer s.room.Release(b.GetSize())
	// The contract lets no store keep a body.
	body, free := s.bodies.get(int(b.GetSize()))
	defer free()
	if err := s.receive(stream, b.GetBulk(), body); err != nil {
		return toStoreStatus(fmt.Errorf("the body did not come whole: %w", err), backends.Unavailable)
	}
	in, err := store.Put(ctx, b.GetKey(), body)
	if err != nil {
		return toStoreStatus(err, backends.Indeterminate)
	}
	return stream.Send(&pluginv1.PutResponse{Step: &pluginv1.PutResponse_Info{Info: toInfo(in)}})
}

// receive fills body with exactly what comes.
func (s *storeServer) receive(stream pluginv1.Store_PutServer, inBulk bool, body []byte) error {
	if inBulk {
		return s.receiveBulk(stream, body)
	}
	for n := 0; ; {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && n == len(body):
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case len(m.GetData()) == 0 || len(m.GetData()) > len(body)-n:
			return bulk.ErrFrame
		}
		n += copy(body[n:], m.GetData())
	}
}

func (s *storeServer) receiveBulk(stream pluginv1.Store_PutServer, body []byte) error {
	if s.bulk == nil {
		return fmt.Errorf("no bulk socket: %w", errors.ErrUnsupported)
	}
	token, wait, forget := s.bulk.Expect()
	defer forget()
	if err := stream.Send(&pluginv1.PutResponse{Step: &pluginv1.PutResponse_Token{Token: token[:]}}); err != nil {
		return err
	}
	conn, err := wait(stream.Context())
	if err != nil {
		return err
	}
	defer cutWith(stream.Context(), conn)()
	r := bulk.NewReceiver(conn, int64(len(body)))
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (s *storeServer) Get(m *pluginv1.GetRequest, stream pluginv1.Store_GetServer) error {
	store, err := s.p.theStore()
	if err != nil {
		return err
	}
	ref := backends.Ref{Key: m.GetRef().GetKey(), Version: m.GetRef().GetVersion()}
	r, in, err := store.Get(stream.Context(), ref, m.GetOffset(), m.GetLength())
	if err != nil {
		return toStoreStatus(err, backends.Unavailable)
	}
	defer r.Close()
	n := span(in.Size, m.GetOffset(), m.GetLength())
	if err := s.send(stream, in, r, n, m.GetBulk() && s.bulk != nil && n > 0); err != nil {
		return toStoreStatus(err, backends.Unavailable)
	}
	return nil
}

// send sends the n bytes of r.
func (s *storeServer) send(stream pluginv1.Store_GetServer, in backends.Info, r io.Reader, n int64, inBulk bool) error {
	begin := &pluginv1.GetBegin{Info: toInfo(in), Length: n}
	answer := &pluginv1.GetResponse{Step: &pluginv1.GetResponse_Begin{Begin: begin}}
	if !inBulk {
		if err := stream.Send(answer); err != nil {
			return err
		}
		return s.copyExactly(pieceWriter{stream}, r, n)
	}
	token, wait, forget := s.bulk.Expect()
	defer forget()
	begin.Token = token[:]
	if err := stream.Send(answer); err != nil {
		return err
	}
	conn, err := wait(stream.Context())
	if err != nil {
		return err
	}
	defer cutWith(stream.Context(), conn)()
	to := bulk.NewSender(conn)
	if err := s.copyExactly(to, r, n); err != nil {
		return err
	}
	return to.End()
}

// copyExactly copies n bytes and fails where there are fewer.
func (s *storeServer) copyExactly(w io.Writer, r io.Reader, n int64) error {
	whole, free := s.bodies.get(int(min(n, MaxMessage)))
	defer free()
	buf := whole[:min(n, maxPiece)]
	for n > 0 {
		got, err := io.ReadAtLeast(r, buf[:min(n, int64(len(buf)))], 1)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if _, err := w.Write(buf[:got]); err != nil {
			return err
		}
		n -= int64(got)
	}
	return nil
}

type pieceWriter struct{ stream pluginv1.Store_GetServer }

func (p pieceWriter) Write(b []byte) (int, error) {
	return len(b), p.stream.Send(&pluginv1.GetResponse{Step: &pluginv1.GetResponse_Data{Data: b}})
}

func (s *storeServer) List(m *pluginv1.ListRequest, stream pluginv1.Store_ListServer) error {
	store, err := s.p.theStore()
	if err != nil {
		return err
	}
	page := &pluginv1.ListResponse{}
	o := backends.ListOptions{Limit: int(m.GetLimit()), OneLevel: m.GetOneLevel(), Versions: m.GetVersions()}
	for in, err := range store.List(stream.Context(), m.GetPrefix(), o) {
		if err != nil {
			return toStoreStatus(err, backends.Unavailable)
		}
		if page.Infos = append(page.Infos, toInfo(in)); len(page.Infos) < pageSize {
			continue
		}
		if err := stream.Send(page); err != nil {
			return err
		}
		page = &pluginv1.ListResponse{}
	}
	if len(page.Infos) == 0 {
		return nil
	}
	return stream.Send(page)
}

func (s *storeServer) Erase(m *pluginv1.EraseRequest, stream pluginv1.Store_EraseServer) error {
	store, err := s.p.theStore()
	if err != nil {
		return err
	}
	remnants, err := store.Erase(stream.Context(), m.GetKeys()...)
	if err != nil {
		return toStoreStatus(err, backends.Indeterminate)
	}
	for len(remnants) > 0 {
		n := min(len(remnants), pageSize)
		page := &pluginv1.EraseResponse{}
		for _, r := range remnants[:n] {
			page.Remnants = append(page.Remnants, toRemnant(r))
		}
		if err := stream.Send(page); err != nil {
			return err
		}
		remnants = remnants[n:]
	}
	return nil
}

func (s *storeServer) Probe(ctx context.Context, _ *pluginv1.ProbeRequest) (*pluginv1.ProbeResponse, error) {
	store, err := s.p.theStore()
	if err != nil {
		return nil, err
	}
	p, err := store.Probe(ctx)
	if err != nil {
		return nil, toStoreStatus(err, backends.Unavailable)
	}
	return toCapabilities(p), nil
}
