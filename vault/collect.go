package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/receipt"
	"github.com/aivault/aivault/vault/state"
)

// CollectAfter is how old the newest object of a version that was begun and
// never committed must be before it is condemned, by the storage's clock and by
// this machine's.
const CollectAfter = 7 * 24 * time.Hour

// Collected is what Collect did, or would do, to one artefact.
type Collected struct {
	Artefact  string
	Condemned int // versions that were begun and never committed
	Erased    int // objects
	Receipts  int // of those, receipts past policy's maximum retention of logs
	Keys      int // of abandoned intents, destroyed at the keepers
	Retained  []state.Retained
}

// Collect erases what no entry needs any more, artefact by artefact, and tells
// about each that had anything. With pretend it changes nothing. An artefact
// with a hold or a quarantine is passed over: nothing of it may be altered.
//
// Errors: ErrNotPermitted; ErrIntegrity if references do not verify: of that
// artefact nothing was erased.
func (v *Vault) Collect(ctx context.Context, pretend bool) ([]Collected, error) {
	keepers, err := v.connect(ctx)
	if err != nil {
		return nil, err
	}
	var out []Collected
	err = v.eachArtefact(ctx, func(l *ledger.Artefact, a *state.Artefact) error {
		if a.Frozen() {
			return nil
		}
		if may := v.State().May(v.session.Author(), state.KindCondemn, a.Name, entry.At(v.config.Now())); may != nil {
			return fmt.Errorf("collecting %s: %w", a.Name, may)
		}
		c, err := v.collect(ctx, v.ring(l, v.config.Store, keepers), a, pretend)
		if err != nil {
			return fmt.Errorf("collecting %s: %w", a.Name, err)
		}
		if c.Condemned+c.Erased+c.Receipts+c.Keys+len(c.Retained) > 0 {
			out = append(out, *c)
		}
		return nil
	})
	return out, err
}

func (v *Vault) collect(ctx context.Context, ring *keyring.Ring, a *state.Artefact, pretend bool) (*Collected, error) {
	name, before := a.Name, v.config.Now().Add(-CollectAfter)
	var done *keyring.Collected
	var err error
	if pretend {
		done, err = ring.PreviewGC(ctx, before)
	} else {
		done, err = ring.GC(ctx, before, canonical.NewID())
	}
	if errors.Is(err, keyring.ErrIntegrity) {
		return nil, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	if err != nil {
		return nil, err
	}
	out := &Collected{Artefact: name, Condemned: len(done.Condemned), Erased: done.Erased, Retained: done.Retained}
	if out.Receipts, err = v.collectReceipts(ctx, a, pretend); err != nil {
		return nil, err
	}
	out.Erased += out.Receipts
	if !pretend {
		out.Keys, err = ring.ReapIntents(ctx)
	}
	return out, err
}

// collectReceipts erases receipts that are older than policy keeps logs at most.
// While a hold or a quarantine is in force it erases none: who took plaintext may be
// what the case is about, and which version a receipt is of, only its content tells.
func (v *Vault) collectReceipts(ctx context.Context, a *state.Artefact, pretend bool) (int, error) {
	most := v.State().Policy.Of(state.Log).Max
	if most.IsZero() || a.Frozen() {
		return 0, nil
	}
	var old []string
	now := entry.At(v.config.Now())
	for info, err := range v.config.Store.List(ctx, receipt.Prefix(a.ID), backends.ListOptions{}) {
		if err != nil {
			return 0, err
		}
		if most.After(entry.At(info.Modified)).Before(now.Time) {
			old = append(old, info.Key)
		}
	}
	if pretend || len(old) == 0 {
		return len(old), nil
	}
	_, err := v.config.Store.Erase(ctx, old...)
	return len(old), err
}
