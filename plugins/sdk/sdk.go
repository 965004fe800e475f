// Package sdk serves a store, a keeper or a scanner to aivault from a process of
// its own. A plugin is a main package that calls [ServeStore], [ServeKeeper] or
// [ServeScanner] and nothing else; example/store, example/keeper and
// example/scanner are three. What it serves must pass the conformance suite of its
// contract: backendtest, custodytest or scantest.
//
// A plugin is started with an environment of only what it was added with, and
// without standard input. Standard output belongs to the protocol. A plugin ends
// when aivault does, at any moment: what it must not lose, it has made durable
// before it answered.
package sdk

import (
	"context"
	"log/slog"
	"os"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/internal/wire"
	"github.com/aivault/aivault/vault/scan"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Config is what a plugin is opened with, once in its life.
type Config struct {
	Text   string       // what stands behind plugin:NAME: for this machine; one line of at most 4 KiB
	Create bool         // make the store or keeper if it is not there
	Log    *slog.Logger // reaches aivault's own log, under the plugin's name
}

// ServeStore serves the store that open returns, and returns when aivault is done
// with it; a store that is an [io.Closer] is closed then. version is the plugin's
// own, in semantic versioning. An error of open that has a [backends.Kind] keeps it.
func ServeStore(version string, open func(context.Context, Config) (backends.Store, error)) {
	log := logger()
	serve(log, wire.Implementation{Version: version, Store: func(ctx context.Context, config string, create bool) (backends.Store, error) {
		return open(ctx, Config{config, create, log})
	}})
}

// ServeKeeper serves the keeper that open returns, as ServeStore does a store. An
// error of open keeps its kind if it is one of package custody.
func ServeKeeper(version string, open func(context.Context, Config) (custody.Keeper, error)) {
	log := logger()
	serve(log, wire.Implementation{Version: version, Keeper: func(ctx context.Context, config string, create bool) (custody.Keeper, error) {
		return open(ctx, Config{config, create, log})
	}})
}

// ServeScanner serves the scanner that open returns, as ServeStore does a store.
func ServeScanner(version string, open func(context.Context, Config) (scan.Scanner, error)) {
	log := logger()
	serve(log, wire.Implementation{Version: version, Scanner: func(ctx context.Context, config string) (scan.Scanner, error) {
		return open(ctx, Config{Text: config, Log: log})
	}})
}

// logger writes to what is standard error now: go-plugin takes that name for
// something else later.
func logger() *slog.Logger { return slog.New(slog.NewJSONHandler(os.Stderr, nil)) }

func serve(log *slog.Logger, i wire.Implementation) {
	p := &service{i: i, stop: func() error { return nil }}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{wire.ProtocolVersion: {wire.ServiceName: p}},
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, grpc.MaxRecvMsgSize(wire.MaxMessage))...)
		},
		Logger: hclog.NewNullLogger(),
	})
	if err := p.stop(); err != nil {
		log.Warn("closing", "error", err.Error())
	}
}

// service is what go-plugin asks for.
type service struct {
	goplugin.NetRPCUnsupportedPlugin
	i    wire.Implementation
	stop func() error
}

// GRPCServer registers the plugin.
func (s *service) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	s.stop = wire.Serve(server, s.i)
	return nil
}

// GRPCClient has no use on this side.
func (s *service) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}
