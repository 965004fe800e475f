package disposal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/handover"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/state"
)

const detailsFormat = "aivault-disposal/1"

// Person is a member as they were: by name, with the line about them.
type Person struct {
	Name string           `json:"name"`
	Line string           `json:"person,omitempty"` // name, function, organisation
	Key  canonical.Digest `json:"key,omitzero"`
}

// Details is all that a certificate says, in the terms of NIST SP 800-88 where
// that has them.
type Details struct {
	Format    string           `json:"format"`
	Vault     canonical.Digest `json:"vault"` // its genesis
	Disposal  canonical.ID     `json:"disposal"`
	Time      entry.Time       `json:"time"`
	Effective entry.Time       `json:"effective"` // when the last of the keys was gone
	Method    Method           `json:"method"`
	Requested Act              `json:"requested"`
	Authority string           `json:"authority,omitempty"`
	After     entry.Time       `json:"after"`
	Plan      canonical.Digest `json:"plan"`
	Approvals []Act            `json:"approvals"`
	Needed    int              `json:"approvals_needed"` // the strictest policy between request and activation
	Sole      bool             `json:"sole_custodian"`   // the requester approved it, being the only custodian
	Performed Person           `json:"performed_by"`     // who verified the result and signed this
	Decisions []Decision       `json:"decisions"`        // that interlocks demanded
	Artefacts []DisposedOf     `json:"artefacts"`        // what was disposed of
	Keepers   []KeeperProfile  `json:"keepers"`          // as they describe themselves
	Retained  []state.Retained `json:"retained"`         // unreadable objects that storage keeps until a date
	Published []string         `json:"published_hashes"` // decisions to publish plain hashes
	Limits    []string         `json:"not_covered"`      // what this does not say
	Witness   string           `json:"witness"`          // what vouches for the journals besides their signatures
	Accepted  string           `json:"validation"`       // how the result is validated
	Tool      string           `json:"tool"`
}

// Method is how it was done, in the words of SP 800-88.
type Method struct {
	Class        string `json:"method"`
	Technique    string `json:"technique"`
	Standard     string `json:"standard"`
	Strength     string `json:"key_strength"`
	Verification string `json:"verification"`
}

// Act is what somebody did, and when.
type Act struct {
	By     Person     `json:"by"`
	Time   entry.Time `json:"time"`
	Reason string     `json:"reason,omitempty"`
}

// DisposedOf is a certificate's part about one artefact.
type DisposedOf struct {
	ID        canonical.Digest     `json:"id"`
	Name      string               `json:"name"`
	Whole     bool                 `json:"whole"`
	Versions  []PlanVersion        `json:"versions"`
	Survivors int                  `json:"survivors"`
	Keys      []state.DestroyedKey `json:"keys"`
	Attack    AttackResult         `json:"attack"`
	Receipts  []PlanReceipt        `json:"receipts"`
	Transfers []Handover           `json:"transfers"` // to new owners, whom this does not reach
	Head      entry.Position       `json:"head"`      // of the artefact's journal when this was made
}

// Handover is a version's transfer to a new owner, as the journal has it.
type Handover struct {
	Number    int        `json:"number"`
	Owner     string     `json:"owner,omitempty"`
	Recipient string     `json:"recipient"` // fingerprint of the new owner's
	By        string     `json:"by"`
	Time      entry.Time `json:"time"`
	Reason    string     `json:"reason,omitempty"`
}

// handovers lists the transfers of versions.
func handovers(of []*state.CommittedVersion) []Handover {
	out := []Handover{}
	for _, v := range of {
		for _, t := range v.Transfers {
			out = append(out, Handover{Number: v.Number, Owner: t.Owner, Recipient: handover.Fingerprint(t.Recipient), By: t.By, Time: t.Time, Reason: t.Reason})
		}
	}
	return out
}

// AttackResult is the gist of the report that a verified entry binds.
type AttackResult struct {
	Result   string           `json:"result"`
	Report   canonical.Digest `json:"report"`
	By       string           `json:"by"`
	Time     entry.Time       `json:"time"`
	Tries    int              `json:"tries"`
	Refused  int              `json:"refused"`
	Controls int              `json:"controls"`
	Tables   int              `json:"tables"`
}

// KeeperProfile is what a keeper says of itself, as a certificate quotes it.
type KeeperProfile struct {
	Instance       string   `json:"instance"`
	Kind           string   `json:"kind"`
	Algorithm      string   `json:"algorithm"`
	Strength       int      `json:"strength_bits"`
	PostQuantum    bool     `json:"post_quantum"`
	KeyThroughHost bool     `json:"key_through_host"`
	Backups        string   `json:"backup_retention"`
	Delay          string   `json:"deletion_delay"`
	Certificates   []string `json:"certificates"`
	Notes          []string `json:"notes"`
}

