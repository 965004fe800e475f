package vault

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// QuarantineInfo is what became of one version.
type QuarantineInfo struct {
	Artefact string
	Version  int
	Changed  bool     // false: it was so already
	Channels []string // that point to it
	Head     ledger.Pin
}

// Ref names the version for people.
func (q QuarantineInfo) Ref() string { return fmt.Sprintf("%s@v%d", q.Artefact, q.Version) }

// Quarantine denies versions to all who read, and holds them against disposal.
// Nothing is deleted, and no channel moves. All references are resolved before
// anything is written; then each artefact takes one entry for every
// state.MaxNamed versions of it. After an error what is done is returned beside
// it, and doing it again does the rest.
//
// Errors: ErrNotFound, ErrNotPermitted.
func (v *Vault) Quarantine(ctx context.Context, refs []Ref, reason, incident string) ([]QuarantineInfo, error) {
	return v.markVersions(ctx, refs, state.KindQuarantine, state.Quarantine{Reason: reason, Incident: incident},
		func(cv *state.CommittedVersion) bool { return cv.Quarantined != nil })
}

// Clear lifts quarantines, whoever placed them. It is like Quarantine else.
func (v *Vault) Clear(ctx context.Context, refs []Ref, reason, incident string) ([]QuarantineInfo, error) {
	return v.markVersions(ctx, refs, state.KindClear, state.Quarantine{Reason: reason, Incident: incident},
		func(cv *state.CommittedVersion) bool { return cv.Quarantined == nil })
}

// marked is one artefact's share of what is to be marked.
type marked struct {
	name string
	vids []canonical.ID // each once
}

// markVersions writes entries of a kind with this body about all versions that are not
// done yet.
func (v *Vault) markVersions(ctx context.Context, refs []Ref, kind string, body state.Quarantine, done func(*state.CommittedVersion) bool) ([]QuarantineInfo, error) {
	work, err := v.resolveAll(ctx, refs, kind)
	if err != nil {
		return nil, err
	}
	out := []QuarantineInfo{}
	for _, m := range work {
		for vids := range slices.Chunk(m.vids, state.MaxNamed) {
			var changed []canonical.ID
			err := v.appendTo(ctx, m.name, kind, func(a *state.Artefact) (any, error) {
				changed = slices.DeleteFunc(slices.Clone(vids), func(id canonical.ID) bool { return done(a.Version(id)) })
				if len(changed) == 0 {
					return nil, nil
				}
				b := body
				b.Versions = changed
				return b, nil
			}, func(a *state.Artefact) {
				for _, id := range vids {
					cv := a.Version(id)
					out = append(out, QuarantineInfo{Artefact: a.Name, Version: cv.Number, Changed: slices.Contains(changed, id), Channels: channelsTo(a, id), Head: pinOf(a)})
				}
			})
			if err != nil {
				return out, fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	return out, nil
}

// resolveAll finds the versions that references name, artefact by artefact, and
// asks of each artefact whether this member may write entries of a kind there.
func (v *Vault) resolveAll(ctx context.Context, refs []Ref, kind string) ([]marked, error) {
	var out []marked
	states := map[string]*state.Artefact{}
	at := map[string]int{}
	for _, r := range refs {
		a := states[r.Artefact]
		if a == nil {
			var err error
			if _, a, err = v.foldTo(ctx, r.Artefact, kind); err != nil {
				return nil, err
			}
			states[r.Artefact], at[r.Artefact] = a, len(out)
			out = append(out, marked{name: a.Name})
		}
		cv, err := find(a, r)
		if err != nil {
			return nil, err
		}
		if m := &out[at[r.Artefact]]; !slices.Contains(m.vids, cv.VID) {
			m.vids = append(m.vids, cv.VID)
		}
	}
	return out, nil
}

// channelsTo returns the channels that point to a version, sorted.
func channelsTo(a *state.Artefact, vid canonical.ID) []string {
	out := []string{}
	for name, p := range a.Channels {
		if p.To == vid {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// PermitInfo is a permit to read a version in quarantine.
type PermitInfo struct {
	Artefact string
	Version  int
	Reader   string
	Until    time.Time
	Head     ledger.Pin
}

// Permit lets another member read a version in quarantine until a time, to
// examine it: with PullOptions.Forensic, and on record. It gives no key: the
// reader must be one of the artefact's.
//
// Errors: ErrNotFound; ErrNotPermitted; ErrRefused for oneself, for whoever is no
// member, and where the version is in no quarantine.
func (v *Vault) Permit(ctx context.Context, ref Ref, reader, reason string, until time.Time) (*PermitInfo, error) {
	info := &PermitInfo{Artefact: ref.Artefact, Reader: reader, Until: until}
	err := v.appendTo(ctx, ref.Artefact, state.KindPermit, func(a *state.Artefact) (any, error) {
		cv, err := find(a, ref)
		if err != nil {
			return nil, err
		}
		info.Version = cv.Number
		return state.Permit{Version: cv.VID, Reader: reader, Until: entry.At(until), Reason: reason}, v.checkPermit(a, cv, reader)
	}, func(a *state.Artefact) { info.Head = pinOf(a) })
	if err != nil {
		return nil, err
	}
	return info, nil
}

// checkPermit refuses before it is written what would not count.
func (v *Vault) checkPermit(a *state.Artefact, cv *state.CommittedVersion, reader string) error {
	m := v.State().Member(reader)
	switch self := v.Self(); {
	case cv.Quarantined == nil:
		return fmt.Errorf("%s is in no quarantine: %w", cv.Ref(a.Name), ErrRefused)
	case m == nil || m.Removed:
		return fmt.Errorf("member %s: %w", reader, ErrNotFound)
	case self != nil && self.Name == reader:
		return fmt.Errorf("%s: reading it takes somebody else's permit (rule %s): %w", cv.Ref(a.Name), state.RuleSecondPerson, ErrRefused)
	}
	return nil
}

// checkForensic is checkUsable for a member who reads what is in quarantine by a
// permit.
func (v *Vault) checkForensic(name string, cv *state.CommittedVersion) error {
	err := checkUsable(name, cv)
	self := v.Self()
	if err == nil || cv.State != state.Live || self == nil {
		return err
	}
	if cv.Quarantined.Permitted(self.Name, v.session.Time()) == nil {
		return fmt.Errorf("%w; nobody has permitted %s to read it, or the permit is over", err, self.Name)
	}
	return nil
}
