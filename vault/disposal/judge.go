package disposal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/state"
)

// Judgement is what a bundle proves.
type Judgement struct {
	Certificate *Certificate
	Accepted    *Act // nil: nobody has, as far as the bundle's journals go
	Vault       entry.Position
	Witnesses   []Witnessed // who vouch for the journals up to the certificate, by name
}

// Witnessed is a cosignature of a checkpoint that covers a certificate.
type Witnessed struct {
	Name    string    `json:"name"`
	Time    time.Time `json:"time"`
	Trusted bool      `json:"trusted"` // by who judges; else only the vault's policy names the witness
}

// ErrBundle means that a bundle does not prove its certificate.
var ErrBundle = errors.New("the bundle does not prove the certificate")

// Judge verifies a bundle with nothing but the vault's genesis: it folds the
// journals as a client does, and holds every statement of the certificate
// against them. What was appended to the journals after the bundle was made, it
// cannot know. witnesses are those whom the judge trusts; that the journals were
// not written anew by whoever holds all keys, only a witness can say.
func Judge(b []byte, genesis canonical.Digest, witnesses ...*checkpoint.Witness) (*Judgement, error) {
	var x bundle
	if len(b) > MaxBundle {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrBundle, MaxBundle)
	}
	if err := canonical.Unmarshal(b, &x); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if x.Format != bundleFormat {
		return nil, fmt.Errorf("%w (bundle format %q)", entry.ErrUpgrade, x.Format)
	}
	c, err := decodeCertificate(x.Envelope, x.Details)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	f, err := foldVault(x.Vault, genesis)
	if err != nil {
		return nil, fmt.Errorf("%w: the vault's journal: %w", ErrBundle, err)
	}
	j := &judge{Certificate: c, vault: f, disposal: c.Statement.Predicate.Disposal}
	if err := j.all(x.Artefacts); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	out := &Judgement{Certificate: c, Vault: f.last().Head}
	if r := f.last().Disposal(j.disposal); r.Accepted != "" {
		out.Accepted = &Act{By: named(f.last(), r.Accepted), Time: r.AcceptedAt, Reason: r.Remark}
	}
	if out.Witnesses, err = j.witnessed(x.Witness, x.Artefacts, witnesses); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return out, nil
}

// witnessed returns who has cosigned a checkpoint that covers the certificate.
func (j *judge) witnessed(p *checkpoint.Proof, artefacts []bundleArtefact, trusted []*checkpoint.Witness) ([]Witnessed, error) {
	if p == nil {
		return nil, nil
	}
	if err := j.Details.covered(p); err != nil {
		return nil, err
	}
	hashes := map[string]map[uint64]canonical.Digest{entry.VaultJournal: {}}
	for _, s := range j.vault.states {
		hashes[entry.VaultJournal][s.Head.Seq] = s.Head.Hash
	}
	for _, a := range artefacts {
		id := a.ID.String()
		hashes[id] = map[uint64]canonical.Digest{}
		for _, raw := range a.Entries {
			e, err := entry.Parse(raw)
			if err != nil {
				return nil, err
			}
			hashes[id][e.Seq] = e.Hash
		}
	}
	named := slices.Clone(trusted)
	for _, text := range j.vault.last().Policy.Witnesses {
		if w, err := checkpoint.ParseWitness(text); err == nil {
			named = append(named, w)
		}
	}
	by, err := p.Verify(j.Details.Vault, named, func(journal string, seq uint64) (canonical.Digest, bool) {
		h, ok := hashes[journal][seq]
		return h, ok
	})
	if err != nil {
		return nil, err
	}
	var out []Witnessed
	for _, s := range by {
		out = append(out, Witnessed{Name: s.Witness.Name(), Time: s.Time.UTC(),
			Trusted: slices.ContainsFunc(trusted, func(w *checkpoint.Witness) bool { return w.String() == s.Witness.String() })})
	}
	return out, nil
}

// vaultFold is the vault after each entry of its journal.
type vaultFold struct{ states []*state.Vault }

func (f *vaultFold) last() *state.Vault { return f.states[len(f.states)-1] }