func (d *Details) count() int {
	n := 0
	for _, a := range d.Artefacts {
		n += len(a.Versions)
	}
	return n
}

// details gathers what the certificate of a verified disposal says.
func (d *Desk) details(ctx context.Context, id canonical.ID) (*Details, error) {
	s, err := d.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.Phase != Verified {
		return nil, fmt.Errorf("disposal %s is %s, not %s: %w", id, s.Phase, Verified, ErrInconclusive)
	}
	plan, err := d.PlanOf(ctx, id)
	if err != nil {
		return nil, err
	}
	v := d.Vault.State()
	out := &Details{Format: detailsFormat, Vault: v.Genesis, Disposal: id, Time: entry.At(d.Vault.Now()), Method: method(),
		Requested: Act{By: named(v, s.By), Time: s.Time, Reason: s.Reason}, Authority: s.Authority, After: s.After, Plan: s.Plan.SHA256,
		Approvals: []Act{}, Sole: s.SoleApproval(), Performed: d.self(), Decisions: plan.Decisions,
		Artefacts: []DisposedOf{}, Keepers: []KeeperProfile{}, Retained: []state.Retained{}, Published: []string{},
		Limits: limits(), Witness: "not witnessed", Accepted: "a separate act: see aivault decommission accept", Tool: d.Tool}
	for _, a := range s.Approvals {
		out.Approvals = append(out.Approvals, Act{By: named(v, a.By), Time: a.Time})
	}
	instances := map[string]bool{}
	kinds := map[string]string{}
	for _, at := range s.Artefacts {
		part, err := d.disposedOf(ctx, plan, at)
		if err != nil {
			return nil, err
		}
		out.Artefacts = append(out.Artefacts, *part)
		out.Needed = max(out.Needed, d.ring(at.ID).Ledger.State().Asked(id))
		for _, k := range part.Keys {
			instances[k.Instance] = true
			if k.At.After(out.Effective.Time) {
				out.Effective = k.At
			}
		}
		for _, ep := range d.ring(at.ID).Ledger.State().Epochs {
			for _, k := range ep.Custody.Keepers {
				kinds[k.Instance] = k.Kind
			}
			out.Limits = append(out.Limits, shares(at.Name, ep, part.Keys)...)
		}
		for _, x := range at.Versions {
			for _, r := range x.Retained {
				if !slices.Contains(out.Retained, r) {
					out.Retained = append(out.Retained, r)
				}
			}
		}
	}
	for _, instance := range slices.Sorted(maps.Keys(instances)) {
		p, err := d.profile(ctx, d.ring(s.Artefacts[0].ID), instance, kinds[instance])
		if err != nil {
			return nil, err
		}
		out.Keepers = append(out.Keepers, *p)
		for _, n := range p.Notes {
			out.Limits = append(out.Limits, fmt.Sprintf("Keeper %s: %s", instance, n))
		}
	}
	return out, nil
}

func (d *Desk) disposedOf(ctx context.Context, plan *Plan, at ArtefactStatus) (*DisposedOf, error) {
	a := d.ring(at.ID).Ledger.State()
	part := &DisposedOf{ID: at.ID, Name: at.Name, Whole: at.Whole, Versions: []PlanVersion{}, Survivors: a.Survivors().Count, Head: a.Head}
	for _, v := range at.Versions {
		part.Versions = append(part.Versions, asPlanned(plan, at.ID, v))
	}
	part.Keys, part.Transfers = a.KeysOf(at.Versions), handovers(at.Versions)
	var err error
	if part.Receipts, err = d.receipts(ctx, a, at.Versions); err != nil {
		return nil, err
	}
	b, err := d.ring(at.ID).Document(ctx, at.Attack.Report)
	if err != nil {
		return nil, fmt.Errorf("the report of the attack on %s: %w", at.Name, err)
	}
	var report Report
	if err := canonical.Unmarshal(b, &report); err != nil || report.Attack == nil || report.Result != at.Attack.Result {
		return nil, fmt.Errorf("the report of the attack on %s: %w", at.Name, keyring.ErrIntegrity)
	}
	part.Attack = AttackResult{Result: at.Attack.Result, Report: at.Attack.Report.SHA256, By: at.Attack.By, Time: at.Attack.Time,
		Tries: len(report.Attack.Tries), Controls: len(report.Attack.Controls), Tables: report.Attack.Tables}
	for _, t := range report.Attack.Tries {
		if t.Outcome == keyring.Refused {
			part.Attack.Refused++
		}
	}
	return part, nil
}

