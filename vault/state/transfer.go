package state

import (
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Transfer is the body of transfer: it records that a version is handed over to a
// new owner, and is written before the first byte leaves.
type Transfer struct {
	Version   canonical.ID     `json:"version"`
	Digest    canonical.Digest `json:"digest"`          // the version digest
	Recipient string           `json:"recipient"`       // the new owner's, to which it is sealed
	Owner     string           `json:"owner,omitempty"` // who that is; quoted in certificates
	Reason    string           `json:"reason,omitempty"`
}

// Transferred is one handing over of a version to a new owner.
type Transferred struct {
	Transfer
	By   string
	Time entry.Time
}

func (a *Artefact) applyTransfer(e *entry.Entry) error {
	b, err := decode[Transfer](e)
	if err != nil {
		return err
	}
	if err := first(checkRecipient(b.Recipient), checkText("owner", b.Owner, maxOwner), checkSentence("reason", b.Reason, false)); err != nil {
		return err
	}
	switch v := a.byVID[b.Version]; {
	case v == nil || v.Digest != b.Digest:
		return refuse(RuleTarget, "version %s with digest %s does not exist", b.Version, b.Digest)
	case v.State != Live:
		return refuse(RuleTarget, "v%d is %s, not %s", v.Number, v.State, Live)
	case v.Quarantined != nil:
		return refuse(RuleQuarantined, "v%d is quarantined", v.Number)
	default:
		v.Transfers = append(v.Transfers, Transferred{Transfer: *b, By: a.author(e).Name, Time: e.Time})
	}
	return nil
}
