package wire_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/custody/local"
	"github.com/aivault/aivault/plugins/internal/wire"
	"github.com/aivault/aivault/plugins/internal/wiretest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var options = wire.Options{Stall: 20 * time.Second, Now: time.Now}

// open opens what a connection leads to; with bulk its bytes go over the bulk socket.
func open(t *testing.T, conn *grpc.ClientConn, config string, bulk bool) wire.Connect {
	t.Helper()
	d, err := wire.Describe(t.Context(), conn, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	address, err := wire.Open(t.Context(), conn, d, config, true, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if bulk && address == "" {
		t.Fatal("a store without a bulk socket")
	}
	if !bulk {
		address = ""
	}
	return func(context.Context) (wire.Session, error) {
		return wire.Session{Conn: conn, Bulk: address, PID: os.Getpid()}, nil
	}
}

// over returns a store as it is seen through the wire.
func over(t *testing.T, s backends.Store, bulk bool) *wire.Store {
	t.Helper()
	conn := wiretest.Serve(t, wire.Implementation{Version: "1.0.0", Store: func(context.Context, string, bool) (backends.Store, error) { return s, nil }})
	return wire.NewStore(open(t, conn, "", bulk), options)
}

func TestStoreConformance(t *testing.T) {
	for name, bulk := range map[string]bool{"bulk": true, "grpc": false} {
		t.Run(name+"/mem", func(t *testing.T) {
			s := over(t, mem.New(mem.Options{Versioned: true}), bulk)
			backendtest.Run(t, func(*testing.T) backends.Store { return s })
		})
	}
}

func TestRetainedSurvivesTheWire(t *testing.T) {
	s := over(t, mem.New(mem.Options{Versioned: true, Retain: time.Hour}), true)
	in, err := s.Put(t.Context(), "a", []byte("body"))
	if err != nil || in.RetainUntil.IsZero() {
		t.Fatalf("put: %+v, %v", in, err)
	}
	rem, err := s.Erase(t.Context(), "a")
	if err != nil || len(rem) == 0 || rem[0].Key != "a" || rem[0].Until.IsZero() || rem[0].Why == "" {
		t.Errorf("erase: %+v, %v", rem, err)
	}
	p, err := s.Probe(t.Context())
	if err != nil || !p.Locked || !p.Versioned {
		t.Errorf("probe: %+v, %v", p, err)
	}
}

func TestKeeperConformance(t *testing.T) {
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		keeper := wire.Implementation{Version: "1.0.0", Keeper: func(_ context.Context, config string, create bool) (custody.Keeper, error) {
			if create {
				return local.Init(config, time.Now)
			}
			return local.Open(config, time.Now)
		}}
		dir := t.TempDir() + "/keys"
		reopen := func() (custody.Keeper, error) {
			return wire.NewKeeper(open(t, wiretest.Serve(t, keeper), dir, false), options), nil
		}
		k, err := reopen()
		if err != nil {
			t.Fatal(err)
		}
		return k, reopen
	})
}

func TestPendingSurvivesTheWire(t *testing.T) {
	m := custodytest.NewMem(time.Now, time.Hour)
	conn := wiretest.Serve(t, wire.Implementation{Keeper: func(context.Context, string, bool) (custody.Keeper, error) { return m, nil }, Version: "1"})
	k := wire.NewKeeper(open(t, conn, "", false), options)
	for _, c := range custodytest.Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), k); err != nil {
				t.Errorf("%v\nrule: %s", err, c.Rule)
			}
		})
	}
}

// limited is a keeper that refuses for now.
type limited struct {
	custody.Keeper
	err error
}

func (k limited) Unwrap(context.Context, custody.KeyRef, [32]byte, []byte) ([]byte, error) {
	return nil, k.err
}

func TestRateLimitSurvivesTheWire(t *testing.T) {
	for _, c := range []struct {
		err  error
		want time.Duration
	}{
		{fmt.Errorf("unwrap: %w", &custody.RateLimit{RetryAfter: 90 * time.Second, Err: errors.New("quota of 5 a minute")}), 90 * time.Second},
		{&custody.RateLimit{RetryAfter: time.Second, Err: custody.ErrDenied}, time.Second},
		{custody.ErrRateLimited, 0},
		{&custody.RateLimit{RetryAfter: -time.Second}, 0},
	} {
		conn := wiretest.Serve(t, wire.Implementation{Version: "1.0.0", Keeper: func(context.Context, string, bool) (custody.Keeper, error) {
			return limited{err: c.err}, nil
		}})
		_, err := wire.NewKeeper(open(t, conn, "", false), options).Unwrap(t.Context(), "key", [32]byte{}, nil)
		var limit *custody.RateLimit
		if errors.As(err, &limit); !errors.Is(err, custody.ErrRateLimited) || (limit == nil) != (c.want == 0) || limit != nil && limit.RetryAfter != c.want {
			t.Errorf("%v came as %v", c.err, err)
		}
	}
}
