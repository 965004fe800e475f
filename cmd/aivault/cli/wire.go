package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/dir"
	"github.com/aivault/aivault/backends/s3"
	"github.com/aivault/aivault/backends/s3/credential"
	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// place is a vault as this machine knows it.
type place struct {
	text  string // as it was named
	at    naming.Location
	known machine.Vault
	seen  bool // known is what this machine remembers
}

// findVault says which vault a command is about: the one that an address names,
// else the one of --vault.
func (r *run) findVault(addressed string) (place, error) {
	text := r.set.vault
	if addressed != "" {
		if text != "" && text != addressed && r.set.where("vault").Origin == "flag" {
			return place{}, usage("the address names the vault %q, --vault names %q", addressed, text)
		}
		text = addressed
	}
	if text == "" {
		return place{}, hint(usage("no vault is named"), "use --vault or AIVAULT_VAULT, or aivault init to make one")
	}
	return r.placeAt(text)
}

func (r *run) placeAt(text string) (place, error) {
	l, err := r.location(text)
	if err != nil {
		return place{}, err
	}
	p := place{text: text, at: l}
	if r.memory == nil {
		return p, nil
	}
	p.known, p.seen, err = r.memory.Vault(l.Place())
	return p, err
}

// check refuses a directory that is not there, before anything is asked about
// the vault in it.
func (p place) check() error {
	if p.at.Dir == "" {
		return nil
	}
	_, err := os.Stat(p.at.Dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err = fmt.Errorf("%s: there is no such directory: %w", p.at.Dir, vault.ErrNoVault)
	if naming.IsName(p.text) {
		err = fmt.Errorf("no vault is called %s on this machine, and there is no directory %s: %w", p.text, p.at.Dir, vault.ErrNoVault)
	}
	return hint(err, "check the name; aivault join gives a vault a name, aivault init makes one")
}

// genesis is which vault this must be: the one that --genesis names, else the
// one this machine remembers. Zero, the first that answers, only where somebody
// is there to see it.
func (r *run) genesis(p place) (canonical.Digest, error) {
	switch {
	case p.seen && !r.set.genesis.IsZero() && r.set.genesis != p.known.Genesis:
		return canonical.Digest{}, hint(conflict("at %s this machine remembers the vault %s, but %s names %s", p.at.Place(), p.known.Genesis, r.set.where("genesis").Source, r.set.genesis),
			"if the vault there was replaced on purpose, remove "+r.memory.File(p.at.Place()))
	case !r.set.genesis.IsZero():
		return r.set.genesis, nil
	case p.seen:
		return p.known.Genesis, nil
	case !r.mayAsk():
		return canonical.Digest{}, hint(usage("this machine has not seen that vault before, so it cannot tell it from another"),
			"name it with --genesis DIGEST or AIVAULT_GENESIS, as aivault init printed it")
	}
	return canonical.Digest{}, nil
}

// open opens the vault of a command.
func (r *run) open(ctx context.Context, addressed string) (*vault.Vault, error) {
	return r.openShowing(ctx, addressed, "")
}

// openRef opens the vault of a command that is about the version its first
// argument names.
func (c *call) openRef(ctx context.Context) (*vault.Vault, vault.Ref, error) {
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return nil, ref, err
	}
	v, err := c.open(ctx, addressed)
	return v, ref, err
}

// openShowing opens the vault of a command whose progress is shown under a
// title, and remembers a vault that is new here.
func (r *run) openShowing(ctx context.Context, addressed, title string) (*vault.Vault, error) {
	p, err := r.findVault(addressed)
	if err != nil {
		return nil, err
	}
	c, err := r.config(ctx, p)
	if err != nil {
		return nil, err
	}
	if title != "" {
		c.Progress = r.showProgress(title)
	}
	v, err := vault.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := r.checkStorePlugin(p, v); err != nil {
		return nil, err
	}
	if !p.seen {
		if c.Genesis.IsZero() {
			r.log.Warn(fmt.Sprintf("first seen: the vault at %s is %s; compare that with somebody who knows it", p.at.Place(), v.Genesis()))
		}
		r.remember(machine.Vault{Place: p.at.Place(), URL: p.at.String(), Genesis: v.Genesis()})
	}
	return v, nil
}

