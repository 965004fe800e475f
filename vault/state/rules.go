package state

import (
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// ErrUnverifiable is entry.ErrUnverifiable.
var ErrUnverifiable = entry.ErrUnverifiable

// ErrNotPermitted marks an act that the role table does not allow.
var ErrNotPermitted = errors.New("not permitted")

// Rule names one condition that an entry must meet to count. An entry that
// breaks a rule is void; the names are what verify, history and audit print.
type Rule string

// The rules. Each is stated in vault/FORMAT.md §5 under its name.
const (
	RuleKind          Rule = "kind"              // the kind is known, belongs in this journal, and says rightly whether it is critical
	RuleMember        Rule = "member"            // the author is a member, neither removed, suspended nor expired
	RuleRole          Rule = "role"              // a role of the author permits the kind here
	RuleQuorum        Rule = "quorum"            // as many admins signed as policy asks
	RuleBody          Rule = "body"              // the body is well formed and within limits
	RuleTarget        Rule = "target"            // what the entry names exists and is in the state it needs
	RuleUnused        Rule = "unused"            // an id is used once
	RuleRegistered    Rule = "registered"        // the first entry, and only that, registers
	RuleName          Rule = "name"              // the name is valid, and the id is its HMAC
	RuleEnded         Rule = "ended"             // after "no epoch" nothing but destroyed, purged and verified counts
	RuleCut           Rule = "cut"               // a journal stands in the cut that ended the key which registered it
	RuleLastAdmin     Rule = "last-admin"        // somebody must be able to administer
	RuleCustody       Rule = "custody"           // keys stand at the keepers that the vault pins
	RuleIntentFresh   Rule = "candidate.fresh"   // no activation since the intent
	RuleFirst         Rule = "candidate.first"   // an intent has one candidate, the first
	RuleActivateFresh Rule = "activate.fresh"    // no activation or death since the intent
	RuleSurvivors     Rule = "activate.live"     // the survivors are exactly the live versions
	RuleEpoch         Rule = "version.epoch"     // the row stands under the current epoch
	RuleGeneration    Rule = "version.readers"   // the row is sealed to the current readers
	RuleWhole         Rule = "version.whole"     // no disposal of the whole artefact is under way
	RuleCondemned     Rule = "version.condemned" // gc has not condemned the id
	RuleBorrowed      Rule = "version.borrowed"  // every version borrowed through is live
	RuleApproved      Rule = "execute.approved"  // requested, approved as policy asks, not cancelled
	RuleDue           Rule = "execute.due"
	RuleRetained      Rule = "execute.retained" // minimum retention is over
	RuleHeld          Rule = "execute.held"     // no hold
	RuleInScope       Rule = "execute.scope"
	RuleCancel        Rule = "cancel.activated" // cancelled before the activation
	RuleEveryKey      Rule = "destroyed.keys"   // every superseded key is named
	RuleSecondPerson  Rule = "second-person"    // not by whoever placed or requested it
	RuleMoved         Rule = "channel.moved"    // the channel still pointed where the author saw it
	RuleGates         Rule = "channel.gates"    // what policy asks of a version before the channel moves to it is met, or waived
	RuleQuarantined   Rule = "quarantined"      // not a quarantined version

	// Readings that are not refusals; only Deviation names them.
	RuleHoldLives   Rule = "live.held"     // a held version counts as live
	RuleReleaseDies Rule = "death.release" // releasing a hold on an executed version is a death
)

// Deviation switches rules off. It exists for the tests that show, one by one,
// that each rule is needed; everything else uses nil.
type Deviation map[Rule]bool

func (d Deviation) on(r Rule) bool { return !d[r] }

// Void reports an entry that was verified and does not count.
type Void struct {
	At     entry.Position
	Kind   string
	Author string // the member's name
	Key    canonical.Digest
	Time   entry.Time
	Rule   Rule
	Why    string
}

func (v *Void) Error() string {
	return fmt.Sprintf("%s entry %d by %s is void: %s (rule %s)", v.Kind, v.At.Seq, v.Author, v.Why, v.Rule)
}

// refusal is how the appliers say that a rule is broken.
type refusal struct {
	rule Rule
	why  string
}

func (r *refusal) Error() string { return string(r.rule) + ": " + r.why }

func refuse(r Rule, format string, args ...any) error {
	return &refusal{rule: r, why: fmt.Sprintf(format, args...)}
}

// decode reads a body; a body out of its one spelling breaks RuleBody.
func decode[T any](e *entry.Entry) (*T, error) {
	var v T
	if err := canonical.Unmarshal(e.Body, &v); err != nil {
		return nil, refuse(RuleBody, "%v", err)
	}
	return &v, nil
}
