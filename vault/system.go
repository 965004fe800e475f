package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// ErrPart refuses a version that a system cannot pin.
var ErrPart = errors.New("cannot be a part of the system")

// Part names a version that a system is to pin, and the directory of its files.
type Part struct {
	Name string
	Ref  Ref
}

// PartInfo is a part of a system as it is stored.
type PartInfo struct {
	Name     string
	Artefact string // "" with a Problem
	Version  int
	Digest   canonical.Digest
	State    string // "live" and so on, or "quarantine"
	Problem  string // what it pins does not exist
}

// Ref names the version for people.
func (p PartInfo) Ref() string { return fmt.Sprintf("%s@v%d", p.Artefact, p.Version) }

// member is a version that a pull of a system brings: the system itself, which has
// no name here, or a part.
type member struct {
	name     string
	ledger   *ledger.Artefact
	artefact *state.Artefact
	version  *state.CommittedVersion
}

func (m member) ref() string { return m.version.Ref(m.artefact.Name) }

// foldID reads the journal of the artefact with this id. Both results are nil if
// there is no such artefact.
func (v *Vault) foldID(ctx context.Context, id canonical.Digest) (*ledger.Artefact, *state.Artefact, error) {
	l := v.ledger.Artefact(id)
	a, err := l.Fold(ctx)
	if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, ErrRolledBack) || err == nil && a.Name == "" {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("artefact %s: %w", id, err)
	}
	return l, a, nil
}

// lookup returns a function that reads each artefact's journal once.
func (v *Vault) lookup(ctx context.Context) func(canonical.Digest) (*state.Artefact, error) {
	known := map[canonical.Digest]*state.Artefact{}
	return func(id canonical.Digest) (*state.Artefact, error) {
		if a, ok := known[id]; ok {
			return a, nil
		}
		_, a, err := v.foldID(ctx, id)
		if err == nil && a != nil {
			err = v.readKin(ctx, a, a.Versions...)
		}
		if err == nil {
			known[id] = a
		}
		return a, err
	}
}

// pin finds the versions that a system called system is to pin, and makes the file
// that says so. Each must be usable now, and no system of parts.
func (v *Vault) pin(ctx context.Context, system string, parts []Part) ([]state.SystemPart, []byte, error) {
	members := []member{}
	var pins []state.SystemPart
	for _, p := range slices.SortedFunc(slices.Values(parts), func(x, y Part) int { return cmp.Compare(x.Name, y.Name) }) {
		l, a, cv, err := v.resolve(ctx, p.Ref)
		if err == nil {
			err = checkUsable(a.Name, cv)
		}
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("part %s: %w", p.Name, err)
		case a.Name == system:
			return nil, nil, fmt.Errorf("part %s: %s is of the system's own artefact: %w", p.Name, cv.Ref(a.Name), ErrPart)
		case len(cv.Parts) > 0:
			return nil, nil, fmt.Errorf("part %s: %s is a system of parts itself; name its parts: %w", p.Name, cv.Ref(a.Name), ErrPart)
		}
		members = append(members, member{name: p.Name, ledger: l, artefact: a, version: cv})
		pins = append(pins, state.SystemPart{Name: p.Name, Artefact: a.ID, Version: cv.VID, Digest: cv.Digest})
	}
	document, err := systemDocument(members)
	return pins, document, err
}

// systemDocument is the content of state.SystemFile.
func systemDocument(parts []member) ([]byte, error) {
	pinned := make([]state.PinnedVersion, len(parts))
	for i, m := range parts {
		pinned[i] = state.PinnedVersion{Name: m.name, Artefact: m.artefact.Name, Version: m.version.Number, Digest: m.version.Digest}
	}
	return state.SystemDocument(pinned)
}

// members returns a version and, if it is a system, its parts, in the order of
// their names. ErrIntegrity: what it pins does not exist.
func (v *Vault) members(ctx context.Context, l *ledger.Artefact, a *state.Artefact, cv *state.CommittedVersion) ([]member, error) {
	out := []member{{ledger: l, artefact: a, version: cv}}
	for _, p := range cv.Parts {
		pl, pa, err := v.foldID(ctx, p.Artefact)
		if err != nil {
			return nil, fmt.Errorf("part %s: %w", p.Name, err)
		}
		part, err := p.In(pa)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", cv.Ref(a.Name), err, ErrIntegrity)
		}
		out = append(out, member{name: p.Name, ledger: pl, artefact: pa, version: part})
	}
	return out, nil
}