func (f *vaultFold) at(p entry.Position) (*state.Vault, error) {
	for _, s := range f.states {
		if s.Head == p {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: the vault's journal has no entry %s", state.ErrUnverifiable, p)
}

func foldVault(raw [][]byte, genesis canonical.Digest) (*vaultFold, error) {
	f := &vaultFold{}
	var prev *entry.Entry
	for _, b := range raw {
		e, err := next(b, prev, genesis, entry.VaultJournal)
		if err != nil {
			return nil, err
		}
		if prev == nil {
			if e.Hash != genesis {
				return nil, fmt.Errorf("%w: it is of the vault %s", state.ErrUnverifiable, e.Hash)
			}
			s, err := state.NewVault(e)
			if err != nil {
				return nil, err
			}
			f.states = append(f.states, s)
		} else {
			s, _, err := f.last().Apply(e)
			if err != nil {
				return nil, err
			}
			f.states = append(f.states, s)
		}
		prev = e
	}
	if prev == nil {
		return nil, fmt.Errorf("%w: it is empty", state.ErrUnverifiable)
	}
	return f, nil
}

// next decodes an entry and checks that it follows prev.
func next(raw []byte, prev *entry.Entry, genesis canonical.Digest, id string) (*entry.Entry, error) {
	e, err := entry.Parse(raw)
	if err != nil {
		return nil, err
	}
	return e, e.Follows(prev, genesis, id, e.Kind == entry.KindSkip)
}

// judge holds a certificate against folds.
type judge struct {
	*Certificate
	vault    *vaultFold
	disposal canonical.ID
}

func (j *judge) all(artefacts []bundleArtefact) error {
	d, p, v := &j.Details, &j.Statement.Predicate, j.vault.last()
	if err := j.verifySigner(v); err != nil {
		return err
	}
	r := v.Disposal(j.disposal)
	switch {
	case r == nil:
		return fmt.Errorf("there is no disposal %s", j.disposal)
	case d.Vault != v.Genesis || p.Vault != v.Genesis || d.Disposal != j.disposal || p.Result != keyring.ResultVerified ||
		p.Versions != d.count() || p.Effective != d.Effective || p.Performed != d.Performed || p.Technique != method().Technique || d.Method != method():
		return errors.New("statement and details disagree")
	case d.Requested.By.Name != r.By || d.Requested.Time != r.Time || d.Requested.Reason != r.Reason || d.Authority != r.Authority || d.After != r.After || d.Plan != r.Plan.SHA256:
		return errors.New("the request is another than the one in the journal")
	case len(d.Artefacts) != len(r.Scope) || len(artefacts) != len(r.Scope):
		return errors.New("it does not cover what was requested")
	}
	if err := j.approvals(r); err != nil {
		return err
	}
	var latest entry.Time
	asked := 0
	for i, scope := range r.Scope {
		if d.Artefacts[i].ID != scope.Artefact || artefacts[i].ID != scope.Artefact || d.Artefacts[i].Whole != scope.Whole {
			return errors.New("it does not cover what was requested")
		}
		n, err := j.artefact(&d.Artefacts[i], artefacts[i], r, scope)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Artefacts[i].Name, err)
		}
		asked = max(asked, n)
		for _, k := range d.Artefacts[i].Keys {
			if k.At.After(latest.Time) {
				latest = k.At
			}
		}
	}
	if asked != d.Needed {
		return fmt.Errorf("policy asked for %d approvals, not %d", asked, d.Needed)
	}
	if latest != d.Effective {
		return fmt.Errorf("it takes effect on %s, not on %s", latest, d.Effective)
	}
	return nil
}

func (j *judge) approvals(r *state.Request) error {
	d := &j.Details
	if len(d.Approvals) > len(r.Approvals) || d.Sole != (len(d.Approvals) == 1 && d.Approvals[0].By.Name == r.By) {
		return errors.New("it names approvals that the journal lacks")
	}
	others := 0
	for i, a := range d.Approvals {
		if a.By.Name != r.Approvals[i].By || a.Time != r.Approvals[i].Time {
			return errors.New("it names approvals that the journal lacks")
		}
		if a.By.Name != r.By {
			others++
		}
	}
	if others < d.Needed && !(d.Sole && d.Needed <= 1) {
		return fmt.Errorf("%d approvals where %d were needed", others, d.Needed)
	}
	return nil
}

// artefact returns how many approvals policy asked for, as its journal says.
func (j *judge) artefact(d *DisposedOf, b bundleArtefact, r *state.Request, scope state.DisposalScope) (asked int, err error) {
	a := state.NewNamelessArtefact(b.ID, j.vault.at)
	var prev, head *entry.Entry
	for _, raw := range b.Entries {
		e, err := next(raw, prev, j.Details.Vault, b.ID.String())
		if err != nil {
			return 0, err
		}
		if _, err := a.Apply(e); err != nil {
			return 0, err
		}
		if e.Position() == d.Head {
			head = e
		}
		prev = e
	}
	if head == nil || a.Name != d.Name {
		return 0, errors.New("its journal lacks the entry at which the certificate was made, or is that of another artefact")
	}
	at, err := j.vault.at(head.Vault)
	if err != nil {
		return 0, err
	}
	if err := at.May(j.Details.Performed.Key, state.KindVerified, a.Name, head.Time); err != nil {
		return 0, fmt.Errorf("whoever signed the certificate: %w", err)
	}
	vs := inScope(a, r, scope)
	if len(vs) != len(d.Versions) {
		return 0, fmt.Errorf("%d versions where %d were in scope", len(d.Versions), len(vs))
	}
	for i, v := range vs {
		x := d.Versions[i]
		if x.VID != v.VID || x.Number != v.Number || x.Digest != v.Digest || x.Kind != v.Kind {
			return 0, fmt.Errorf("it describes another v%d than the journal", x.Number)
		}
		if v.State < state.Shredded {
			return 0, fmt.Errorf("v%d is %s, not destroyed", v.Number, v.State)
		}
	}
	if scope.Whole && !a.Ended {
		return 0, errors.New("it has not ended")
	}
	if !slices.Equal(d.Keys, a.KeysOf(vs)) {
		return 0, errors.New("it names other keys than the journal")
	}
	if !slices.Equal(d.Transfers, handovers(vs)) {
		return 0, errors.New("it names other transfers than the journal")
	}
	attacks := a.Attacks(r.ID)
	found := slices.ContainsFunc(attacks, func(x *state.Attack) bool {
		return x.Result == keyring.ResultVerified && x.Report.SHA256 == d.Attack.Report && x.By == d.Attack.By && x.Time == d.Attack.Time
	})
	if !found || d.Attack.Result != keyring.ResultVerified {
		return 0, errors.New("the journal has no such attack that was verified")
	}
	if last := attacks[len(attacks)-1]; last.Result == keyring.ResultFailed {
		return 0, fmt.Errorf("%w: so an attack on %s by %s", ErrFailed, last.Time, last.By)
	}
	return a.Asked(r.ID), nil
}
