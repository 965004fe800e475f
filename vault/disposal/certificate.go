package disposal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

const (
	certificateFormat = "aivault-certificate/1"
	certificateType   = "application/vnd.in-toto+json"
	statementType     = "https://in-toto.io/Statement/v1"
	predicateType     = "https://github.com/aivault/aivault/disposal/v1"
)

// Certificate is a certificate of disposal: a signed statement, and the details
// that it binds by digest. There is one for each disposal.
type Certificate struct {
	Envelope  *dsse.Envelope
	Statement Statement
	Details   Details
	raw       []byte // of Details
}

// Statement is an in-toto statement, v1. Its subject is the details: what the
// signature is about, byte for byte.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []SubjectDigest `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     Predicate       `json:"predicate"`
}

// SubjectDigest names the details by SHA-256.
type SubjectDigest struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Predicate is the gist of a certificate, for whoever reads no further.
type Predicate struct {
	Vault     canonical.Digest `json:"vault"` // its genesis
	Disposal  canonical.ID     `json:"disposal"`
	Technique string           `json:"technique"`
	Versions  int              `json:"versions"`
	Effective entry.Time       `json:"effective"` // when the last of the keys was gone
	Result    string           `json:"result"`
	Performed Person           `json:"performed_by"`
	Time      entry.Time       `json:"time"`
}

// object is the plaintext of cert/<id>.
type object struct {
	Format   string `json:"format"`
	Envelope []byte `json:"envelope"`
	Details  []byte `json:"details"`
}

// CertificatePrefix is what the keys of certificates begin with.
const CertificatePrefix = "cert/"

// certificateKey is where the certificate of a disposal stands.
func certificateKey(id canonical.ID) string { return CertificatePrefix + id.String() }

// Certificate reads the certificate of a disposal. ErrUnknown: there is none.
func (d *Desk) Certificate(ctx context.Context, id canonical.ID) (*Certificate, error) {
	sealed, err := ledger.ReadObject(ctx, d.Store, certificateKey(id), 0)
	if errors.Is(err, backends.NotExist) {
		return nil, fmt.Errorf("the certificate of disposal %s: %w", id, ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	plain, err := d.Vault.OpenMetadata(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("the certificate of disposal %s: %w", id, err)
	}
	var o object
	if err := canonical.Unmarshal(plain, &o); err != nil || o.Format != certificateFormat {
		return nil, fmt.Errorf("the certificate of disposal %s: %w (format %q)", id, keyring.ErrIntegrity, o.Format)
	}
	c, err := decodeCertificate(o.Envelope, o.Details)
	if err == nil && c.Statement.Predicate.Disposal != id {
		err = fmt.Errorf("%w: it is that of disposal %s", keyring.ErrIntegrity, c.Statement.Predicate.Disposal)
	}
	if err == nil {
		err = c.verifySigner(d.Vault.State())
	}
	if err != nil {
		return nil, fmt.Errorf("the certificate of disposal %s: %w", id, err)
	}
	return c, nil
}

// decodeCertificate reads a certificate and checks that the statement is about
// the details. Who signed it is not checked.
func decodeCertificate(envelope, details []byte) (*Certificate, error) {
	env, err := dsse.Parse(envelope)
	if err != nil {
		return nil, err
	}
	c := &Certificate{Envelope: env, raw: details}
	if env.PayloadType != certificateType {
		return nil, fmt.Errorf("%w: payload type %q", keyring.ErrIntegrity, env.PayloadType)
	}
	if err := canonical.Unmarshal(env.Payload, &c.Statement); err != nil {
		return nil, fmt.Errorf("%w: the statement: %w", keyring.ErrIntegrity, err)
	}
	if c.Statement.Type != statementType || c.Statement.PredicateType != predicateType {
		return nil, fmt.Errorf("%w: a statement of type %q", entry.ErrUpgrade, c.Statement.PredicateType)
	}
	if len(c.Statement.Subject) != 1 || c.Statement.Subject[0].Digest["sha256"] != canonical.Sum(details).String() {
		return nil, fmt.Errorf("%w: the statement is about other details", keyring.ErrIntegrity)
	}
	if err := canonical.Unmarshal(details, &c.Details); err != nil {
		return nil, fmt.Errorf("%w: the details: %w", keyring.ErrIntegrity, err)
	}
	return c, nil
}

// verifySigner checks that a certificate is signed by a member who may record
// what came of a disposal.
func (c *Certificate) verifySigner(v *state.Vault) error {
	if len(c.Envelope.Signatures) != 1 {
		return fmt.Errorf("%w: %d signatures", keyring.ErrIntegrity, len(c.Envelope.Signatures))
	}
	id, err := canonical.ParseDigest(c.Envelope.Signatures[0].KeyID)
	if err != nil {
		return err
	}
	key, m := v.Key(id), v.ByKey(id)
	if key == nil || m == nil {
		return fmt.Errorf("%w: it is signed by nobody who is or was a member", keyring.ErrIntegrity)
	}
	if err := c.Envelope.Verify(key); err != nil {
		return err
	}
	if m.Name != c.Statement.Predicate.Performed.Name {
		return fmt.Errorf("%w: it says that %s performed the disposal, and %s has signed it", keyring.ErrIntegrity, c.Statement.Predicate.Performed.Name, m.Name)
	}
	return nil
}

// certify makes the certificate of a disposal that is verified in every
// artefact, unless it stands already.
func (d *Desk) certify(ctx context.Context, id canonical.ID, out *Outcome) (*Certificate, error) {
	c, err := d.Certificate(ctx, id)
	if !errors.Is(err, ErrUnknown) {
		return c, err
	}
	details, err := d.details(ctx, id)
	if err != nil {
		return nil, err
	}
	raw, err := canonical.Marshal(details)
	if err != nil {
		return nil, fmt.Errorf("encoding a certificate: %w", err)
	}
	st := Statement{Type: statementType, PredicateType: predicateType,
		Subject: []SubjectDigest{{Name: "disposal/" + id.String(), Digest: map[string]string{"sha256": canonical.Sum(raw).String()}}},
		Predicate: Predicate{Vault: details.Vault, Disposal: id, Technique: details.Method.Technique, Versions: details.count(),
			Effective: details.Effective, Result: keyring.ResultVerified, Performed: details.Performed, Time: details.Time}}
	payload, err := canonical.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("encoding a certificate: %w", err)
	}
	env, err := dsse.Sign(ctx, certificateType, payload, d.Vault.Signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	envelope, err := env.Marshal()
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	plain, err := canonical.Marshal(object{Format: certificateFormat, Envelope: envelope, Details: raw})
	if err != nil {
		return nil, fmt.Errorf("encoding a certificate: %w", err)
	}
	sealed, err := d.Vault.SealMetadata(plain)
	if err != nil {
		return nil, fmt.Errorf("sealing a certificate: %w", err)
	}
	// The first certificate stands, whoever made it.
	if err := d.ring(details.Artefacts[0].ID).PutOnce(ctx, certificateKey(id), sealed); err != nil {
		return nil, fmt.Errorf("storing a certificate: %w", err)
	}
	out.Changed = true
	return d.Certificate(ctx, id)
}

// MarshalJSON gives the certificate as people keep it: the envelope, and the
// details that it binds. Where the encoder does not escape HTML, the details are
// byte for byte what is bound.
func (c *Certificate) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(struct {
		Certificate *dsse.Envelope  `json:"certificate"`
		Details     json.RawMessage `json:"details"`
	}{c.Envelope, c.raw})
	return b.Bytes(), err
}
