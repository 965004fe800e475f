// Package wiretest serves an implementation over the plugin wire within one
// process, for tests.
package wiretest

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/internal/wire"
)

// Serve serves an implementation until the test ends, and returns a connection
// to it.
func Serve(t testing.TB, i wire.Implementation) *grpc.ClientConn {
	t.Helper()
	server := grpc.NewServer(grpc.MaxRecvMsgSize(wire.MaxMessage))
	stop := wire.Serve(server, i)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return Connect(t, server)
}

// Connect runs a server until the test ends, and returns a connection to it.
func Connect(t testing.TB, server *grpc.Server) *grpc.ClientConn {
	t.Helper()
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
	})
	return conn
}

// Keeper serves the keeper that open returns until the test ends, and returns it
// as it is seen through the wire.
func Keeper(t testing.TB, config string, create bool, open func(ctx context.Context, config string, create bool) (custody.Keeper, error)) (custody.Keeper, error) {
	t.Helper()
	conn := Serve(t, wire.Implementation{Version: "1.0.0", Keeper: open})
	d, err := wire.Describe(t.Context(), conn, time.Minute)
	if err != nil {
		return nil, err
	}
	bulk, err := wire.Open(t.Context(), conn, d, config, create, time.Minute)
	if err != nil {
		return nil, err
	}
	session := wire.Session{Conn: conn, Bulk: bulk, PID: os.Getpid()}
	return wire.NewKeeper(func(context.Context) (wire.Session, error) { return session, nil }, wire.Options{Stall: 20 * time.Second, Now: time.Now}), nil
}