// remember notes a vault on this machine, or warns that it cannot.
func (r *run) remember(v machine.Vault) {
	if r.memory == nil {
		r.log.Warn("this user has no place to remember the vault in; name one with --state-dir")
		return
	}
	if err := r.memory.Remember(v); err != nil {
		r.log.Warn(err.Error())
	}
}

// config wires a vault that is there: its store, its keeper, who asks, and what
// this machine remembers.
func (r *run) config(ctx context.Context, p place) (vault.Config, error) {
	if err := p.check(); err != nil {
		return vault.Config{}, err
	}
	genesis, err := r.genesis(p)
	if err != nil {
		return vault.Config{}, err
	}
	id, err := r.identity(ctx)
	if err != nil {
		return vault.Config{}, err
	}
	store, err := r.openStore(ctx, p.at, "", false)
	if err != nil {
		return vault.Config{}, err
	}
	return vault.Config{
		Store: store, Identity: id, Genesis: genesis, Pins: r.set.pins, Witnesses: r.set.witnesses, MaxStaleness: r.set.maxStaleness, Now: r.sys.now, Stall: r.set.stall, Jobs: r.set.jobs,
		Keepers: func(ctx context.Context, pinned []state.Plugin) ([]custody.Keeper, error) {
			return r.keepers(ctx, p, pinned)
		},
		Warn:      func(err error) { r.log.Warn(err.Error()) },
		MemoryFor: r.memoryFor,
		Tool:      "aivault " + buildVersion().Version,
		Host:      r.host(),
	}, nil
}

// host is the name of this machine, for receipts; in a pod it is the pod's.
func (r *run) host() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func (r *run) memoryFor(genesis canonical.Digest) (ledger.Memory, vault.Cache) {
	if r.memory == nil {
		r.log.Warn("this user has no place to remember what was seen, so that storage could show an older state unnoticed; name one with --state-dir")
		return nil, nil
	}
	fail := func(err error) { r.stop(&memoryFailure{err}) }
	return r.memory.Heads(genesis, func(err error) { r.log.Warn(err.Error()) }, fail), r.memory.Cache(genesis, r.sys.now)
}

// openStore opens a store. prefix stands before the variables that hold its
// credentials; with create a directory, or what a plugin reaches, may be new.
func (r *run) openStore(ctx context.Context, l naming.Location, prefix string, create bool) (backends.Store, error) {
	if l.Plugin.Name != "" {
		return r.openPluginStore(ctx, l, create)
	}
	if l.Dir != "" {
		openDir := dir.Open
		if create {
			openDir = dir.Create
		}
		s, err := openDir(l.Dir, r.sys.now)
		if err != nil {
			return nil, err
		}
		r.closes(s)
		return s, nil
	}
	c := l.S3
	roots, err := r.rootCAs()
	if err != nil {
		return nil, err
	}
	options := credential.Options{
		Lookup: func(name string) string { v, _ := r.sys.env(name); return v },
		Prefix: prefix, Profile: c.Profile, RoleARN: c.RoleARN, Endpoint: c.Endpoint, RootCAs: roots, Now: r.sys.now,
	}
	if c.Region == "" {
		c.Region = options.Region()
	}
	c.Credentials, c.RootCAs, c.Logger, c.Now = credential.New(options), roots, r.log, r.sys.now
	c.Stall, c.Jobs, c.UserAgent, c.Wrap = r.set.stall, cmp.Or(r.set.jobs, transfer.MaxJobs), "aivault/"+buildVersion().Version, r.limit()
	s, err := s3.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	r.closes(s)
	return s, nil
}

func (r *run) closes(c io.Closer) {
	r.closers = append(r.closers, func() {
		if err := c.Close(); err != nil {
			r.log.Debug("closing: " + err.Error())
		}
	})
}

// rootCAs reads --ca-file; nil means the system's authorities.
func (r *run) rootCAs() (*x509.CertPool, error) {
	if r.set.caFile == "" {
		return nil, nil
	}
	b, err := os.ReadFile(r.set.caFile)
	if err != nil {
		return nil, usage("--ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, usage("--ca-file: %s holds no certificate in PEM", r.set.caFile)
	}
	return pool, nil
}
