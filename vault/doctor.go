package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Check is one thing that doctor looked at.
type Check struct {
	Name   string
	Status string // "ok", "warn" or "fail"
	Detail string
	Fix    string // what to do, where there is something to do
}

// DoctorReport says whether store and keeper can keep the promises of a vault,
// and what in the vault needs attention.
type DoctorReport struct {
	Fit          bool // no check failed
	Checks       []Check
	Artefacts    []Summary // of the vault, if there is one
	Capabilities backends.Capabilities
	Keepers      []custody.Profile
}

func (r *DoctorReport) add(name, status, detail, fix string) {
	r.Checks = append(r.Checks, Check{Name: name, Status: status, Detail: detail, Fix: fix})
	if status == "fail" {
		r.Fit = false
	}
}

// maxSkew is how far this machine's clock may be from the storage's.
const maxSkew = 5 * time.Minute

// Doctor examines a place, with or without a vault there. What it finds is in
// the report; an error means that it could not look.
func Doctor(ctx context.Context, c Config) (*DoctorReport, error) {
	r := &DoctorReport{Fit: true}
	caps, err := c.Store.Probe(ctx)
	if err != nil {
		return nil, fmt.Errorf("measuring the storage: %w", err)
	}
	r.Capabilities = caps
	for _, why := range caps.Refusals() {
		r.add("storage", "fail", why, "use storage that keeps this promise; a vault cannot be made here")
	}
	if len(caps.Refusals()) == 0 {
		r.add("storage", "ok", "conditional writes, order, visibility, erasure and integrity were measured", "")
	}
	for _, n := range caps.Notes {
		r.add("storage", "warn", n, "")
	}
	if caps.Versioned || caps.SoftDelete || caps.Replicated || caps.Locked {
		r.add("retention", "ok", "the storage keeps what is erased ("+retention(caps)+"): sealed objects outlive a disposal, unreadable", "")
	}
	if skew := caps.ClockSkew.Abs(); skew > maxSkew {
		r.add("clock", "fail", fmt.Sprintf("this machine's clock is %v away from the storage's", skew.Round(time.Second)), "set the clock: disposals and holds depend on it")
	} else {
		r.add("clock", "ok", fmt.Sprintf("within %v of the storage's", maxSkew), "")
	}
	v, err := Open(ctx, c)
	var pinned []state.Plugin
	mode := state.AnyOf
	if err == nil {
		pinned, mode = v.State().Plugins(), v.State().Custody.Mode
	}
	r.keepers(ctx, c, mode, pinned, errors.Is(err, ErrNoVault))
	switch {
	case errors.Is(err, ErrNoVault):
		r.add("vault", "ok", "there is none here yet", "")
		return r, r.strays(ctx, c, nil)
	case err != nil:
		r.add("vault", "fail", err.Error(), "aivault verify names every object that does not verify")
		return r, nil
	}
	return r, r.vault(ctx, c, v)
}

func retention(c backends.Capabilities) string {
	var out []string
	for _, x := range []struct {
		on   bool
		what string
	}{{c.Versioned, "versions"}, {c.SoftDelete, "soft delete"}, {c.Replicated, "replicas"}, {c.Locked, "object lock"}} {
		if x.on {
			out = append(out, x.what)
		}
	}
	return strings.Join(out, ", ")
}

// keepers looks at who keeps the keys. Where there is no vault yet there may be
// no keeper either.
func (r *DoctorReport) keepers(ctx context.Context, c Config, mode string, pinned []state.Plugin, before bool) {
	profiles, _, err := profileKeepers(ctx, c, mode, pinned)
	r.Keepers = profiles
	switch {
	case c.Keepers == nil:
		r.add("keeper", "warn", "none is configured on this machine: nothing can be opened or destroyed from here", "give --custody")
	case before && errors.Is(err, custody.ErrNoKeeper):
		r.add("keeper", "ok", "there is none here yet: aivault init makes it", "")
	case err != nil && len(profiles) > 0 && mode == state.AnyOf:
		r.add("keeper", "warn", err.Error(), "what is there can be read; nothing is destroyed or rotated from here without every keeper: check --custody and its credentials")
	case err != nil:
		r.add("keeper", "fail", err.Error(), "check --custody and the keeper's credentials")
	}
	if len(profiles) > 0 {
		for _, w := range certificateWords(mode, profiles) {
			r.add("keeper", "ok", w, "")
		}
		r.add("keeper", "ok", destroyWords, "give the right to destroy keys to the runner's credential alone (docs/disposal.md)")
	}
}

