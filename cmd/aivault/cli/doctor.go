package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/object"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

func doctorCommand() *command {
	return &command{
		name: "doctor", args: "[VAULT]", usage: "examine storage and keeper, and the vault if there is one",
		about:   "Measures what storage really does, with objects below probe/ that it takes away again. Works before there is a vault. Exits with 15 if something cannot keep the promises of a vault.",
		example: "aivault doctor s3://models/vault --custody object:s3://keys/vault\naivault doctor --vault lab --json\naivault doctor s3://models/vault --policy pusher > pusher.json",
		flags: flagList(
			textFlag("policy", "ROLE", "only print what the credentials of a role need: a policy for the bucket in AWS's policy language, and for the keeper; reader stands for a member without a role"),
			textFlag("principal", "ARN", "with --policy: make it the bucket's own policy, for this principal"),
			textFlag("metrics-file", "FILE", "also write what channels can fall back to as a Prometheus textfile, whole"),
			boolFlag("no-write-once", "with --policy: leave out the statement that forbids overwriting, whose condition (s3:if-none-match) AWS knows and MinIO refuses"),
		),
		json: doctorJSON{},
		run:  runDoctor,
	}
}

type checkJSON struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

type capabilitiesJSON struct {
	PutIfAbsent      bool     `json:"put_if_absent"`
	ReadAfterWrite   bool     `json:"read_after_write"`
	BytesIntact      bool     `json:"bytes_intact"`
	OrderedList      bool     `json:"ordered_list"`
	EraseWorks       bool     `json:"erase_works"`
	RefusesBadHash   bool     `json:"refuses_bad_hash"`
	Versioned        bool     `json:"versioned"`
	Locked           bool     `json:"locked"`
	SoftDelete       bool     `json:"soft_delete"`
	Replicated       bool     `json:"replicated"`
	ExpiryRule       bool     `json:"expiry_rule"`
	RefusesAnonymous bool     `json:"refuses_anonymous"`
	ClockSkew        float64  `json:"clock_skew_seconds"`
	Notes            []string `json:"notes"`
}

func storageJSON(c backends.Capabilities) capabilitiesJSON {
	return capabilitiesJSON{c.PutIfAbsent, c.ReadAfterWrite, c.BytesIntact, c.OrderedList, c.EraseWorks, c.RefusesBadHash, c.Versioned,
		c.Locked, c.SoftDelete, c.Replicated, c.ExpiryRule, c.RefusesAnonymous, c.ClockSkew.Seconds(), nonNil(c.Notes)}
}

type doctorJSON struct {
	Schema  string           `json:"schema"`
	Access  *accessJSON      `json:"access,omitempty"` // with --policy, and then alone
	Fit     bool             `json:"fit"`
	Checks  []checkJSON      `json:"checks"`
	Storage capabilitiesJSON `json:"storage"`
	Keepers []keeperJSON     `json:"keepers"`
}

func runDoctor(ctx context.Context, c *call) error {
	p, err := c.examined()
	if err != nil {
		return err
	}
	if c.flags.IsSet("policy") {
		return c.printAccess(p)
	}
	for _, name := range []string{"principal", "no-write-once"} {
		if c.flags.IsSet(name) {
			return usage("--%s goes with --policy", name)
		}
	}
	if err := p.check(); err != nil {
		return err
	}
	store, err := c.openStore(ctx, p.at, "", false)
	if err != nil {
		return err
	}
	id, err := c.identityOrNone(ctx)
	if err != nil {
		return err
	}
	config := vault.Config{Store: store, Identity: id, Genesis: c.set.genesis, Pins: c.set.pins, Now: c.sys.now, Stall: c.set.stall, Jobs: c.set.jobs, MemoryFor: c.memoryFor}
	if p.seen && config.Genesis.IsZero() {
		config.Genesis = p.known.Genesis
	}
	if _, err := c.custodySpec(p); err == nil {
		config.Keepers = func(ctx context.Context, pinned []state.Plugin) ([]custody.Keeper, error) {
			return c.keepersToBe(ctx, p, pinned)
		}
	}
	r, err := vault.Doctor(ctx, config)
	if err != nil {
		return err
	}
	if file := c.flags.String("metrics-file"); file != "" {
		if err := machine.WriteMetrics(file, channelMetrics(r, c.sys.now())); err != nil {
			return fmt.Errorf("writing --metrics-file: %w", err)
		}
	}
	object := doctorJSON{c.out.schema(), nil, r.Fit, []checkJSON{}, storageJSON(r.Capabilities), keepersJSON(r.Keepers)}
	for _, k := range r.Checks {
		object.Checks = append(object.Checks, checkJSON{k.Name, k.Status, k.Detail, k.Fix})
	}
	verdict := map[bool]string{true: "fit", false: "unfit"}[r.Fit]
	err = c.out.result(object, verdict, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, k := range r.Checks {
			writeRow(t, []string{k.Status, k.Name, k.Detail})
			if k.Fix != "" {
				writeRow(t, []string{"", "", "→ " + k.Fix})
			}
		}
		t.Flush()
	})
	if err == nil && !r.Fit {
		return hint(fmt.Errorf("%s %w", p.at, vault.ErrUnfit), "see the checks that failed")
	}
	return err
}

// keepersToBe is keepers for a place where there may be no vault yet: a store
// that has no keeper is measured, as init will.
func (c *call) keepersToBe(ctx context.Context, p place, pinned []state.Plugin) ([]custody.Keeper, error) {
	out, err := c.keepers(ctx, p, pinned)
	if !errors.Is(err, custody.ErrNoKeeper) {
		return out, err
	}
	spec, specErr := c.custodySpec(p)
	if specErr != nil {
		return out, err
	}
	for i, k := range spec.Keepers {
		if k.Store == nil {
			continue
		}
		store, storeErr := c.openStore(ctx, *k.Store, custodyPrefix(i), false)
		if storeErr != nil {
			return out, storeErr
		}
		caps, probeErr := store.Probe(ctx)
		if probeErr != nil {
			return out, fmt.Errorf("measuring the keeper's store: %w", probeErr)
		}
		if unfit := object.Fit(caps); unfit != nil {
			return out, unfit
		}
	}
	return out, err
}

// examined is the vault to examine: the argument, else --vault.
func (c *call) examined() (place, error) {
	if len(c.args) == 0 {
		return c.findVault("")
	}
	if c.set.where("vault").Origin == "flag" {
		return place{}, usage("VAULT and --vault both say what to examine")
	}
	return c.placeAt(c.args[0])
}

// identityOrNone loads the identity. Where there is none yet it returns one that
// belongs to nobody, so that what is there can be examined from outside.
func (r *run) identityOrNone(ctx context.Context) (*identity.Identity, error) {
	source, err := r.identitySource()
	if err != nil {
		return nil, err
	}
	id, err := r.identityFrom(ctx, source)
	if errors.Is(err, fs.ErrNotExist) && source == defaultIdentityPath() {
		return identity.New()
	}
	return id, err
}
