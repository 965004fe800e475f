package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/receipt"
	"github.com/aivault/aivault/vault/state"
)

// What became of the receipt of a pull.
const (
	ReceiptLeft    = "left"
	ReceiptEarlier = "earlier" // this machine left one for this version before, with the same labels
	ReceiptOff     = "off"     // policy asks for none
	ReceiptFailed  = "failed"  // policy does not require it
)

// leaveReceipt leaves a receipt of a pull that is about to begin, as policy asks.
// One for each version, machine and set of labels is enough: the receipt says
// who holds plaintext. always leaves one whatever policy says. Errors: those of the store, if a receipt is required.
func (v *Vault) leaveReceipt(ctx context.Context, a *state.Artefact, cv *state.CommittedVersion, labels map[string]string, always bool) (string, error) {
	r := receipt.Receipt{ID: canonical.NewID(), Artefact: a.ID, Version: cv.VID, Digest: cv.Digest, By: v.session.Author(), Time: entry.At(v.config.Now()),
		Host: v.config.Host, Labels: labels}
	if err := r.Check(); err != nil {
		return "", err
	}
	mode := v.State().Policy.ReceiptMode(cv.Classification)
	if always {
		mode = state.ReceiptsRequired
	}
	if mode == state.ReceiptsOff {
		return ReceiptOff, nil
	}
	mark := receiptMark(r)
	if v.session.Cache != nil && !always {
		if _, left := v.session.Cache.Get(mark); left {
			return ReceiptEarlier, nil
		}
	}
	sealed, err := receipt.Seal(ctx, r, v.session.Signer, v.ledger.SealMetadata)
	if err == nil {
		err = v.putReceipt(ctx, r.Key(), sealed, mode)
	}
	switch {
	case err == nil:
		if v.session.Cache != nil {
			v.session.Cache.Put(mark, sealed)
		}
		return ReceiptLeft, nil
	case mode == state.ReceiptsRequired || ctx.Err() != nil:
		return "", fmt.Errorf("leaving a receipt, which is required: %w", err)
	}
	return ReceiptFailed, nil
}

// putReceipt puts a receipt: once, where a failure does not matter.
func (v *Vault) putReceipt(ctx context.Context, key string, sealed []byte, mode string) error {
	if mode == state.ReceiptsRequired {
		return chunk.Put(ctx, v.config.Store, key, sealed, v.config.Stall)
	}
	_, err := v.config.Store.Put(ctx, key, sealed)
	if errors.Is(err, backends.Indeterminate) {
		return nil // perhaps it stands; another would not make it surer
	}
	return err
}

// receiptMark is under what name this machine remembers that it left a receipt.
func receiptMark(r receipt.Receipt) string {
	text := fmt.Sprintf("%s\x00%s", r.By, r.Host)
	for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
		text += "\x00" + k + "\x00" + r.Labels[k]
	}
	return receipt.Prefix(r.Artefact) + r.Version.String() + "-" + canonical.Sum([]byte(text)).String()[:32]
}
