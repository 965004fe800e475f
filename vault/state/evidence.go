package state

import (
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Approve is an operator's known-good mark.
type Approve struct {
	Version canonical.ID `json:"version"`
}

// Attest binds evidence to exactly one version digest: a new version starts
// without any.
type Attest struct {
	Version   canonical.ID     `json:"version"`
	Digest    canonical.Digest `json:"digest"` // the version digest
	Type      string           `json:"type"`   // one of EvidenceTypes
	Name      string           `json:"name,omitempty"`
	Result    string           `json:"result"`           // Pass, Warn or Fail
	Expires   entry.Time       `json:"expires,omitzero"` // it counts before then
	Statement Object           `json:"statement"`        // the same, signed, as an in-toto statement
	Document  Document         `json:"document,omitzero"`
}

// Document names a version of the companion artefact that holds a document.
type Document struct {
	Artefact canonical.Digest `json:"artefact"`
	Version  canonical.ID     `json:"version"`
	Digest   canonical.Digest `json:"digest"` // the version digest
}

// Evidence is one attestation.
type Evidence struct {
	Attest
	By   string
	Key  canonical.Digest // that signed it
	Time entry.Time
}

// Results of evidence. A warning is neither: it passes no gate.
const (
	Pass = "pass"
	Warn = "warn"
	Fail = "fail"
)

// Types of evidence that more than one thing depends on.
const (
	Evaluation = "evaluation"
	Scan       = "scan"
	Drill      = "drill"
)

// TestTypes lists the types of evidence that say how a test went; the others are
// records.
func TestTypes() []string { return []string{Evaluation, Scan, Drill, "monitoring"} }

// EvidenceTypes lists the types of evidence.
func EvidenceTypes() []string {
	return append(TestTypes(), "risk-assessment", "threat-model", "notice", "training", "other")
}

// EvidenceResults lists the results.
func EvidenceResults() []string { return []string{Pass, Warn, Fail} }

// companion is what the name of the artefact that holds an artefact's documents ends with.
const companion = ".evidence"

// CompanionName returns the name of the artefact that holds the documents of the
// evidence on name. It has keys and retention of its own: documents outlive what
// they are about.
func CompanionName(name string) string { return name + companion }

// Check reports whether an attestation could count, as far as that can be told
// without a journal.
func (b *Attest) Check() error {
	switch {
	case !slices.Contains(EvidenceTypes(), b.Type):
		return refuse(RuleBody, "type %q: one of %v", b.Type, EvidenceTypes())
	case !slices.Contains(EvidenceResults(), b.Result):
		return refuse(RuleBody, "result %q: one of %v", b.Result, EvidenceResults())
	}
	return checkText("name", b.Name, MaxWord)
}

func (a *Artefact) applyAttest(e *entry.Entry) error {
	b, err := decode[Attest](e)
	if err != nil {
		return err
	}
	if err := first(b.Check(), checkDocument(b.Statement)); err != nil {
		return err
	}
	if !b.Document.whole() {
		return refuse(RuleBody, "it binds half a document")
	}
	if !b.Expires.IsZero() && !b.Expires.After(e.Time.Time) {
		return refuse(RuleBody, "it expires before it begins")
	}
	v := a.byVID[b.Version]
	if v == nil || v.Digest != b.Digest {
		return refuse(RuleTarget, "version %s with digest %s does not exist", b.Version, b.Digest)
	}
	v.Evidence = append(v.Evidence, Evidence{Attest: *b, By: a.author(e).Name, Key: e.Author, Time: e.Time})
	return nil
}

func (a *Artefact) applyApprove(e *entry.Entry) error {
	b, err := decode[Approve](e)
	if err != nil {
		return err
	}
	by := a.author(e).Name
	v := a.byVID[b.Version]
	if v == nil {
		return refuse(RuleTarget, "version %s does not exist", b.Version)
	}
	if v.By == by {
		return refuse(RuleSecondPerson, "%s pushed it", by)
	}
	if slices.ContainsFunc(v.Approvals, func(ap Approval) bool { return ap.By == by }) {
		return refuse(RuleUnused, "%s approved it already", by)
	}
	v.Approvals = append(v.Approvals, Approval{By: by, Key: e.Author, Time: e.Time})
	return nil
}