// partsOf describes the parts among members.
func partsOf(members []member) []PartInfo {
	var out []PartInfo
	for _, m := range members[1:] {
		out = append(out, partInfo(m.name, m.artefact, m.version))
	}
	return out
}

func partInfo(name string, a *state.Artefact, cv *state.CommittedVersion) PartInfo {
	p := PartInfo{Name: name, Artefact: a.Name, Version: cv.Number, Digest: cv.Digest, State: cv.State.String()}
	if cv.Quarantined != nil {
		p.State = "quarantine"
	}
	return p
}

// pinned describes the parts of a version, whatever has become of them.
func (v *Vault) pinned(ctx context.Context, cv *state.CommittedVersion) ([]PartInfo, error) {
	var out []PartInfo
	for _, p := range cv.Parts {
		_, a, err := v.foldID(ctx, p.Artefact)
		if err != nil {
			return nil, fmt.Errorf("part %s: %w", p.Name, err)
		}
		part, err := p.In(a)
		if err != nil {
			out = append(out, PartInfo{Name: p.Name, Digest: p.Digest, Problem: err.Error()})
			continue
		}
		out = append(out, partInfo(p.Name, a, part))
	}
	return out, nil
}

// usable refuses a version, or a system any part of which is destroyed, being
// destroyed or in quarantine.
func usable(members []member, check func(string, *state.CommittedVersion) error) error {
	for _, m := range members {
		if err := check(m.artefact.Name, m.version); err != nil {
			if m.name != "" {
				err = fmt.Errorf("%s, part %s: %w", members[0].ref(), m.name, err)
			}
			return err
		}
	}
	return nil
}

// placed opens all members, each where its files stand in a directory.
func (v *Vault) placed(ctx context.Context, members []member, store backends.Store) ([]transfer.Placed, error) {
	out := make([]transfer.Placed, len(members))
	for i, m := range members {
		version, err := v.openVersion(ctx, m.ledger, m.artefact, m.version, store)
		if err != nil && m.name != "" {
			err = fmt.Errorf("part %s, %s: %w", m.name, m.ref(), err)
		}
		if err != nil {
			return nil, err
		}
		out[i] = transfer.Placed{At: m.name, Version: version}
	}
	if len(members) > 1 {
		document, err := systemDocument(members[1:])
		if err != nil {
			return nil, err
		}
		out[0].Expect = map[string]canonical.Digest{state.SystemFile: canonical.Sum(document)}
	}
	return out, nil
}

// checks are those that journals tell, of a version and of the parts that it pins.
func (v *Vault) checks(ctx context.Context, a *state.Artefact, cv *state.CommittedVersion, channel string) ([]state.Check, error) {
	out := a.Checks(cv, channel, v.State(), v.session.Time())
	parts, err := cv.CheckParts(channel, v.State(), v.session.Time(), v.lookup(ctx))
	return append(out, parts), err
}

// SystemRefs returns references to a system and to each of its parts that are not
// destroyed.
func (v *Vault) SystemRefs(ctx context.Context, ref Ref) ([]Ref, error) {
	l, a, cv, err := v.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	members, err := v.members(ctx, l, a, cv)
	if err != nil {
		return nil, err
	}
	if len(members) == 1 {
		return nil, fmt.Errorf("%s is no system of parts: %w", cv.Ref(a.Name), ErrNotFound)
	}
	var out []Ref
	for _, m := range members {
		if r := (Ref{Artefact: m.artefact.Name, Number: m.version.Number}); m.version.State <= state.Executed && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out, nil
}

// systems lists the versions that live and pin others.
func (v *Vault) systems(ctx context.Context) ([]disposal.System, error) {
	var out []disposal.System
	err := v.eachArtefact(ctx, func(_ *ledger.Artefact, a *state.Artefact) error {
		for _, cv := range a.Versions {
			if len(cv.Parts) > 0 && cv.State <= state.Executed {
				out = append(out, disposal.System{Artefact: a, Version: cv})
			}
		}
		return nil
	})
	return out, err
}
