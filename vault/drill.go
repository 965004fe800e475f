package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// DrillResult is a restore for practice.
type DrillResult struct {
	Artefact  string
	Channel   string
	Version   int      // what it restored: what the channel would fall back to; 0: nothing
	Judged    []Judged // newest first, as a rollback would judge
	Files     int64
	Bytes     int64
	Took      time.Duration // from the decision to the last byte on disk
	Passed    bool
	Head      ledger.Pin
	Freshness string
}

// Drill restores into dest, which should be empty, what a channel would fall back
// to now, every byte verified, and records how that went as evidence on it, of
// type drill, named for the channel. That there was no drill yet does not count
// against the version.
//
// The result stands beside an error as far as it goes. Errors: ErrNoKnownGood;
// ErrIntegrity, on record; those of Pull and Attest.
func (v *Vault) Drill(ctx context.Context, name, channel, dest string) (*DrillResult, error) {
	l, a, err := v.foldTo(ctx, name, state.KindAttest)
	if err != nil {
		return nil, err
	}
	res := &DrillResult{Artefact: a.Name, Channel: channel, Head: pinOf(a), Freshness: v.freshness(a.ID.String())}
	began := v.config.Now()
	var to *state.CommittedVersion
	if res.Judged, to, err = v.survey(ctx, l, a, channel, DepthObjects, state.CheckDrill, nil); err != nil {
		return res, err
	}
	if to == nil {
		return res, fmt.Errorf("%s:%s has nothing to fall back to: %w", a.Name, channel, ErrNoKnownGood)
	}
	res.Version = to.Number
	ref := Ref{Artefact: a.Name, Number: to.Number}
	pulled, failed := v.Pull(ctx, ref, dest, PullOptions{Labels: map[string]string{"drill": channel}})
	if failed != nil && !broken(failed) {
		return res, failed // nothing was learned about the version
	}
	result := state.Fail
	if failed == nil {
		result, res.Passed = state.Pass, true
		res.Files, res.Bytes, res.Took = pulled.Files, pulled.Bytes, v.config.Now().Sub(began)
	}
	done, err := v.Attest(ctx, ref, AttestOptions{Type: state.Drill, Name: channel, Result: result})
	if err != nil {
		return res, errors.Join(failed, fmt.Errorf("recording the drill: %w", err))
	}
	res.Head = done.Head
	return res, failed
}
