package state

import (
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// DisposalRemoved records that somebody attests that a holder of plaintext has
// removed it. Document is what they handed in.
type DisposalRemoved struct {
	ID       canonical.ID `json:"id"`
	Holder   string       `json:"holder"` // who or what held it
	By       string       `json:"by"`     // who attests the removal
	Document Object       `json:"document,omitzero"`
}

// Removal is an attestation that a holder of plaintext has removed it.
type Removal struct {
	DisposalRemoved
	Recorded string // by whom
	Time     entry.Time
}

func (v *Vault) applyRemoved(e *entry.Entry, by string) error {
	b, err := decode[DisposalRemoved](e)
	if err != nil {
		return err
	}
	old := v.disposals[b.ID]
	if old == nil {
		return refuse(RuleTarget, "there is no disposal %s", b.ID)
	}
	if b.Holder == "" || b.By == "" {
		return refuse(RuleBody, "it names no holder, or nobody who attests")
	}
	if err := first(checkText("holder", b.Holder, maxPerson), checkText("who attests", b.By, maxPerson)); err != nil {
		return err
	}
	if b.Document != (Object{}) {
		if err := checkDocument(b.Document); err != nil {
			return err
		}
	}
	r := *old
	r.Removals = append(r.Removals[:len(r.Removals):len(r.Removals)], Removal{DisposalRemoved: *b, Recorded: by, Time: e.Time})
	v.disposals[b.ID] = &r
	return nil
}