// asPlanned returns what the plan said of a version; one that it does not name
// has at least its entry.
func asPlanned(p *Plan, aid canonical.Digest, v *state.CommittedVersion) PlanVersion {
	for _, a := range p.Artefacts {
		for _, x := range a.Dies {
			if a.ID == aid && x.VID == v.VID {
				return x
			}
		}
	}
	return PlanVersion{VID: v.VID, Number: v.Number, Digest: v.Digest, Kind: v.Kind, Classification: v.Classification, Pushed: v.Time, By: v.By, Stored: v.Stored}
}

// shares says which keys of an epoch in all-of custody, some of whose keys are on
// record as destroyed, are not.
func shares(artefact string, ep *state.Epoch, destroyed []state.DestroyedKey) []string {
	var out []string
	if ep.Candidate == nil || ep.Candidate.Mode != state.AllOf || !slices.ContainsFunc(destroyed, func(k state.DestroyedKey) bool { return k.EID == ep.EID }) {
		return nil
	}
	for _, ref := range ep.Candidate.Keys {
		if !slices.ContainsFunc(destroyed, func(k state.DestroyedKey) bool { return k.EID == ep.EID && k.KeyRef == ref }) {
			out = append(out, fmt.Sprintf("Key %s of keeper %s, which wraps a share of an epoch of %s, is not on record as destroyed; the share opens nothing without those whose keys are.", ref.Ref, ref.Instance, artefact))
		}
	}
	return out
}

// leftNote is what a certificate says of a keeper that was not asked.
const leftNote = "The vault's keys had moved away from this keeper before, and it was not asked again, whatever is said of verification: that its keys are destroyed rests on what it acknowledged then, as the journal has it."

func (d *Desk) profile(ctx context.Context, ring *keyring.Ring, instance, kind string) (*KeeperProfile, error) {
	k := d.Keepers[instance]
	if ring.Left(instance) {
		return &KeeperProfile{Instance: instance, Kind: kind, Algorithm: "unknown", Backups: "unknown", Delay: "unknown", Certificates: []string{}, Notes: []string{leftNote}}, nil
	}
	if k == nil {
		return nil, fmt.Errorf("keeper %s is not configured on this machine: %w", instance, custody.ErrUnavailable)
	}
	p, err := k.Profile(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking keeper %s for its profile: %w", instance, err)
	}
	return &KeeperProfile{Instance: instance, Kind: p.Kind, Algorithm: p.Algorithm, Strength: p.Strength, PostQuantum: p.PostQuantum,
		KeyThroughHost: p.KeyThroughHost, Backups: p.BackupRetention, Delay: p.DeletionDelay.String(),
		Certificates: append([]string{}, p.Certificates...), Notes: append([]string{}, p.Notes...)}, nil
}

// named returns a member as a certificate names them.
func named(v *state.Vault, name string) Person {
	p := Person{Name: name}
	if m := v.Member(name); m != nil {
		p.Line = m.Person
		p.Key, _ = canonical.ParseDigest(m.Public.Key.KeyID())
	}
	return p
}

func (d *Desk) self() Person { return named(d.Vault.State(), d.person(d.Vault.Author())) }

func method() Method {
	return Method{
		Class: "purge", Technique: "cryptographic erase", Standard: "NIST SP 800-88 Rev. 2",
		Strength:     "every object is sealed to ML-KEM-768 with X25519 and ChaCha20-Poly1305 (age); keys are wrapped with at least 128 bits; nothing was stored in clear",
		Verification: "every destroyed key was tried with every stored wrapping and refused by its keeper as destroyed, in a session in which the same keeper opened what it should; tables of living keys were searched",
	}
}

// limits are the sentences that every certificate bears, whatever it is about.
func limits() []string {
	return strings.Split(strings.TrimSpace(`
Plaintext that readers pulled before the keys were destroyed is not reached by this. Receipts that were found are listed; there may be more.
Keys that a reader's compromised machine copied are not reached by this.
Copies of keeper keys outside the keeper, in its backups above all, are not reached by this. The keepers' own profiles say what they know of such copies.
The version entries in the journals, with sizes, times, labels and lineage, outlive the versions. They confirm no guess of their content.
What was learned from destroyed data by models trained on it is not erased by this.
The signature on this certificate is classical (ECDSA P-256): a future quantum computer could forge such signatures.
`), "\n")
}
