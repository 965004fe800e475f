package wire_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/plugins/internal/wire"
	"github.com/aivault/aivault/plugins/internal/wiretest"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// liar answers every call as it was told, whatever was asked.
type liar struct {
	pluginv1.UnimplementedStoreServer
	put   func(pluginv1.Store_PutServer) error
	get   []*pluginv1.GetResponse
	list  []*pluginv1.ListResponse
	erase []*pluginv1.EraseResponse
	probe *pluginv1.ProbeResponse
	end   error
}

func sendAll[T any](stream grpc.ServerStreamingServer[T], answers []*T, end error) error {
	for _, a := range answers {
		if err := stream.Send(a); err != nil {
			return err
		}
	}
	return end
}

func (l *liar) Put(stream pluginv1.Store_PutServer) error { return l.put(stream) }
func (l *liar) Get(_ *pluginv1.GetRequest, stream pluginv1.Store_GetServer) error {
	return sendAll(stream, l.get, l.end)
}
func (l *liar) List(_ *pluginv1.ListRequest, stream pluginv1.Store_ListServer) error {
	return sendAll(stream, l.list, l.end)
}
func (l *liar) Erase(_ *pluginv1.EraseRequest, stream pluginv1.Store_EraseServer) error {
	return sendAll(stream, l.erase, l.end)
}
func (l *liar) Probe(context.Context, *pluginv1.ProbeRequest) (*pluginv1.ProbeResponse, error) {
	return l.probe, l.end
}

// lied returns a store that l serves; bulk is the address it gave for bytes.
func lied(t *testing.T, l *liar, bulk string, stall time.Duration) *wire.Store {
	t.Helper()
	server := grpc.NewServer()
	pluginv1.RegisterStoreServer(server, l)
	conn := wiretest.Connect(t, server)
	return wire.NewStore(func(context.Context) (wire.Session, error) {
		return wire.Session{Conn: conn, Bulk: bulk, PID: os.Getpid()}, nil
	}, wire.Options{Stall: stall, Now: time.Now})
}

func info(key string, size int64) *pluginv1.Info {
	return &pluginv1.Info{Ref: &pluginv1.Ref{Key: key}, Size: size}
}

func TestHostilePut(t *testing.T) {
	stored := func(in *pluginv1.Info) func(pluginv1.Store_PutServer) error {
		return func(s pluginv1.Store_PutServer) error {
			for {
				if _, err := s.Recv(); errors.Is(err, io.EOF) {
					return s.Send(&pluginv1.PutResponse{Step: &pluginv1.PutResponse_Info{Info: in}})
				} else if err != nil {
					return err
				}
			}
		}
	}
	token := func(n int) func(pluginv1.Store_PutServer) error {
		return func(s pluginv1.Store_PutServer) error {
			return s.Send(&pluginv1.PutResponse{Step: &pluginv1.PutResponse_Token{Token: make([]byte, n)}})
		}
	}
	for what, c := range map[string]struct {
		put  func(pluginv1.Store_PutServer) error
		bulk string
	}{
		"stored under another key":         {stored(info("other", 4)), ""},
		"stored other bytes":               {stored(info("key", 3)), ""},
		"stored a marker":                  {stored(&pluginv1.Info{Ref: &pluginv1.Ref{Key: "key"}, Size: 4, Marker: true}), ""},
		"stored nothing it names":          {stored(nil), ""},
		"an impossible time":               {stored(&pluginv1.Info{Ref: &pluginv1.Ref{Key: "key"}, Size: 4, Modified: &timestamppb.Timestamp{Nanos: -1}}), ""},
		"an endless version":               {stored(&pluginv1.Info{Ref: &pluginv1.Ref{Key: "key", Version: strings.Repeat("v", 1025)}, Size: 4}), ""},
		"no answer":                        {func(s pluginv1.Store_PutServer) error { return nil }, ""},
		"a token where none was asked for": {token(32), ""},
		"a short token":                    {token(31), "aivault-nobody"},
		"a socket of nobody":               {token(32), "aivault-nobody"},
		"an unknown kind":                  {func(pluginv1.Store_PutServer) error { return kind(t, 11) }, ""},
		"no kind":                          {func(pluginv1.Store_PutServer) error { return status.Error(codes.OK+5, "not found") }, ""},
	} {
		_, err := lied(t, &liar{put: c.put}, c.bulk, time.Minute).Put(t.Context(), "key", []byte("body"))
		if backends.KindOf(err) != backends.Indeterminate {
			t.Errorf("%s: %v, want Indeterminate", what, err)
		}
	}
}

func kind(t *testing.T, k pluginv1.StoreErrorKind) error {
	s, err := status.New(codes.Aborted, "").WithDetails(&pluginv1.StoreError{Kind: k, Message: "cause\x1b[2J"})
	if err != nil {
		t.Error(err)
	}
	return s.Err()
}

