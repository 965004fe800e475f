package state

import (
	"fmt"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// KindSystem is the kind of versions that pin others: what runs together.
const KindSystem = "system"

const (
	// SystemFile is the file of a system that says what its parts are.
	SystemFile = "system.json"
	// MaxParts bounds the parts of a system.
	MaxParts = 16
)

// SystemPart is a version of another artefact that a system pins. It has no parts
// itself.
type SystemPart struct {
	Name     string           `json:"name"` // a short name: the directory that its files are pulled to
	Artefact canonical.Digest `json:"artefact"`
	Version  canonical.ID     `json:"version"`
	Digest   canonical.Digest `json:"digest"` // the version digest
}

// checkParts refuses parts out of their one order, twice of a name, or of what is
// no system.
func checkParts(kind string, parts []SystemPart) error {
	if len(parts) > 0 && kind != KindSystem || len(parts) > MaxParts {
		return refuse(RuleBody, "a %s of %d parts: only a system has parts, at most %d", kind, len(parts), MaxParts)
	}
	for i, p := range parts {
		switch {
		case p.Artefact.IsZero() || p.Version.IsZero() || p.Digest.IsZero():
			return refuse(RuleBody, "part %q pins no version", p.Name)
		case p.Name == SystemFile:
			return refuse(RuleBody, "part %q: a file of the system has this name", p.Name)
		case i > 0 && p.Name <= parts[i-1].Name:
			return refuse(RuleBody, "part %q: parts are sorted by name, each once", p.Name)
		}
		if err := checkShort(p.Name); err != nil {
			return err
		}
	}
	return nil
}

// PinnedVersion is a part as SystemFile names it.
type PinnedVersion struct {
	Name     string           `json:"name"`
	Artefact string           `json:"artefact"`
	Version  int              `json:"version"`
	Digest   canonical.Digest `json:"digest"`
}

// SystemDocument returns the content of SystemFile (vault/FORMAT.md §5.10).
func SystemDocument(parts []PinnedVersion) ([]byte, error) {
	b, err := canonical.Marshal(struct {
		Format string          `json:"format"`
		Parts  []PinnedVersion `json:"parts"`
	}{"aivault-system/1", parts})
	return append(b, '\n'), err
}

// CheckPartsName is the name of the check of a system's parts.
const CheckPartsName = "parts"

// CheckParts says whether every part of a system is known good as far as journals
// tell: live, in no quarantine, and, by the policy for its own artefact, whatever
// its channel of the same name asks for but a drill: that of the system counts.
// lookup returns the artefact with an id, or nil if there is none. Its errors are
// returned.
func (cv *CommittedVersion) CheckParts(channel string, v *Vault, t entry.Time, lookup func(canonical.Digest) (*Artefact, error)) (Check, error) {
	c := Check{Name: CheckPartsName, Status: CheckNotRequired, Why: "it is no system"}
	if len(cv.Parts) == 0 {
		return c, nil
	}
	c.Status = CheckPass
	var good, bad []string
	for _, p := range cv.Parts {
		a, err := lookup(p.Artefact)
		if err != nil {
			return c, err
		}
		part, err := p.In(a)
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		ref := p.Name + ", " + part.Ref(a.Name)
		failed := false
		for _, check := range a.Checks(part, channel, v, t) {
			if check.Name != CheckDrill && (check.Status == CheckFail || check.Status == CheckUnknown) {
				bad, failed = append(bad, fmt.Sprintf("%s: %s: %s", ref, check.Name, check.Why)), true
			}
		}
		if !failed {
			good = append(good, ref)
		}
	}
	c.Why = strings.Join(good, "; ")
	if len(bad) > 0 {
		c.Status, c.Why = CheckFail, strings.Join(bad, "; ")
	}
	return c, nil
}

// In returns the version that a part pins, of its artefact, which may be nil. The
// error says what is wrong with the pin.
func (p SystemPart) In(a *Artefact) (*CommittedVersion, error) {
	if a == nil {
		return nil, fmt.Errorf("part %s pins a version of artefact %s, which is not there", p.Name, p.Artefact)
	}
	cv := a.Version(p.Version)
	switch {
	case cv == nil || cv.Digest != p.Digest:
		return nil, fmt.Errorf("part %s pins version %s of %s with digest %s, which does not exist", p.Name, p.Version, a.Name, p.Digest)
	case len(cv.Parts) > 0:
		return nil, fmt.Errorf("part %s is %s, a system of parts itself", p.Name, cv.Ref(a.Name))
	}
	return cv, nil
}

// Pins reports whether a version pins one of another artefact.
func (cv *CommittedVersion) Pins(artefact canonical.Digest, vid canonical.ID) bool {
	for _, p := range cv.Parts {
		if p.Artefact == artefact && p.Version == vid {
			return true
		}
	}
	return false
}
