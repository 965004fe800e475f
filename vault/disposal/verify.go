package disposal

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/state"
)

const reportFormat = "aivault-attack/1"

// Report is the record of an attack on a disposal in one artefact, as a verified
// entry binds it.
type Report struct {
	Format   string            `json:"format"`
	Disposal canonical.ID      `json:"disposal"`
	Artefact canonical.Digest  `json:"artefact"`
	Time     entry.Time        `json:"time"`
	Result   string            `json:"result"`
	Attack   *keyring.Attacked `json:"attack"`
}

func refOf(key string) backends.Ref { return backends.Ref{Key: key} }

// Verify attacks a disposal again, records what came of it where that is news,
// and returns the reports. Errors: ErrRefused before the keys are destroyed;
// ErrInconclusive, ErrFailed.
func (d *Desk) Verify(ctx context.Context, id canonical.ID) ([]Report, error) {
	s, err := d.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	switch s.Phase {
	case Destroyed, Purged, Verified, Accepted, Failed:
	default:
		return nil, fmt.Errorf("disposal %s is %s: there is nothing to verify before its keys are destroyed: %w", id, s.Phase, ErrRefused)
	}
	out := &Outcome{ID: id}
	err = d.verify(ctx, id, out, true)
	return out.reports, err
}

// verify attacks every artefact of a disposal: always, or only where no attack
// has been recorded as verified.
func (d *Desk) verify(ctx context.Context, id canonical.ID, out *Outcome, always bool) error {
	s, err := d.Status(ctx, id)
	if err != nil {
		return err
	}
	var worst error
	for _, at := range s.Artefacts {
		if !always && at.Attack != nil && at.Attack.Result == keyring.ResultVerified {
			continue
		}
		report, err := d.attack(ctx, s, at)
		if err != nil {
			return fmt.Errorf("attacking %s: %w", at.Name, err)
		}
		out.reports = append(out.reports, *report)
		if at.Attack == nil || at.Attack.Result != report.Result {
			if err := d.record(ctx, at, report); err != nil {
				return err
			}
			out.Changed = true
		}
		switch report.Result {
		case keyring.ResultFailed:
			out.Phase = Failed
			worst = errors.Join(fmt.Errorf("%s: %w", at.Name, ErrFailed), worst)
		case keyring.ResultInconclusive:
			worst = errors.Join(worst, fmt.Errorf("%s: %w: %s", at.Name, ErrInconclusive, report.Attack.Doubt()))
		}
	}
	return worst
}

func (d *Desk) attack(ctx context.Context, s *Status, at ArtefactStatus) (*Report, error) {
	var of []canonical.ID
	for _, v := range at.Versions {
		of = append(of, v.VID)
	}
	ring := d.ring(at.ID)
	attacked, err := ring.Attack(ctx, of)
	if err != nil {
		return nil, err
	}
	return &Report{Format: reportFormat, Disposal: s.ID, Artefact: at.ID, Time: entry.At(d.Vault.Now()),
		Result: attacked.Result(ring.Ledger.State()), Attack: attacked}, nil
}

// record stores a report and enters its result.
func (d *Desk) record(ctx context.Context, at ArtefactStatus, report *Report) error {
	plain, err := canonical.Marshal(report)
	if err != nil {
		return fmt.Errorf("encoding a report: %w", err)
	}
	ring := d.ring(at.ID)
	o, err := ring.PutDocument(ctx, plain)
	if err != nil {
		return fmt.Errorf("storing a report: %w", err)
	}
	for attempt := 0; ; attempt++ {
		a, err := d.fold(ctx, at.ID)
		if err != nil {
			return err
		}
		if now := a.Attacked(report.Disposal); now != nil && now.Result == report.Result && !now.Time.Before(report.Time.Time) {
			return nil // somebody else's attack, at the same time, came to the same
		}
		err = ring.Ledger.Append(ctx, state.KindVerified, state.Verified{Disposal: report.Disposal, Result: report.Result, Report: *o}, canonical.NewID())
		if !errors.Is(err, journal.ErrLost) {
			return err
		}
		if err := journal.Pause(ctx, attempt); err != nil {
			return err
		}
	}
}
