package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/handover"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// TransferOptions says to whom a version is handed over, and why.
type TransferOptions struct {
	To     *seal.Recipient // the new owner's; an age hybrid recipient
	Owner  string          // who that is, as certificates quote it; may be empty
	Reason string
	DryRun bool // verify that it could be, and change nothing
}

// TransferResult is what a transfer wrote.
type TransferResult struct {
	Artefact  string
	Version   int
	Digest    canonical.Digest
	Files     int64
	Bytes     int64            // of those files
	Sealed    int64            // length of what was written; 0 after a dry run
	SHA256    canonical.Digest // of that
	Receipt   string           // what became of the receipt: ReceiptLeft …; "" after a dry run
	Head      ledger.Pin
	Freshness string
}

// Transfer hands a version over to a new owner: it writes the version's files, and
// what the vault says of them, to the new file out, sealed to the new owner. That
// stands in the artefact's journal before the first byte is written; the file gets
// its name only when it is whole and everything in it is verified. The version
// lives on: to dispose of it is a step of its own, and asks whether the new owner
// has confirmed that they hold it.
//
// Errors: those of Pull; fs.ErrExist if out is there; ErrNotPermitted for whoever
// is no custodian of it. After an error that comes later than the entry, the
// journal says that the version was handed over though it was not: that is the
// safe side.
func (v *Vault) Transfer(ctx context.Context, ref Ref, out string, o TransferOptions) (_ *TransferResult, err error) {
	l, a, cv, err := v.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	name := cv.Ref(a.Name)
	if err := checkUsable(a.Name, cv); err != nil {
		return nil, err
	}
	if err := v.State().May(v.session.Author(), state.KindTransfer, a.Name, entry.At(v.config.Now())); err != nil {
		return nil, fmt.Errorf("handing %s over: %w", name, err)
	}
	res := &TransferResult{Artefact: a.Name, Version: cv.Number, Digest: cv.Digest, Head: pinOf(a), Freshness: v.freshness(a.ID.String())}
	var file *handover.Out
	if !o.DryRun {
		if file, err = handover.Create(out); err != nil {
			return nil, err
		}
		defer func() {
			if file != nil {
				err = errors.Join(err, file.Discard())
			}
		}()
		labels := map[string]string{"transfer": handover.Fingerprint(o.To.String())}
		if res.Receipt, err = v.leaveReceipt(ctx, a, cv, labels, false); err != nil {
			return nil, fmt.Errorf("handing %s over: %w", name, err)
		}
	}
	version, err := v.openVersion(ctx, l, a, cv, v.session.Store)
	if err != nil {
		return nil, fmt.Errorf("handing %s over: %w", name, err)
	}
	contents, err := handover.Survey(ctx, version)
	if err != nil {
		return nil, fmt.Errorf("handing %s over: %w", name, err)
	}
	if res.Files, res.Bytes = contents.Files, contents.Bytes; o.DryRun {
		return res, nil
	}
	d, err := v.recordTransfer(ctx, a.Name, cv.VID, o)
	if err != nil {
		return nil, fmt.Errorf("handing %s over: %w", name, err)
	}
	sum, size := sha256.New(), meteredWriter{}
	if err := contents.Write(ctx, io.MultiWriter(file, sum, &size), o.To, *d, v.config.Progress); err != nil {
		return nil, fmt.Errorf("handing %s over, which is on record: %w", name, err)
	}
	whole := file
	file = nil
	if err := whole.Commit(); err != nil {
		return nil, fmt.Errorf("handing %s over, which is on record: %w", name, err)
	}
	v.keep()
	res.Sealed, res.SHA256, res.Head = size.n, canonical.Digest(sum.Sum(nil)), pinOf(l.State())
	return res, nil
}

// recordTransfer enters a transfer, and describes the version that is handed over.
func (v *Vault) recordTransfer(ctx context.Context, artefact string, vid canonical.ID, o TransferOptions) (*handover.Description, error) {
	var d handover.Description
	err := v.appendTo(ctx, artefact, state.KindTransfer, func(a *state.Artefact) (any, error) {
		cv := a.Version(vid)
		if err := checkUsable(a.Name, cv); err != nil {
			return nil, err
		}
		d = handover.Description{Vault: v.Genesis(), Artefact: a.Name, Version: cv.Number, Digest: cv.Digest, Kind: cv.Kind, Classification: cv.Classification,
			Labels: map[string]string{}, Sources: append([]state.Source{}, cv.Sources...), Pushed: cv.Time, PushedBy: cv.By, Owner: o.Owner, Reason: o.Reason}
		if cv.Labels != nil {
			d.Labels = cv.Labels
		}
		return state.Transfer{Version: vid, Digest: cv.Digest, Recipient: o.To.String(), Owner: o.Owner, Reason: o.Reason}, nil
	}, func(a *state.Artefact) {
		d.Entry, d.Time = a.Head, a.Time
	})
	if self := v.Self(); self != nil {
		d.By = self.Name
	}
	return &d, err
}

// meteredWriter counts what is written.
type meteredWriter struct{ n int64 }

func (m *meteredWriter) Write(b []byte) (int, error) {
	m.n += int64(len(b))
	return len(b), nil
}
