package disposal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
)

const (
	bundleFormat = "aivault-certificate-bundle/1"
	// MaxBundle is the length of the longest bundle, in bytes.
	MaxBundle = 512 << 20
)

// bundle is a certificate with all that it takes to judge it without the vault:
// the journals, from which membership, roles, policy, approvals and every step
// follow. It tells whoever has it all that members see of these journals.
type bundle struct {
	Format    string           `json:"format"`
	Envelope  []byte           `json:"envelope"`
	Details   []byte           `json:"details"`
	Vault     [][]byte         `json:"vault"` // envelopes, from entry 0 on
	Artefacts []bundleArtefact `json:"artefacts"`
	// Witness proves that the journals stand in a cosigned checkpoint, as far as
	// the certificate goes; nil if there is none yet that covers it.
	Witness *checkpoint.Proof `json:"witness,omitempty"`
}

type bundleArtefact struct {
	ID      canonical.Digest `json:"id"`
	Entries [][]byte         `json:"entries"`
}

// Bundle returns the certificate of a disposal with its proof, as a file. Once a
// witness has cosigned a checkpoint that covers it, the proof says that too.
func (d *Desk) Bundle(ctx context.Context, id canonical.ID) ([]byte, error) {
	s, err := d.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := d.Certificate(ctx, id)
	if err != nil {
		return nil, err
	}
	envelope, err := c.Envelope.Marshal()
	if err != nil {
		return nil, err
	}
	b := bundle{Format: bundleFormat, Envelope: envelope, Details: c.raw, Vault: raws(d.Vault.Log()), Artefacts: []bundleArtefact{}}
	var ids []canonical.Digest
	for _, a := range s.Artefacts {
		b.Artefacts = append(b.Artefacts, bundleArtefact{ID: a.ID, Entries: raws(d.ring(a.ID).Ledger.Log())})
		ids = append(ids, a.ID)
	}
	if d.Proof != nil {
		if b.Witness, err = d.Proof(ctx, ids); err != nil {
			return nil, fmt.Errorf("proving that a witness has seen the journals: %w", err)
		}
		if b.Witness != nil && c.Details.covered(b.Witness) != nil {
			b.Witness = nil // it is older than the certificate, and proves nothing about it
		}
	}
	return canonical.Marshal(b)
}

// covered says what a proof lacks that is to be about all that a certificate
// says: nil if it lacks nothing. That each artefact's journal is covered to where
// the certificate was made says the same of what those entries cite of the
// vault's.
func (d *Details) covered(p *checkpoint.Proof) error {
	reach := func(journal string, seq uint64) bool {
		return slices.ContainsFunc(p.Entries, func(x checkpoint.Inclusion) bool { return x.Journal == journal && x.Seq >= seq })
	}
	if !reach(entry.VaultJournal, 0) {
		return errors.New("the checkpoint does not cover the vault's journal")
	}
	for _, a := range d.Artefacts {
		if !reach(a.ID.String(), a.Head.Seq) {
			return fmt.Errorf("the checkpoint is older than the certificate: it lacks entry %d of %s", a.Head.Seq, a.Name)
		}
	}
	return nil
}

func raws(log *journal.Log) [][]byte {
	out := [][]byte{}
	for _, e := range log.Entries {
		out = append(out, e.Raw)
	}
	return out
}
