// Package host runs plugins: processes of their own that serve a store, a keeper
// or a scanner. A plugin is code that the vault's members chose by its digest, and is
// kept to what its contract gives it all the same: what is executed is the very
// bytes whose digest was checked; it sees no environment but what it was given,
// no standard input, and no other plugin; it dies with this process, however
// that ends; and every answer is checked (package wire).
//
// A plugin that dies is started again, from the same bytes, by the next call, a
// few times. Only Linux can keep these promises: elsewhere nothing is started.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/plugins/internal/wire"
)

var (
	// ErrDigest: the file is none of the binaries that are allowed.
	ErrDigest = errors.New("plugin is not the one that was pinned")
	// ErrStart: the plugin could not be started, or did not say what it is.
	ErrStart = errors.New("plugin did not start")
	// ErrContract: the plugin serves something else.
	ErrContract = errors.New("plugin serves another contract")
	// ErrProtocol: an answer that plugins/PROTOCOL.md does not allow.
	ErrProtocol = wire.ErrProtocol
)

const (
	// MaxBinary is the largest plugin, in bytes.
	MaxBinary = 512 << 20

	startTimeout = 20 * time.Second // from the start to the first answer
	closeTimeout = time.Second      // from being asked to end, to being killed
	maxRestarts  = 3                // of one plugin in the life of this process
)

// Options says which plugin to run, and how.
type Options struct {
	Name    string             // for messages
	Path    string             // of the binary
	Digests []canonical.Digest // SHA-256 of the binaries that are allowed; never empty
	Env     []string           // NAME=value: all that the plugin sees, beside go-plugin's own PLUGIN_… and the cookie
	Config  string             // what stands behind plugin:NAME:
	Create  bool               // the store or keeper may have to be made
	Memory  int64              // bytes of data that each of its processes may have; 0: no limit
	Stall   time.Duration      // a call ends after so long without an answer; 0: one minute
	Log     *slog.Logger       // gets what the plugin logs; nil: nobody does
	Now     func() time.Time   // this machine's clock
}

func (o Options) check() (Options, error) {
	for _, e := range o.Env {
		name, _, ok := strings.Cut(e, "=")
		if !ok || CheckVariable(name) != nil {
			return o, fmt.Errorf("a plugin cannot be given the variable %q", name)
		}
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, wire.CheckConfig(o.Config)
}

// CheckVariable refuses the name of an environment variable that no plugin is
// given: what go-plugin, the dynamic linker or the language's run time takes for
// its own.
func CheckVariable(name string) error {
	ok := name != "" && len(name) <= 100 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
	reserved := slices.ContainsFunc([]string{"PLUGIN_", "LD_", "GODEBUG", "GOTRACEBACK", "GOCOVERDIR", wire.CookieKey}, func(p string) bool { return strings.HasPrefix(name, p) })
	if !ok || reserved || name[0] >= '0' && name[0] <= '9' {
		return fmt.Errorf("%q is no variable that a plugin can be given", name)
	}
	return nil
}

// Plugin is a plugin that runs, or will at its next call. Its methods are safe
// for concurrent use.
type Plugin struct {
	o     Options
	image *image
	about wire.Description
	turn  chan struct{} // holds one token: whoever has it may change what is below

	process  *process
	restarts int
	said     string // the last line of a process that died
	closed   bool
}

// start runs a plugin and opens what it serves.
func start(ctx context.Context, o Options, contract wire.Contract) (*Plugin, error) {
	o, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", o.Name, err)
	}
	img, err := load(o.Path, o.Digests)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", o.Name, err)
	}
	p := &Plugin{o: o, image: img, turn: make(chan struct{}, 1)}
	pr, err := p.launch(ctx, contract, o.Create)
	if err != nil {
		img.close()
		return nil, fmt.Errorf("plugin %s: %w", o.Name, err)
	}
	p.process, p.about = pr, pr.about
	p.turn <- struct{}{}
	return p, nil
}

// launch starts a process and opens what it serves.
func (p *Plugin) launch(ctx context.Context, contract wire.Contract, create bool) (*process, error) {
	pr, err := run(ctx, p.image, p.o)
	if err != nil {
		return nil, err
	}
	if pr.about.Contract != contract {
		pr.close()
		return nil, fmt.Errorf("%w: a %s, not a %s", ErrContract, pr.about.Contract, contract)
	}
	if pr.bulk, err = wire.Open(ctx, pr.conn, pr.about, p.o.Config, create, p.o.Stall); err != nil {
		pr.close()
		return nil, err
	}
	return pr, nil
}