func TestHostileGet(t *testing.T) {
	begin := func(in *pluginv1.Info, n int64) *pluginv1.GetResponse {
		return &pluginv1.GetResponse{Step: &pluginv1.GetResponse_Begin{Begin: &pluginv1.GetBegin{Info: in, Length: n, Token: make([]byte, 32)}}}
	}
	data := func(s string) *pluginv1.GetResponse {
		return &pluginv1.GetResponse{Step: &pluginv1.GetResponse_Data{Data: []byte(s)}}
	}
	whole := begin(info("key", 4), 4)
	for what, c := range map[string]struct {
		answers []*pluginv1.GetResponse
		end     error
		bulk    string
		want    backends.Kind
	}{
		"nothing":             {nil, nil, "", backends.Corrupt},
		"bytes first":         {[]*pluginv1.GetResponse{data("body")}, nil, "", backends.Corrupt},
		"another object":      {[]*pluginv1.GetResponse{begin(info("other", 4), 4), data("body")}, nil, "", backends.Corrupt},
		"a negative size":     {[]*pluginv1.GetResponse{begin(info("key", -1), 4), data("body")}, nil, "", backends.Corrupt},
		"another length":      {[]*pluginv1.GetResponse{begin(info("key", 4), 3), data("bod")}, nil, "", backends.Corrupt},
		"too few bytes":       {[]*pluginv1.GetResponse{whole, data("bod")}, nil, "", backends.Corrupt},
		"too many bytes":      {[]*pluginv1.GetResponse{whole, data("body!")}, nil, "", backends.Corrupt},
		"more after the last": {[]*pluginv1.GetResponse{whole, data("body"), data("!")}, nil, "", backends.Corrupt},
		"an empty piece":      {[]*pluginv1.GetResponse{whole, data("")}, nil, "", backends.Corrupt},
		"an error at the end": {[]*pluginv1.GetResponse{whole, data("body")}, kind(t, pluginv1.StoreErrorKind_STORE_ERROR_KIND_CORRUPT), "", backends.Corrupt},
		"a broken end":        {[]*pluginv1.GetResponse{whole, data("body")}, status.Error(codes.Unavailable, "gone"), "", backends.Unavailable},
		"a socket of nobody":  {[]*pluginv1.GetResponse{whole}, nil, "aivault-nobody", backends.Unavailable},
	} {
		r, _, err := lied(t, &liar{get: c.answers, end: c.end}, c.bulk, time.Minute).Get(t.Context(), backends.Ref{Key: "key"}, 0, -1)
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		if backends.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

func TestHostileList(t *testing.T) {
	page := func(infos ...*pluginv1.Info) *pluginv1.ListResponse { return &pluginv1.ListResponse{Infos: infos} }
	marker := info("p/a", 0)
	marker.Marker = true
	many := page()
	for range 257 {
		many.Infos = append(many.Infos, info("p/a", 1))
	}
	for what, c := range map[string]struct {
		o     backends.ListOptions
		pages []*pluginv1.ListResponse
	}{
		"out of order":        {backends.ListOptions{}, []*pluginv1.ListResponse{page(info("p/b", 1)), page(info("p/a", 1))}},
		"twice":               {backends.ListOptions{}, []*pluginv1.ListResponse{page(info("p/a", 1), info("p/a", 1))}},
		"another prefix":      {backends.ListOptions{}, []*pluginv1.ListResponse{page(info("q/a", 1))}},
		"no key":              {backends.ListOptions{}, []*pluginv1.ListResponse{page(info("p/../../etc", 1))}},
		"a common prefix":     {backends.ListOptions{}, []*pluginv1.ListResponse{page(info("p/a/", 0))}},
		"two levels":          {backends.ListOptions{OneLevel: true}, []*pluginv1.ListResponse{page(info("p/a/b", 1))}},
		"a prefix below":      {backends.ListOptions{OneLevel: true}, []*pluginv1.ListResponse{page(info("p/a/b/", 0))}},
		"a prefix with bytes": {backends.ListOptions{OneLevel: true}, []*pluginv1.ListResponse{page(info("p/a/", 1))}},
		"beyond the limit":    {backends.ListOptions{Limit: 1}, []*pluginv1.ListResponse{page(info("p/a", 1), info("p/b", 1))}},
		"a marker":            {backends.ListOptions{}, []*pluginv1.ListResponse{page(marker)}},
		"an empty page":       {backends.ListOptions{}, []*pluginv1.ListResponse{page()}},
		"too long a page":     {backends.ListOptions{Versions: true}, []*pluginv1.ListResponse{many}},
	} {
		var last error
		for _, err := range lied(t, &liar{list: c.pages}, "", time.Minute).List(t.Context(), "p/", c.o) {
			last = err
		}
		if !errors.Is(last, backends.Corrupt) || !errors.Is(last, wire.ErrProtocol) {
			t.Errorf("%s: %v, want Corrupt", what, last)
		}
	}
}

func TestHostileErase(t *testing.T) {
	remnant := func(key, why string) *pluginv1.EraseResponse {
		return &pluginv1.EraseResponse{Remnants: []*pluginv1.Remnant{{Ref: &pluginv1.Ref{Key: key}, Why: why}}}
	}
	for what, page := range map[string]*pluginv1.EraseResponse{
		"of another key": remnant("other", "a lock"), "without a reason": remnant("key", ""),
		"with a terminal's commands": remnant("key", "\x1b[2J"), "with an endless reason": remnant("key", strings.Repeat("x", 1025)),
		"an empty page": {},
	} {
		_, err := lied(t, &liar{erase: []*pluginv1.EraseResponse{page}}, "", time.Minute).Erase(t.Context(), "key")
		if !errors.Is(err, backends.Indeterminate) || !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("remnant %s: %v, want Indeterminate", what, err)
		}
	}
}

// A plugin that praises a store which loses what it was given is not believed.
func TestProbeMeasures(t *testing.T) {
	p, err := over(t, forgetful{mem.New(mem.Options{})}, true).Probe(t.Context())
	if p.PutIfAbsent || p.ReadAfterWrite || !p.EraseWorks {
		t.Errorf("a store that holds nothing was measured: %+v, %v", p, err)
	}
	l := &liar{probe: &pluginv1.ProbeResponse{Notes: []string{"two\nlines"}}}
	if _, err := lied(t, l, "", time.Minute).Probe(t.Context()); !errors.Is(err, wire.ErrProtocol) {
		t.Errorf("a note of two lines: %v", err)
	}
}

// forgetful says that it stored what it did not, and that it is perfect.
type forgetful struct{ backends.Store }

func (forgetful) Put(_ context.Context, key string, body []byte) (backends.Info, error) {
	return backends.Info{Ref: backends.Ref{Key: key}, Size: int64(len(body))}, nil
}

func (forgetful) Probe(context.Context) (backends.Capabilities, error) {
	return backends.Capabilities{PutIfAbsent: true, ReadAfterWrite: true, BytesIntact: true, OrderedList: true, EraseWorks: true, RefusesBadHash: true, RefusesAnonymous: true}, nil
}

// A plugin that is silent is stalled; one that ignores that nobody waits any more
// does not hold up who gave up.
func TestSilence(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	hang := func(pluginv1.Store_PutServer) error { <-over; return nil }
	_, err := lied(t, &liar{put: hang}, "", 200*time.Millisecond).Put(t.Context(), "key", []byte("body"))
	stalled, ok := errors.AsType[*backends.Error](err)
	if !ok || !stalled.Stalled || stalled.Kind != backends.Indeterminate {
		t.Errorf("a silent plugin: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{})
	go func() { <-begun; cancel() }()
	_, err = lied(t, &liar{put: func(s pluginv1.Store_PutServer) error { close(begun); return hang(s) }}, "", time.Minute).Put(ctx, "key", []byte("body"))
	if !errors.Is(err, context.Canceled) || !errors.Is(err, backends.Indeterminate) {
		t.Errorf("a put given up: %v", err)
	}
}

// Every kind of the contract survives the wire with all that an error carries.
func TestStoreErrorsSurvive(t *testing.T) {
	for k := backends.NotExist; k <= backends.Full; k++ {
		sent := &backends.Error{Op: "get", Key: "key", Kind: k, RetryAfter: 3 * time.Second, Stalled: true, Expired: true, Err: errors.New("cause\nof it")}
		s := over(t, failing{err: sent}, true)
		_, _, err := s.Get(t.Context(), backends.Ref{Key: "key"}, 0, -1)
		got, ok := errors.AsType[*backends.Error](err)
		if !ok || got.Kind != k || !errors.Is(err, k) || got.RetryAfter != sent.RetryAfter || !got.Stalled || !got.Expired || !strings.HasSuffix(err.Error(), ": cause of it") {
			t.Errorf("%v became %#v", sent, err)
		}
	}
	_, _, err := over(t, failing{err: errors.New("of no kind")}, true).Get(t.Context(), backends.Ref{Key: "key"}, 0, -1)
	if backends.KindOf(err) != backends.Unavailable {
		t.Errorf("an error of no kind: %v", err)
	}
}

// failing is a store of which nothing can be read.
type failing struct {
	backends.Store
	err error
}

func (f failing) Get(context.Context, backends.Ref, int64, int64) (io.ReadCloser, backends.Info, error) {
	return nil, backends.Info{}, f.err
}
