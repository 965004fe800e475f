package wire

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/internal/bulk"
	"github.com/aivault/aivault/plugins/pluginv1"
	"github.com/aivault/aivault/vault/scan"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// bodyRoom is how many bytes of objects the side of a plugin holds at once;
// another Put waits.
const bodyRoom = 4 * backends.MaxObject

// Implementation is what a plugin serves: one of the three.
type Implementation struct {
	Version string // of the plugin
	// Each opens what config names, and with create makes it if it is not there.
	Store   func(ctx context.Context, config string, create bool) (backends.Store, error)
	Keeper  func(ctx context.Context, config string, create bool) (custody.Keeper, error)
	Scanner func(ctx context.Context, config string) (scan.Scanner, error)
}

// Serve registers an implementation. stop, called when the server has ended, ends
// the bulk socket that a store has, and closes the store, keeper or scanner if it is an
// [io.Closer]. Where there are no such sockets, bytes go over gRPC.
func Serve(r grpc.ServiceRegistrar, i Implementation) (stop func() error) {
	p := &pluginServer{i: i}
	pluginv1.RegisterPluginServer(r, p)
	if i.Keeper != nil {
		p.contract = pluginv1.Contract_CONTRACT_KEEPER
		pluginv1.RegisterKeeperServer(r, &keeperServer{p: p})
		return p.close
	}
	if i.Scanner != nil {
		p.contract = pluginv1.Contract_CONTRACT_SCANNER
		pluginv1.RegisterScannerServer(r, &scannerServer{p: p})
		return p.close
	}
	p.contract = pluginv1.Contract_CONTRACT_STORE
	s := &storeServer{p: p, room: semaphore.NewWeighted(bodyRoom)}
	pluginv1.RegisterStoreServer(r, s)
	l, err := bulk.Listen()
	if err != nil {
		return p.close
	}
	s.bulk, p.bulk = l, l.Address()
	return func() error { return errors.Join(l.Close(), p.close()) }
}

type pluginServer struct {
	pluginv1.UnimplementedPluginServer
	i        Implementation
	contract pluginv1.Contract
	bulk     string

	mu      sync.Mutex
	opened  bool
	store   backends.Store
	keeper  custody.Keeper
	scanner scan.Scanner
}

func (p *pluginServer) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	d := &pluginv1.DescribeResponse{Version: clean(p.i.Version), Contract: p.contract}
	if p.bulk != "" {
		d.Capabilities = []string{BulkCapability}
	}
	return d, nil
}

func (p *pluginServer) Open(ctx context.Context, m *pluginv1.OpenRequest) (*pluginv1.OpenResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened {
		return nil, status.Error(codes.FailedPrecondition, "opened before")
	}
	var err error
	switch {
	case p.i.Keeper != nil:
		if p.keeper, err = p.i.Keeper(ctx, m.GetConfig(), m.GetCreate()); err != nil {
			return nil, toKeeperStatus(err)
		}
	case p.i.Scanner != nil:
		if p.scanner, err = p.i.Scanner(ctx, m.GetConfig()); err != nil {
			return nil, toScannerStatus(err)
		}
	default:
		if p.store, err = p.i.Store(ctx, m.GetConfig(), m.GetCreate()); err != nil {
			return nil, toStoreStatus(err, backends.Unavailable)
		}
	}
	p.opened = true
	return &pluginv1.OpenResponse{BulkAddress: p.bulk}, nil
}

// close closes what was opened.
func (p *pluginServer) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for _, opened := range []any{p.store, p.keeper, p.scanner} {
		if c, ok := opened.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
	}
	p.store, p.keeper, p.scanner = nil, nil, nil
	return err
}

var errNotOpen = status.Error(codes.FailedPrecondition, "not opened")

func (p *pluginServer) theStore() (backends.Store, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store == nil {
		return nil, errNotOpen
	}
	return p.store, nil
}

func (p *pluginServer) theKeeper() (custody.Keeper, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keeper == nil {
		return nil, errNotOpen
	}
	return p.keeper, nil
}

func (p *pluginServer) theScanner() (scan.Scanner, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scanner == nil {
		return nil, errNotOpen
	}
	return p.scanner, nil
}
