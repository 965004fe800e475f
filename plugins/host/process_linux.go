package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/aivault/aivault/plugins/internal/wire"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

// maxTempDir is the longest directory in which a socket's path still fits into a
// sockaddr_un.
const maxTempDir = 50

// process is one life of a plugin.
type process struct {
	about  wire.Description
	conn   *grpc.ClientConn
	bulk   string
	pid    int
	client *goplugin.Client
	runner *child
}

// run starts an image and asks it what it is. The process outlives ctx.
func run(ctx context.Context, img *image, o Options) (*process, error) {
	dir, err := socketDir()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	// Once the connection stands its socket needs no name, and a file that is not
	// there cannot be left behind by a host that is killed.
	defer os.RemoveAll(dir)
	c := newChild(img, o)
	p := &process{runner: c}
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{wire.ProtocolVersion: {wire.ServiceName: dispenser{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     startTimeout,
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       c.log.writer(),
		SyncStderr:       c.log.writer(),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir},
		GRPCDialOptions:  []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage))},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, sockets string) (runner.Runner, error) {
			c.env, c.sockets = cmd.Env, sockets
			return c, nil
		},
	})
	// Neither go-plugin nor gRPC can be told when to give up.
	stop := context.AfterFunc(ctx, c.kill)
	late := time.AfterFunc(startTimeout, c.kill)
	p.conn, err = connect(p.client)
	if err == nil {
		p.about, err = wire.Describe(ctx, p.conn, startTimeout)
	}
	if !late.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		p.close()
		if ended := ctx.Err(); ended != nil {
			err = ended
		}
		return nil, fmt.Errorf("%w, last saying %q: %w", ErrStart, p.said(), err)
	}
	p.pid = c.pid()
	return p, nil
}

// socketDir makes a directory for sockets that is this user's alone.
func socketDir() (string, error) {
	parent := os.TempDir()
	if len(parent) > maxTempDir {
		parent = "/tmp"
	}
	return os.MkdirTemp(parent, "aivault-")
}

// connect starts the process and returns the connection to it.
func connect(client *goplugin.Client) (*grpc.ClientConn, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	conn, err := protocol.Dispense(wire.ServiceName)
	if err != nil {
		return nil, err
	}
	return conn.(*grpc.ClientConn), nil
}

// alive says whether the process runs and the connection stands, which nothing
// can bring back.
func (p *process) alive() bool {
	return !p.runner.over() && p.conn.GetState() == connectivity.Ready
}

// close asks the process to end, and kills it and what it started.
func (p *process) close() {
	late := time.AfterFunc(closeTimeout, p.runner.kill)
	p.client.Kill()
	late.Stop()
	p.runner.kill()
	p.runner.wait()
}

// said is the last line that the process wrote.
func (p *process) said() string { return p.runner.log.last() }

// dispenser hands out the connection itself.
type dispenser struct {
	goplugin.NetRPCUnsupportedPlugin
}

// GRPCServer has no use on this side.
func (dispenser) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return nil }

// GRPCClient implements [goplugin.GRPCPlugin].
func (dispenser) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
