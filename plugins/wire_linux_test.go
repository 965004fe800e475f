package plugins_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/aivault/aivault/plugins/internal/wire"
	"github.com/aivault/aivault/plugins/internal/wiretest"
)

// serve serves and opens an implementation in this process.
func serve(t *testing.T, i wire.Implementation, config string, create bool) wire.Connect {
	t.Helper()
	conn := wiretest.Serve(t, i)
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