// session returns the running process, starting it again if it died.
func (p *Plugin) session(ctx context.Context) (wire.Session, error) {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return wire.Session{}, ctx.Err()
	}
	defer func() { p.turn <- struct{}{} }()
	if p.closed {
		return wire.Session{}, fmt.Errorf("plugin %s is closed", p.o.Name)
	}
	if p.process != nil && !p.process.alive() {
		p.process.close()
		p.said, p.process = p.process.said(), nil
		p.o.Log.Warn("the plugin died", "plugin", p.o.Name, "last_line", p.said)
	}
	if p.process == nil {
		if p.restarts == maxRestarts {
			return wire.Session{}, fmt.Errorf("plugin %s died too often, last saying %q: %w", p.o.Name, p.said, ErrStart)
		}
		p.restarts++
		pr, err := p.launch(ctx, p.about.Contract, false)
		if err != nil {
			return wire.Session{}, fmt.Errorf("plugin %s: %w", p.o.Name, err)
		}
		p.process = pr
	}
	return wire.Session{Conn: p.process.conn, Bulk: p.process.bulk, PID: p.process.pid}, nil
}

// Version is the plugin's own.
func (p *Plugin) Version() string { return p.about.Version }

// Digest is that of the binary that runs.
func (p *Plugin) Digest() canonical.Digest { return p.image.digest }

// Close ends the plugin: it is asked to, and killed where that takes long. Calls
// in progress fail.
func (p *Plugin) Close() error {
	<-p.turn
	defer func() { p.turn <- struct{}{} }()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.process != nil {
		p.process.close()
	}
	return p.image.close()
}

// Contract is what a plugin serves.
type Contract = wire.Contract

// The contracts that a plugin can serve.
const (
	StoreContract   = wire.StoreContract
	KeeperContract  = wire.KeeperContract
	ScannerContract = wire.ScannerContract
)

// Description is what a plugin says of itself.
type Description struct {
	Version  string
	Contract Contract
}

// Describe runs a plugin, asks it what it is, and ends it. Nothing is opened.
func Describe(ctx context.Context, o Options) (Description, error) {
	o, err := o.check()
	if err != nil {
		return Description{}, fmt.Errorf("plugin %s: %w", o.Name, err)
	}
	img, err := load(o.Path, o.Digests)
	if err != nil {
		return Description{}, fmt.Errorf("plugin %s: %w", o.Name, err)
	}
	defer img.close()
	p, err := run(ctx, img, o)
	if err != nil {
		return Description{}, fmt.Errorf("plugin %s: %w", o.Name, err)
	}
	defer p.close()
	return Description{p.about.Version, p.about.Contract}, nil
}

// Store is a store that a plugin serves.
type Store struct {
	*wire.Store
	*Plugin
}

// OpenStore runs a plugin that serves a store. The caller closes it.
func OpenStore(ctx context.Context, o Options) (*Store, error) {
	p, err := start(ctx, o, wire.StoreContract)
	if err != nil {
		return nil, err
	}
	return &Store{wire.NewStore(p.session, wire.Options{Stall: p.o.Stall, Now: o.Now}), p}, nil
}

// Keeper is a keeper that a plugin serves.
type Keeper struct {
	*wire.Keeper
	*Plugin
}

// OpenKeeper runs a plugin that serves a keeper. The caller closes it.
func OpenKeeper(ctx context.Context, o Options) (*Keeper, error) {
	p, err := start(ctx, o, wire.KeeperContract)
	if err != nil {
		return nil, err
	}
	return &Keeper{wire.NewKeeper(p.session, wire.Options{Stall: p.o.Stall, Now: o.Now}), p}, nil
}

// Scanner is a scanner that a plugin serves.
type Scanner struct {
	*wire.Scanner
	*Plugin
}

// OpenScanner runs a plugin that serves a scanner. The caller closes it, and gives
// each scan a context that ends.
func OpenScanner(ctx context.Context, o Options) (*Scanner, error) {
	p, err := start(ctx, o, wire.ScannerContract)
	if err != nil {
		return nil, err
	}
	return &Scanner{wire.NewScanner(p.session, wire.Options{Stall: p.o.Stall, Now: o.Now}), p}, nil
}