// destroyWords says what the theft of a runner's keeper credential costs: journal
// rules bind clients, and only the keeper's access control binds keys.
const destroyWords = "whoever holds a credential that may destroy keys at the keeper can make every version of every artefact unreadable, without a request or an approval; they cannot read any"

// vault looks at what the journals say.
func (r *DoctorReport) vault(ctx context.Context, c Config, v *Vault) error {
	st := v.State()
	r.add("vault", "ok", fmt.Sprintf("genesis %s, %d members, head %d", st.Genesis, len(st.Members()), st.Head.Seq), "")
	admins := 0
	for _, m := range st.Members() {
		if m.Has(state.Admin, "") {
			admins++
		}
	}
	if admins == 1 {
		r.add("members", "warn", "one admin: if that identity is lost, nobody can add members or replace keys", "add a second admin or a recovery member")
	} else if st.Policy.AdminQuorum < 2 {
		r.add("members", "warn", fmt.Sprintf("%d admins, and any one of them can change members", admins), "set the admin quorum to 2")
	}
	if st.Policy.Approvals < 2 {
		r.add("policy", "warn", "a disposal needs one approval", "set approvals to 2 once there are custodians")
	}
	var away []state.Keeper
	for _, k := range st.Custody.Keepers {
		if !slices.ContainsFunc(r.Keepers, func(p custody.Profile) bool { return p.Instance == k.Instance }) {
			away = append(away, k)
		}
	}
	status := "fail"
	if st.Custody.Mode == state.AnyOf && len(away) < len(st.Custody.Keepers) {
		status = "warn"
	}
	for _, k := range away {
		if c.Keepers != nil {
			r.add("keeper", status, fmt.Sprintf("the vault's keeper %s (%s) is not one that this machine reaches", k.Instance, k.Kind), "check --custody")
		}
	}
	summaries, _, err := v.List(ctx, "")
	if err != nil {
		r.add("journals", "fail", err.Error(), "aivault verify names every object that does not verify")
	} else {
		r.add("journals", "ok", fmt.Sprintf("%d artefacts, every entry verified", len(summaries)), "")
	}
	r.Artefacts = summaries
	for _, s := range summaries {
		for _, channel := range slices.Sorted(maps.Keys(s.Fallbacks)) {
			if s.State == "live" && s.Fallbacks[channel] == 0 {
				r.add("fallback", "warn", fmt.Sprintf("%s:%s points to v%d and has nothing known good to fall back to", s.Artefact, channel, s.Channels[channel]),
					fmt.Sprintf("aivault rollback %s:%s --dry-run says what each version lacks", s.Artefact, channel))
			}
			if why := s.Faults[channel]; s.State == "live" && why != "" {
				r.add("channel", "warn", fmt.Sprintf("%s:%s points to v%d, which is not known good: %s", s.Artefact, channel, s.Channels[channel], why), "")
			}
		}
	}
	return r.strays(ctx, c, v)
}

// strays names metadata identities that no entry binds: what a crashed init,
// or somebody with bucket credentials, left behind.
func (r *DoctorReport) strays(ctx context.Context, c Config, v *Vault) error {
	bound := map[string]bool{}
	if v != nil {
		for _, m := range v.State().Metadata {
			bound[ledger.MetadataKey(m.MID)] = true
		}
	}
	for info, err := range c.Store.List(ctx, ledger.MetadataPrefix, backends.ListOptions{}) {
		if err != nil {
			return fmt.Errorf("listing metadata identities: %w", err)
		}
		if !bound[info.Key] {
			r.add("strays", "warn", info.Key+" is bound by no entry: an interrupted init, or somebody else's", "erase it once you know that no init is running")
		}
	}
	return nil
}
