package plugins_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/aivault/aivault/plugins/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

// serve serves and opens an implementation in this process.
func serve(t *testing.T, i wire.Implementation, config string, create bool) wire.Connect {
	t.Helper()
	server := grpc.NewServer(grpc.MaxRecvMsgSize(wire.MaxMessage))
	stop := wire.Serve(server, i)
	l := bufconn.Listen(1 << 20)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-done
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	about, err := wire.Describe(t.Context(), conn, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	address, err := wire.Open(t.Context(), conn, about, config, create, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return func(context.Context) (wire.Session, error) {
		return wire.Session{Conn: conn, Bulk: address, PID: os.Getpid()}, nil
	}
}
