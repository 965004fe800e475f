package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/evidence"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// AttestOptions is what somebody attests.
type AttestOptions struct {
	Type    string    // one of state.EvidenceTypes
	Name    string    // which of several of a type, "robustness"; may be ""
	Result  string    // state.Pass, Warn or Fail
	Expires time.Time // it counts before then; zero: for ever
	File    string    // a document to keep with it; "": none
	// Measurements are what a test measured, sorted by name. A pass that one of them
	// belies is refused.
	Measurements []evidence.Measurement
}

// AttestResult is evidence that stands.
type AttestResult struct {
	Artefact  string
	Version   int
	Digest    canonical.Digest
	Document  *PushResult // nil: none
	Head      ledger.Pin
	Freshness string
}

// Attest records evidence on exactly one version: a signed statement that every
// member reads and that outlives the version, and perhaps a document. That is
// stored as a version of the companion artefact (state.CompanionName), which is
// registered for the readers of this one if it is not yet; so it takes who may
// push there. The evidence counts from its entry on: what was stored before a
// crash is found by nobody and does no harm.
//
// Errors: ErrNotFound, ErrNotPermitted, ErrDestroyed; those of Push.
func (v *Vault) Attest(ctx context.Context, ref Ref, o AttestOptions) (*AttestResult, error) {
	body := state.Attest{Type: o.Type, Name: o.Name, Result: o.Result}
	if err := body.Check(); err != nil {
		return nil, err
	}
	if err := evidence.CheckMeasurements(o.Type, o.Result, o.Measurements); err != nil {
		return nil, err
	}
	if !o.Expires.IsZero() {
		body.Expires = entry.At(o.Expires)
	}
	l, a, err := v.foldTo(ctx, ref.Artefact, state.KindAttest)
	if err != nil {
		return nil, err
	}
	cv, err := find(a, ref)
	if err != nil {
		return nil, err
	}
	if cv.State > state.Executed {
		return nil, fmt.Errorf("%s was destroyed by disposal %s: %w", cv.Ref(a.Name), cv.Disposal, ErrDestroyed)
	}
	body.Version, body.Digest = cv.VID, cv.Digest
	res := &AttestResult{Artefact: a.Name, Version: cv.Number, Digest: cv.Digest, Freshness: v.freshness(a.ID.String())}
	if o.File != "" {
		if res.Document, err = v.storeDocument(ctx, l, a, cv.Classification, cv.Ref(a.Name), o.File); err != nil {
			return nil, err
		}
		id, err := v.artefactID(res.Document.Artefact)
		if err != nil {
			return nil, err
		}
		body.Document = state.Document{Artefact: id, Version: res.Document.VID, Digest: res.Document.Digest}
	}
	statement := evidence.Make(v.Genesis(), a.ID, cv.Ref(a.Name), body, v.session.Author(), v.session.Time(), o.Measurements)
	plain, err := evidence.Sign(ctx, statement, v.session.Signer)
	if err != nil {
		return nil, err
	}
	if body.Statement, err = v.putDocument(ctx, plain); err != nil {
		return nil, fmt.Errorf("storing a statement: %w", err)
	}
	err = v.appendTo(ctx, a.Name, state.KindAttest, func(*state.Artefact) (any, error) { return body, nil }, func(a *state.Artefact) { res.Head = pinOf(a) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cv.Ref(a.Name), err)
	}
	return res, nil
}

// storeDocument stores a document about something in the companion artefact.
func (v *Vault) storeDocument(ctx context.Context, l *ledger.Artefact, a *state.Artefact, classification, about, file string) (*PushResult, error) {
	name := state.CompanionName(a.Name)
	companion, c, err := v.fold(ctx, name)
	if errors.Is(err, ErrNotFound) || err == nil && c.Current == nil && !c.Ended {
		var readers []keyring.Reader
		if readers, err = v.readersNow(ctx, l, a); err == nil {
			err = v.register(ctx, companion, name, readers)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the document goes to %s: %w", name, err)
	}
	res, err := v.Push(ctx, PushOptions{Artefact: name, Paths: []string{file}, Kind: "evaluation", Classification: classification,
		Labels: map[string]string{"about": about}})
	if err != nil {
		return nil, fmt.Errorf("the document goes to %s: %w", name, err)
	}
	return res, nil
}

// readersNow returns the readers of an artefact that are members or groups still,
// with the recipients that they have now.
func (v *Vault) readersNow(ctx context.Context, l *ledger.Artefact, a *state.Artefact) ([]keyring.Reader, error) {
	sealed, err := v.ring(l, v.session.Store, map[string]custody.Keeper{}).Readers(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("reading who reads %s: %w", a.Name, err)
	}
	var out []keyring.Reader
	for _, rd := range sealed {
		if rd.Recipient = v.State().Recipient(rd.Name, v.session.Time()); rd.Recipient != "" && !slices.Contains(out, rd) {
			out = append(out, rd)
		}
	}
	return out, nil
}

// EvidenceInfo is one attestation, and whether its statement is what it says.
type EvidenceInfo struct {
	state.Evidence
	Envelope  *dsse.Envelope // of the in-toto statement; nil if it does not verify
	Statement *evidence.Statement
	Problem   string // why it does not verify
}

// EvidenceList is the evidence on a version, oldest first.
type EvidenceList struct {
	Artefact  string
	Version   int
	Evidence  []EvidenceInfo
	Freshness string
}

// Evidence reads the evidence on a version with its statements. One that does
// not verify is listed, with the problem.
func (v *Vault) Evidence(ctx context.Context, ref Ref) (*EvidenceList, error) {
	_, a, cv, err := v.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	out := &EvidenceList{Artefact: a.Name, Version: cv.Number, Freshness: v.freshness(a.ID.String())}
	for _, e := range cv.Evidence {
		info := EvidenceInfo{Evidence: e}
		info.Envelope, info.Statement, err = v.openEvidence(ctx, v.session.Store, a, e)
		if err != nil {
			if !broken(err) && !errors.Is(err, backends.NotExist) {
				return nil, err
			}
			info.Problem = err.Error()
		}
		out.Evidence = append(out.Evidence, info)
	}
	v.keep()
	return out, nil
}

// openEvidence reads the statement of an attestation.
func (v *Vault) openEvidence(ctx context.Context, store backends.Store, a *state.Artefact, e state.Evidence) (*dsse.Envelope, *evidence.Statement, error) {
	damaged := func(err error) error {
		return fmt.Errorf("%w: %s, a statement: %w", ErrIntegrity, e.Statement.Key, err)
	}
	sealed, err := ledger.ReadObject(ctx, store, e.Statement.Key, evidence.MaxObject)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a statement: %w", err)
	}
	if canonical.Sum(sealed) != e.Statement.SHA256 {
		return nil, nil, damaged(errors.New("its bytes are not those that the entry binds"))
	}
	plain, err := v.ledger.OpenMetadata(ctx, sealed)
	if errors.Is(err, seal.ErrNoMatch) || errors.Is(err, seal.ErrCorrupt) || errors.Is(err, seal.ErrFormat) {
		return nil, nil, damaged(err)
	}
	if err != nil {
		return nil, nil, err
	}
	env, statement, err := evidence.Open(plain, v.State(), a.ID, e)
	if errors.Is(err, evidence.ErrMalformed) {
		return nil, nil, damaged(err)
	}
	return env, statement, err
}
