package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

func custodyMigrateCommand() *command {
	return &command{
		name: "migrate", args: "SPEC", usage: "move all keys to other keepers, and destroy them at the ones before",
		about:   "An admin's entry pins the new keepers; each artefact gets a new key there, and every older key is destroyed with the same proof as by a rotation. Content is neither read nor written. The keepers before are reached as --custody says. What waits for somebody, or for a keeper, is said, and the exit code is 3: the same command goes on, by whoever may. New keepers by plugin are pinned first: aivault plugin add.",
		example: "aivault custody migrate object:s3://keys-2/vault?profile=keys-2\naivault custody migrate 'any-of(plugin:pkcs11:token=models?module-path=/usr/lib/hsm.so&pin-source=env:HSM_PIN,object:s3://keys/vault)'",
		flags:   flagList(boolFlag("dry-run", "tell what would move and move nothing")),
		json:    custodyMigrateJSON{}, run: custodyMigrate,
	}
}

type custodyMigrateJSON struct {
	Schema      string        `json:"schema"`
	Changed     bool          `json:"changed"`
	Freshness   string        `json:"freshness"`
	Mode        string        `json:"mode"`
	Keepers     []keeperJSON  `json:"keepers"`
	Certificate []string      `json:"certificate"` // what certificates from these keepers will be able to say
	Proposal    *proposalJSON `json:"proposal,omitempty"`
	Moved       []string      `json:"moved"`             // artefacts
	ToMove      []string      `json:"to_move,omitempty"` // with --dry-run
	Waiting     []waitingJSON `json:"waiting"`
	Head        string        `json:"head"`
}

func custodyMigrate(ctx context.Context, c *call) error {
	to, err := naming.ParseCustody(c.args[0])
	if err != nil {
		return err
	}
	p, err := c.findVault("")
	if err != nil {
		return err
	}
	if err := apart(to, p); err != nil {
		return err
	}
	from, err := c.custodySpec(p)
	if err != nil {
		return err
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	dry := c.flags.Bool("dry-run")
	both := union(from, to)
	o := vault.MigrateOptions{Mode: to.Mode, DryRun: dry, Again: "aivault custody migrate " + shellWord(to.String())}
	for _, k := range to.Keepers {
		// A keeper's number, and so its variables, is that of the list with which this
		// machine goes on while anything waits.
		keeper, err := c.openKeeper(ctx, k, slices.IndexFunc(both.Keepers, func(x naming.Keeper) bool { return x.String() == k.String() }), v.State().Plugins(), !dry)
		if dry && errors.Is(err, custody.ErrNoKeeper) {
			c.note("There is no keeper at %s yet: it is made when keys move", printable(k.Label()))
			continue
		}
		if err != nil {
			return fmt.Errorf("the new keeper %s: %w", k.Label(), err)
		}
		o.Keepers = append(o.Keepers, keeper)
	}
	r, err := v.CustodyMigrate(ctx, o)
	if err != nil {
		return err
	}
	if !dry && r.Proposal == nil {
		c.rememberCustody(p, both, to, len(r.Settlement.Waiting) == 0)
	}
	return c.migrated(to, r, dry)
}

// union lists the keepers of both, those of the first first.
func union(from, to naming.Custody) naming.Custody {
	out := naming.Custody{Mode: state.AnyOf, Keepers: slices.Clone(from.Keepers)}
	for _, k := range to.Keepers {
		if !slices.ContainsFunc(out.Keepers, func(x naming.Keeper) bool { return x.String() == k.String() }) {
			out.Keepers = append(out.Keepers, k)
		}
	}
	return out
}

// rememberCustody notes where this machine reaches keepers from now on: those
// before too, while anything waits.
func (c *call) rememberCustody(p place, both, to naming.Custody, done bool) {
	if !p.seen {
		return
	}
	now := to
	if !done && len(both.Keepers) <= state.MaxKeepers {
		now = both
	}
	if now.String() != p.known.Custody {
		p.known.Custody = now.String()
		c.remember(p.known)
	}
	if c.set.custody != "" && c.set.custody != now.String() {
		c.note("%s still names %s; from now on that is %s", c.set.where("custody").Source, printable(c.set.custody), printable(now.String()))
	}
}

func (c *call) migrated(to naming.Custody, r *vault.MigrateResult, dry bool) error {
	object := custodyMigrateJSON{Schema: c.out.schema(), Changed: r.Changed, Freshness: r.Freshness, Mode: r.Mode, Keepers: keepersJSON(r.Keepers), Certificate: nonNil(r.Says),
		Proposal: proposalOf(r.Proposal), Moved: nonNil(r.Moved), ToMove: r.Pending, Waiting: []waitingJSON{}, Head: r.Head.String()}
	for _, w := range r.Settlement.Waiting {
		object.Waiting = append(object.Waiting, waitingJSON{w.Artefact, w.What, w.Who})
	}
	err := c.out.result(object, to.String(), func(w io.Writer) {
		fmt.Fprintf(w, "Custody   %s\n", printable(to.String()))
		fmt.Fprintln(w, "Certificates of destruction from this custody will be able to say:")
		for _, s := range r.Says {
			fmt.Fprintf(w, "  - %s\n", printable(s))
		}
		switch {
		case object.Proposal != nil:
			fmt.Fprintf(w, "proposed: %s\n", printable(object.Proposal.What))
		case dry:
			fmt.Fprintf(w, "would move: %s\n", orDash(strings.Join(object.ToMove, " ")))
		case len(object.Moved) > 0:
			fmt.Fprintf(w, "moved: %s\n", printable(strings.Join(object.Moved, " ")))
		}
		for _, x := range object.Waiting {
			fmt.Fprintf(w, "%s: %s; waits for %s\n", printable(x.Artefact), printable(x.What), printable(x.Who))
		}
	})
	switch {
	case err != nil:
		return err
	case object.Proposal != nil:
		return hint(fmt.Errorf("%w: %s must still sign", errPartial, plural(object.Proposal.Lacks, "admin")), "another admin runs aivault member approve "+object.Proposal.ID[:16]+"; then the same again")
	case len(object.Waiting) > 0:
		return hint(fmt.Errorf("%w: %s", errPartial, waits(len(object.Waiting))), "the same command goes on; until then other machines need both keepers: --custody any-of(…)")
	case !dry && !object.Changed:
		return c.unchanged()
	}
	c.note("Other machines learn of it with aivault join VAULT --custody %s", shellWord(to.String()))
	return nil
}

// shellWord quotes a word for a shell, if it has to be.
func shellWord(s string) string {
	if !strings.ContainsAny(s, " \t'\"\\$`&;|<>()*?#~!{}[]") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
