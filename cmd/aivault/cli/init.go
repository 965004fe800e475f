package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

func initCommand() *command {
	return &command{
		name: "init", args: "VAULT", usage: "make a new vault, of which you are the first member",
		about:   "Storage and keeper are measured first, and refused if they cannot keep the promises of a vault. You get every role; if you have no identity, one is made. The keeper of a vault in a directory is by default a directory of this user; any other vault needs --custody. Prints what certificates of destruction will be able to say with this keeper.",
		example: "aivault init ./vault\naivault init s3://models/vault --custody object:s3://keys/vault?profile=keys",
		flags: flagList(
			textFlag("member", "NAME", "what the vault calls you (default: your user name)"),
			textFlag("person", "TEXT", "your name, function and organisation, for certificates to quote"),
			textFlag("as", "NAME", "remember the vault under a name"),
			listFlag("plugin-env", "NAME", "a variable that the plugins of storage and keeper are given; may be repeated"),
		),
		json: initJSON{},
		run:  runInit,
	}
}

type keeperJSON struct {
	Instance        string   `json:"instance"`
	Kind            string   `json:"kind"`
	Algorithm       string   `json:"algorithm"`
	Strength        int      `json:"strength"`
	PostQuantum     bool     `json:"post_quantum"`
	KeyThroughHost  bool     `json:"key_through_host"`
	BackupRetention string   `json:"backup_retention"`
	DeletionDelay   string   `json:"deletion_delay"`
	Certificates    []string `json:"certificates"`
	Notes           []string `json:"notes"`
}

func keepersJSON(profiles []custody.Profile) []keeperJSON {
	out := []keeperJSON{}
	for _, p := range profiles {
		out = append(out, keeperJSON{p.Instance, p.Kind, p.Algorithm, p.Strength, p.PostQuantum, p.KeyThroughHost, p.BackupRetention,
			p.DeletionDelay.String(), nonNil(p.Certificates), nonNil(p.Notes)})
	}
	return out
}

type initJSON struct {
	Schema      string       `json:"schema"`
	Changed     bool         `json:"changed"`
	Vault       string       `json:"vault"`
	Genesis     string       `json:"genesis"`
	Head        string       `json:"head"`
	Member      string       `json:"member"`
	Keepers     []keeperJSON `json:"keepers"`
	Certificate []string     `json:"certificate"` // what certificates from this keeper will be able to say
}

func runInit(ctx context.Context, c *call) error {
	p, err := c.placeAt(c.args[0])
	if err != nil {
		return err
	}
	if p.seen {
		return hint(conflict("at %s this machine remembers the vault %s", p.at.Place(), p.known.Genesis),
			"if that one is gone for good, remove "+c.memory.File(p.at.Place()))
	}
	spec, err := c.newCustody(p)
	if err != nil {
		return err
	}
	names, err := c.checkAs(c.flags.String("as"), p)
	if err != nil {
		return err
	}
	o := vault.InitOptions{Member: c.flags.String("member"), Person: c.flags.String("person"), Mode: spec.Mode}
	if o.Member == "" {
		o.Member = userName()
	}
	if err := state.CheckShortName(o.Member); err != nil {
		return hint(err, "choose your name with --member")
	}
	id, err := c.identityOrNew(ctx)
	if err != nil {
		return err
	}
	pins, err := c.newPlugins(p.at.Plugin, spec)
	if err != nil {
		return err
	}
	store, err := c.openStore(ctx, p.at, "", true)
	if err != nil {
		return err
	}
	config := vault.Config{
		Store: store, Identity: id, Now: c.sys.now, Stall: c.set.stall, Jobs: c.set.jobs, MemoryFor: c.memoryFor,
		Keepers: func(ctx context.Context, _ []state.Plugin) ([]custody.Keeper, error) {
			return c.openKeepers(ctx, spec, 0, pins, true)
		},
	}
	res, err := vault.Init(ctx, config, o)
	if err != nil {
		return err
	}
	c.remember(machine.Vault{Place: p.at.Place(), URL: p.at.String(), Genesis: res.Genesis, Custody: spec.String(), Names: names, Plugin: c.storePlugin})
	if res.Head, err = c.pinNewPlugins(ctx, config, res, pins); err != nil {
		return err
	}
	c.warnOfSharedStorage(p, spec, res.Capabilities)
	object := initJSON{c.out.schema(), true, p.at.String(), res.Genesis.String(), res.Head.String(), res.Member, keepersJSON(res.Keepers), nonNil(res.Says)}
	err = c.out.result(object, object.Genesis, func(w io.Writer) {
		fmt.Fprintf(w, "Vault     %s\nGenesis   %s\nMember    %s, with every role\nCustody   %s\n", printable(object.Vault), object.Genesis, printable(res.Member), printable(spec.String()))
		fmt.Fprintln(w, "Certificates of destruction from this keeper will be able to say:")
		for _, s := range res.Says {
			fmt.Fprintf(w, "  - %s\n", printable(s))
		}
	})
	c.note("Whoever joins needs the genesis: aivault join %s --genesis %s", printable(object.Vault), object.Genesis)
	c.note("If your identity is lost, so is the right to add members: keep a copy of it, or add a second admin.")
	return err
}

