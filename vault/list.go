package vault

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// Summary is one artefact at a glance.
type Summary struct {
	Artefact       string
	Kind           string // of the newest version
	Classification string
	Sources        []state.Source // of the newest version, like all that describes
	Relations      []Relation
	Complete       bool // its lineage is declared complete
	Versions       int  // ever committed
	Live           int
	Latest         int // number of the newest live version; 0: none
	Quarantined    int // of the live ones
	Channels       map[string]int
	Fallbacks      map[string]int    // for each channel that points to something: what it would fall back to as far as journals tell; 0: nothing
	Faults         map[string]string // for each channel that points to something: why that is not known good as far as journals tell; "": it is
	Modified       time.Time         // of the last entry
	Stored         int64             // bytes that its live versions take in storage, shared objects counted once for each
	State          string            // "live", "empty" or "destroyed"
}

// List summarises the artefacts whose name matches glob ("" or "*": all), by
// name. It needs no keeper and no right to read content: journals say it all.
func (v *Vault) List(ctx context.Context, glob string) ([]Summary, string, error) {
	glob = cmp.Or(glob, "*")
	if err := state.CheckGlob(glob); err != nil {
		return nil, "", err
	}
	out := []Summary{}
	all := state.Kin{}
	if err := v.eachArtefact(ctx, func(_ *ledger.Artefact, a *state.Artefact) error {
		all[a.ID] = a
		return nil
	}); err != nil {
		return nil, "", err
	}
	for _, a := range all {
		a.Kin = all
	}
	lookup := func(id canonical.Digest) (*state.Artefact, error) { return all[id], nil }
	for _, a := range all {
		if !state.MatchGlob(glob, a.Name) {
			continue
		}
		s, err := v.summarise(a, lookup)
		if err != nil {
			return nil, "", err
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y Summary) int { return cmp.Compare(x.Artefact, y.Artefact) })
	v.keep()
	return out, v.freshness(entry.VaultJournal), nil
}

// artefactIDs lists the artefacts that have anything in storage.
func (v *Vault) artefactIDs(ctx context.Context) ([]canonical.Digest, error) {
	var ids []canonical.Digest
	for info, err := range v.session.Store.List(ctx, "a/", backends.ListOptions{OneLevel: true}) {
		if err != nil {
			return nil, fmt.Errorf("listing artefacts: %w", err)
		}
		id, err := canonical.ParseDigest(strings.TrimSuffix(strings.TrimPrefix(info.Key, "a/"), "/"))
		if err != nil {
			continue // not ours; verify names it
		}
		ids = append(ids, id)
	}
	return ids, v.checkHidden(ids)
}

// checkHidden refuses a listing that lacks an artefact which this client
// remembers, or a witness has cosigned:
// journals are never deleted.
func (v *Vault) checkHidden(ids []canonical.Digest) error {
	there := map[string]bool{entry.VaultJournal: true}
	for _, id := range ids {
		there[id.String()] = true
	}
	for journal := range v.session.Vouched {
		if !there[journal] {
			return fmt.Errorf("the storage shows nothing of artefact %s, which a witness has cosigned: %w", journal, ErrRolledBack)
		}
	}
	if v.memory == nil {
		return nil
	}
	for _, journal := range v.memory.Journals() {
		if _, err := canonical.ParseDigest(journal); err == nil && !there[journal] {
			return fmt.Errorf("the storage shows nothing of artefact %s, which this client has read: %w", journal, ErrRolledBack)
		}
	}
	return nil
}

func (v *Vault) summarise(a *state.Artefact, lookup func(canonical.Digest) (*state.Artefact, error)) (Summary, error) {
	s := Summary{Artefact: a.Name, Versions: len(a.Versions), Channels: map[string]int{}, Fallbacks: map[string]int{}, Faults: map[string]string{}, Modified: a.Time.Time, State: "empty"}
	for _, cv := range a.Versions {
		if cv.State == state.Live {
			s.Live++
			s.Stored += cv.Stored
			if cv.Quarantined != nil {
				s.Quarantined++
			}
		}
		s.Kind, s.Classification, s.Sources, s.Relations, s.Complete = cv.Version.Kind, cv.Classification, cv.Sources, relations(a, cv), cv.Complete
	}
	if l := a.Latest(); l != nil {
		s.Latest, s.State = l.Number, "live"
	}
	if a.Ended {
		s.State = "destroyed"
	}
	for name, p := range a.Channels {
		if cv := a.Version(p.To); cv != nil {
			s.Channels[name], s.Fallbacks[name] = cv.Number, 0
			good, err := a.KnownGood(name, v.State(), v.session.Time(), lookup)
			if err != nil {
				return s, err
			}
			if len(good) > 0 {
				s.Fallbacks[name] = good[0].Number
			}
			parts, err := cv.CheckParts(name, v.State(), v.session.Time(), lookup)
			if err != nil {
				return s, err
			}
			j := Judged{Checks: append(a.Checks(cv, name, v.State(), v.session.Time()), parts)}
			s.Faults[name] = j.Reason()
		}
	}
	return s, nil
}
