package state

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aivault/aivault/crypto/canonical"
)

// Limits of entries. They are such that the largest entry of each kind fits
// into an envelope (dsse.MaxEnvelope), those of an admin with the signatures of
// as many admins as an envelope holds.
const (
	// MaxNamed bounds the versions that one entry names.
	MaxNamed = 256
	// MaxScope bounds what one disposal request names: each version counts one,
	// each artefact scopeCost.
	MaxScope = 272
	// MaxArtefacts bounds the artefacts that one disposal request names.
	MaxArtefacts = 64
	// MaxRetained bounds the retained objects that a purged entry names.
	MaxRetained = 8
	// MaxBorrowed bounds the versions that a version borrows through.
	MaxBorrowed = 64
	// MaxDescription bounds labels, sources, lineage, justification and parts of a version together, in bytes as encoded.
	MaxDescription = 6000
	// MaxLabels bounds the bytes of names and values of a version's labels.
	MaxLabels = 1024
	// MaxGrants bounds the roles of a member.
	MaxGrants = 16
	// MaxRuleReaders bounds the readers that one rule names.
	MaxRuleReaders = 64
	// MaxKeepers bounds the keepers of an epoch.
	MaxKeepers = 8
	// MaxText is the length of the longest reason or other sentence, in bytes.
	MaxText = 512
	// MaxWord is the length of the longest label of something, in bytes.
	MaxWord = 64

	scopeCost    = 3
	maxPluginEnv = 32
	maxAuthority = 256
	maxPerson    = 256
	maxOwner     = 256
	maxCustody   = 2600 // of a list of keepers, as encoded
	maxURL       = 1024
	maxRef       = 200
	maxRecipient = 2048
	randomDigits = 2 * len(canonical.ID{})
)

// first returns the first error that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkText refuses text that is too long, or would not print on one line.
func checkText(what, s string, limit int) error {
	if len(s) > limit {
		return refuse(RuleBody, "%s of %d bytes: at most %d", what, len(s), limit)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return refuse(RuleBody, "%s %q: it has characters that do not print", what, s)
	}
	return nil
}

// checkSentence is checkText for a reason, which may be required.
func checkSentence(what, s string, required bool) error {
	if required && s == "" {
		return refuse(RuleBody, "it gives no %s", what)
	}
	return checkText(what, s, MaxText)
}

// checkWord checks a required label of something.
func checkWord(what, s string) error {
	if s == "" {
		return refuse(RuleBody, "it gives no %s", what)
	}
	return checkText(what, s, MaxWord)
}

func checkShort(name string) error {
	if err := CheckShortName(name); err != nil {
		return refuse(RuleBody, "%v", err)
	}
	return nil
}

// checkRecipient checks the length of a recipient; what it is made of is for
// the cipher to judge.
func checkRecipient(s string) error {
	if s == "" || len(s) > maxRecipient {
		return refuse(RuleBody, "a recipient of %d characters", len(s))
	}
	return checkText("recipient", s, maxRecipient)
}

// checkNamed checks the binding of an object whose key is prefix and 32 random hex digits.
func checkNamed(o Object, prefix string) error {
	rnd, ok := strings.CutPrefix(o.Key, prefix)
	if _, err := canonical.ParseID(rnd); !ok || err != nil || o.SHA256.IsZero() {
		return refuse(RuleBody, "object %q: its key is %s and %d hex digits", o.Key, prefix, randomDigits)
	}
	return nil
}

// checkGroupObject checks the binding of an object grp/<id>-<rnd>.
func checkGroupObject(o Object) error {
	id, _, _ := strings.Cut(strings.TrimPrefix(o.Key, "grp/"), "-")
	if _, err := canonical.ParseID(id); err != nil {
		return refuse(RuleBody, "object %q: its key is grp/, %d hex digits, - and as many again", o.Key, randomDigits)
	}
	return checkNamed(o, "grp/"+id+"-")
}

// checkDocument checks the binding of a bound list.
func checkDocument(o Object) error {
	if o.SHA256.IsZero() || o.Key != "doc/"+hex.EncodeToString(o.SHA256[:]) {
		return refuse(RuleBody, "object %q: a document is named by its digest", o.Key)
	}
	return nil
}

func (m Metadata) check() error {
	if m.MID.IsZero() || m.SHA256.IsZero() {
		return refuse(RuleBody, "it binds no metadata identity")
	}
	return checkRecipient(m.Recipient)
}
