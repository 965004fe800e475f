// Package evidence makes and reads the statements that attest entries bind
// (vault/FORMAT.md §7.12): in-toto statements about exactly one version, each
// signed by who attests. They are sealed to the vault's metadata identity, so
// every member reads them, and outlive the version; taken out of the vault, they
// prove themselves to whoever has the member's public key. It does no I/O.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

const (
	format        = "aivault-evidence/1"
	payloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
	testType      = "https://in-toto.io/attestation/test-result/v0.1"
	recordType    = "https://github.com/aivault/aivault/evidence/v1"

	// MaxObject is how long a stored statement may be, in bytes.
	MaxObject = 64 << 10
)

// ErrMalformed marks what is no statement, or not the one that an entry says.
var ErrMalformed = errors.New("not the evidence that the journal says")

// Statement is an in-toto statement, v1, about one version.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"` // exactly one
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// Subject names a version and its version digest.
type Subject struct {
	Name   string            `json:"name"` // "team/fraud-detector@v3"
	Digest map[string]string `json:"digest"`
}

// Predicate begins as in-toto's test-result does, also in a record that is no
// test's; what aivault knows besides follows in a member of its own.
type Predicate struct {
	Result        string       `json:"result"`        // PASSED, WARNED, FAILED
	Configuration []Descriptor `json:"configuration"` // what was done, with the document where there is one
	Passed        []string     `json:"passedTests,omitempty"`
	Warned        []string     `json:"warnedTests,omitempty"`
	Failed        []string     `json:"failedTests,omitempty"`
	Evidence      Details      `json:"evidence"`
}

// Descriptor is an in-toto resource descriptor.
type Descriptor struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest,omitempty"`
}

// Details bind the statement to its place.
type Details struct {
	Vault    canonical.Digest `json:"vault"` // its genesis
	Artefact canonical.Digest `json:"artefact"`
	Version  canonical.ID     `json:"version"`
	Type     string           `json:"type"`
	Name     string           `json:"name,omitempty"`
	Expires  entry.Time       `json:"expires,omitzero"`
	By       canonical.Digest `json:"by"`   // key id of who attests
	Time     entry.Time       `json:"time"` // by the clock of the machine that attests

	Measurements []Measurement `json:"measurements,omitempty"` // of a test
}

var results = map[string]string{state.Pass: "PASSED", state.Warn: "WARNED", state.Fail: "FAILED"}

// Make returns the statement for an attest entry about the version ref of
// artefact, to be signed by the key by at t, with what was measured. Of body the
// statement is not needed.
func Make(vault, artefact canonical.Digest, ref string, body state.Attest, by canonical.Digest, t entry.Time, measured []Measurement) Statement {
	what := body.Type
	if body.Name != "" {
		what += "/" + body.Name
	}
	d := Descriptor{Name: what}
	if !body.Document.Digest.IsZero() {
		d.Digest = map[string]string{"sha256": body.Document.Digest.String()}
	}
	p := Predicate{Result: results[body.Result], Configuration: []Descriptor{d},
		Evidence: Details{Vault: vault, Artefact: artefact, Version: body.Version, Type: body.Type, Name: body.Name, Expires: body.Expires, By: by, Time: t, Measurements: measured}}
	switch body.Result {
	case state.Pass:
		p.Passed = []string{what}
	case state.Warn:
		p.Warned = []string{what}
	case state.Fail:
		p.Failed = []string{what}
	}
	s := Statement{Type: statementType, PredicateType: recordType, Predicate: p,
		Subject: []Subject{{Name: ref, Digest: map[string]string{"sha256": body.Digest.String()}}}}
	if slices.Contains(state.TestTypes(), body.Type) {
		s.PredicateType = testType
	}
	return s
}

// Sign returns the plaintext of a statement's object.
func Sign(ctx context.Context, s Statement, signer dsse.Signer) ([]byte, error) {
	payload, err := canonical.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding a statement: %w", err)
	}
	env, err := dsse.Sign(ctx, payloadType, payload, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a statement: %w", err)
	}
	b, err := env.Marshal()
	if err != nil {
		return nil, fmt.Errorf("signing a statement: %w", err)
	}
	return append([]byte(format+"\n"), b...), nil
}

// Open checks the plaintext of the object that an attestation of the artefact
// binds, and returns the statement's envelope: it must be signed by the key that
// signed the entry, and say what the entry says. Errors wrap ErrMalformed or
// entry.ErrUpgrade.
func Open(plain []byte, v *state.Vault, artefact canonical.Digest, of state.Evidence) (*dsse.Envelope, *Statement, error) {
	rest, ok := strings.CutPrefix(string(plain), format+"\n")
	if !ok {
		if strings.HasPrefix(string(plain), "aivault-evidence/") {
			return nil, nil, entry.ErrUpgrade
		}
		return nil, nil, fmt.Errorf("%w: it is no statement", ErrMalformed)
	}
	env, err := dsse.Parse([]byte(rest))
	if err != nil || env.PayloadType != payloadType {
		return nil, nil, fmt.Errorf("%w: its envelope is malformed", ErrMalformed)
	}
	var s Statement
	if err := canonical.Unmarshal(env.Payload, &s); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	key := v.Key(of.Key)
	if key == nil || len(env.Signatures) != 1 || env.Verify(key) != nil {
		return nil, nil, fmt.Errorf("%w: who attested has not signed it", ErrMalformed)
	}
	if len(s.Subject) != 1 {
		return nil, nil, fmt.Errorf("%w: it has %d subjects", ErrMalformed, len(s.Subject))
	}
	want := Make(v.Genesis, artefact, s.Subject[0].Name, of.Attest, of.Key, s.Predicate.Evidence.Time, s.Predicate.Evidence.Measurements)
	if b, err := canonical.Marshal(want); err != nil || string(b) != string(env.Payload) {
		return nil, nil, fmt.Errorf("%w: it says something else", ErrMalformed)
	}
	if err := CheckMeasurements(of.Type, of.Result, s.Predicate.Evidence.Measurements); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return env, &s, nil
}
