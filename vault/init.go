package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// InitOptions describes a new vault.
type InitOptions struct {
	Member string // the founder's name
	Person string // name, function, organisation; may be empty
	Mode   string // of custody, where there are several keepers; "": any-of
}

// InitResult is a new vault.
type InitResult struct {
	Genesis      canonical.Digest
	Member       string
	Head         ledger.Pin
	Keepers      []custody.Profile
	Capabilities backends.Capabilities
	Says         []string // what certificates from these keepers will be able to say
}

// Init makes a vault: it measures store and keepers, refuses what cannot keep
// the promises, puts the metadata identity, and then slot 0, with which the
// vault exists. The founder gets every role. Of two that race, one gets
// ErrVaultExists and takes its own object away again. Errors also: ErrUnfit.
func Init(ctx context.Context, c Config, o InitOptions) (*InitResult, error) {
	if err := state.CheckShortName(o.Member); err != nil {
		return nil, err
	}
	if err := vacant(ctx, c.Store); err != nil {
		return nil, err
	}
	caps, err := c.Store.Probe(ctx)
	if err != nil {
		return nil, fmt.Errorf("measuring the storage: %w", err)
	}
	if bad := caps.Refusals(); len(bad) > 0 {
		return nil, fmt.Errorf("the storage %w: %s", ErrUnfit, strings.Join(bad, "; "))
	}
	profiles, cust, err := profileKeepers(ctx, c, cmp.Or(o.Mode, state.AnyOf), nil)
	if err != nil {
		return nil, err
	}
	self := seal.AsKey(c.Identity.Sealing())
	meta, sealed, err := ledger.FirstMetadata(seal.Age{}, self.Recipient())
	if err != nil {
		return nil, err
	}
	metaKey := ledger.MetadataKey(meta.MID)
	if _, err := c.Store.Put(ctx, metaKey, sealed); err != nil {
		return nil, fmt.Errorf("storing the metadata identity: %w", err)
	}
	roles := make([]state.Grant, 0, len(state.Roles()))
	for _, r := range state.Roles() {
		roles = append(roles, state.Grant{Role: r, Glob: "*"})
	}
	genesis, err := entry.Sign(ctx, entry.Header{Kind: state.KindGenesis, Critical: true, Format: entry.Format, Journal: entry.VaultJournal,
		Author: authorOf(c), Time: entry.At(c.Now()), Op: canonical.NewID()},
		state.Genesis{Founder: state.MemberSpec{Name: o.Member, Key: c.Identity.Public().String(), Roles: roles, Person: o.Person},
			Metadata: meta, Custody: cust, Policy: state.Policy{Approvals: 1, AdminQuorum: 1}}, c.Identity.Signing())
	if err != nil {
		return nil, err
	}
	if _, err := state.NewVault(genesis); err != nil {
		return nil, fmt.Errorf("a vault that nobody could open: %w", err)
	}
	j := journal.Journal{Store: c.Store, Prefix: "log/", ID: entry.VaultJournal, Stall: c.Stall}
	_, err = j.Append(ctx, &journal.Log{}, genesis, func(plain []byte) ([]byte, error) { return seal.Age{}.Seal(plain, meta.Recipient) })
	if errors.Is(err, journal.ErrLost) {
		_, eraseErr := c.Store.Erase(ctx, metaKey)
		return nil, errors.Join(ErrVaultExists, eraseErr)
	}
	if err != nil {
		return nil, err
	}
	res := &InitResult{Genesis: genesis.Hash, Member: o.Member, Head: ledger.Pin{Journal: entry.VaultJournal, Position: genesis.Position()},
		Keepers: profiles, Capabilities: caps, Says: certificateWords(cust.Mode, profiles)}
	if c.MemoryFor != nil {
		if m, _ := c.MemoryFor(genesis.Hash); m != nil {
			m.Remember(entry.VaultJournal, genesis.Position())
		}
	}
	return res, nil
}

// vacant refuses a place where a journal's slot is taken.
func vacant(ctx context.Context, s backends.Store) error {
	for _, err := range s.List(ctx, "log/", backends.ListOptions{Limit: 1}) {
		if err != nil {
			return fmt.Errorf("looking for a vault: %w", err)
		}
		return ErrVaultExists
	}
	return nil
}

func authorOf(c Config) canonical.Digest {
	return (&ledger.Session{Signer: c.Identity.Signing()}).Author()
}

// minStrength is the least strength of a keeper's wrapping, in bits.
const minStrength = 128

// profileKeepers asks every keeper who it is and refuses those whose wrapping
// would not outlast the data, and one that comes twice. Of several it returns
// those that are reached, beside an error for the others.
func profileKeepers(ctx context.Context, c Config, mode string, pinned []state.Plugin) ([]custody.Profile, state.Custody, error) {
	cust := state.Custody{Mode: mode}
	if c.Keepers == nil {
		return nil, cust, fmt.Errorf("a vault needs a keeper: %w", ErrUnfit)
	}
	ks, unreached := c.Keepers(ctx, pinned)
	if unreached != nil {
		unreached = fmt.Errorf("reaching the keeper: %w", unreached)
	}
	var profiles []custody.Profile
	for _, k := range ks {
		p, err := k.Profile(ctx)
		if err != nil {
			return nil, cust, fmt.Errorf("asking the keeper who it is: %w", err)
		}
		if !p.PostQuantum || p.Strength < minStrength {
			return nil, cust, fmt.Errorf("the keeper %s %w: it wraps with %s (%d bit, post-quantum %v); at least %d bit, symmetric or hybrid, is needed",
				p.Instance, ErrUnfit, p.Algorithm, p.Strength, p.PostQuantum, minStrength)
		}
		if slices.ContainsFunc(profiles, func(have custody.Profile) bool { return have.Instance == p.Instance }) {
			return nil, cust, fmt.Errorf("two of the keepers are one, %s, which is %w as two", p.Instance, ErrUnfit)
		}
		profiles = append(profiles, p)
		cust.Keepers = append(cust.Keepers, state.Keeper{Instance: p.Instance, Kind: p.Kind})
	}
	return profiles, cust, unreached
}

// certificateWords says what a certificate of destruction will be able to claim.
func certificateWords(mode string, profiles []custody.Profile) []string {
	var out []string
	switch n := len(profiles); {
	case n < 2:
	case mode == state.AnyOf:
		out = append(out, fmt.Sprintf("each of the %d keepers alone can open; what is destroyed is gone once every one of them has destroyed its key", n))
	default:
		out = append(out, fmt.Sprintf("it takes all %d keepers to open; what is destroyed is gone once one of them has destroyed its key", n))
	}
	for _, p := range profiles {
		when := "at once"
		if p.DeletionDelay > 0 {
			when = "after " + p.DeletionDelay.String()
		}
		out = append(out, fmt.Sprintf("keeper %s (%s): keys are destroyed %s; copies in the keeper's own backups: %s", p.Instance, p.Kind, when, p.BackupRetention))
		if p.KeyThroughHost {
			out = append(out, "key material passes through the memory of the machine that runs aivault")
		}
		out = append(out, p.Notes...)
	}
	return out
}