// newCustody says where the keys of a new vault will be.
func (c *call) newCustody(p place) (naming.Custody, error) {
	if c.set.custody == "" && p.at.Dir == "" {
		return naming.Custody{}, hint(usage("a vault in a bucket needs --custody"), "keys must lie elsewhere than what they open: --custody object:s3://OTHER-BUCKET/PREFIX?profile=OTHER, or local:DIR for this machine alone")
	}
	spec, err := c.custodySpec(p)
	if err != nil {
		return spec, err
	}
	return spec, apart(spec, p)
}

// apart refuses a keeper in the storage of the vault.
func apart(spec naming.Custody, p place) error {
	for _, k := range spec.Keepers {
		if k.Plugin.Name != "" && k.Plugin == p.at.Plugin || k.Store != nil && overlaps(*k.Store, p.at) || k.Local != "" && p.at.Dir != "" && within(k.Local, p.at.Dir) {
			return hint(usage("the keeper would lie in the vault's own storage: whoever holds that could open everything, and nothing could be destroyed"), "give it another bucket, under other credentials")
		}
	}
	return nil
}

// overlaps says whether two stores are in one bucket of one endpoint, or one
// directory within the other.
func overlaps(a, b naming.Location) bool {
	if a.Plugin.Name != "" || b.Plugin.Name != "" {
		return a.Plugin == b.Plugin
	}
	if a.Dir != "" || b.Dir != "" {
		return a.Dir != "" && b.Dir != "" && within(a.Dir, b.Dir)
	}
	return a.S3.Bucket == b.S3.Bucket && a.S3.Endpoint == b.S3.Endpoint
}

// within says whether one of two directories is the other or lies in it.
func within(a, b string) bool {
	inside := func(outer, inner string) bool {
		rel, err := filepath.Rel(outer, inner)
		return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	}
	return inside(a, b) || inside(b, a)
}

// warnOfSharedStorage says what is weak about where the vault was put.
func (c *call) warnOfSharedStorage(p place, spec naming.Custody, caps backends.Capabilities) {
	for _, k := range spec.Keepers {
		switch {
		case k.Local == "" || p.at.Dir != "":
		case len(spec.Keepers) == 1:
			c.log.Warn("the keeper is a directory of this machine: no other machine can push or pull")
		default:
			c.log.Warn("the keeper " + k.Label() + " is a directory of this machine, which no other machine reaches")
		}
	}
	for _, n := range caps.Notes {
		c.log.Warn("storage: " + n)
	}
}

// identityOrNew loads the identity, or makes one where nothing says who this is
// and the default file does not exist.
func (r *run) identityOrNew(ctx context.Context) (*identity.Identity, error) {
	source, err := r.identitySource()
	if err != nil {
		return nil, err
	}
	id, err := r.identityFrom(ctx, source)
	if !errors.Is(err, fs.ErrNotExist) || source != defaultIdentityPath() {
		return id, err
	}
	if id, err = identity.New(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(source), 0o700); err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	if err := identity.WriteFile(source, id.Reveal()); err != nil {
		return nil, err
	}
	fmt.Fprintf(r.sys.stderr, "You had no identity: a new one is in %s. Whoever has that file can act as you; keep a copy.\n", printable(source))
	return id, nil
}

// userName makes a member's name of the user's, "admin" where that fails.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return "admin"
	}
	_, name, found := strings.Cut(u.Username, `\`) // Windows: DOMAIN\user
	if !found {
		name = u.Username
	}
	name = strings.ToLower(name)
	if state.CheckShortName(name) != nil {
		return "admin"
	}
	return name
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
