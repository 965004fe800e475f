package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/s3/credential"
	"github.com/aivault/aivault/cmd/aivault/cli/argv"
	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/scan"
	"github.com/aivault/aivault/vault/state"
)

// Exit codes. They are a contract with scripts.
const (
	codeFailure     = 1
	codeUsage       = 2
	codePartial     = 3
	codeNothing     = 4
	codeNotFound    = 5
	codeNoVault     = 10
	codeConflict    = 11
	codeDenied      = 12
	codeIntegrity   = 13
	codeDestroyed   = 14
	codeRefused     = 15
	codeDependents  = 16
	codeRolledBack  = 17
	codeUnreachable = 18
	codeRate        = 19
	codeInterrupted = 130
	codeTerminated  = 143
)

// exitCode says what a code means.
type exitCode struct {
	code    int
	meaning string
}

// exitCodes lists the codes, for people.
func exitCodes() []exitCode {
	return []exitCode{
		{codeFailure, "any other failure; kind `upgrade`: this program is too old"},
		{codeUsage, "usage: the command line, a setting or an input file cannot be right"},
		{codePartial, "done in part, or could not be complete; says what waits for whom"},
		{codeNothing, "nothing to do, only with --exit-code"},
		{codeNotFound, "not found"},
		{codeNoVault, "no vault there"},
		{codeConflict, "conflict: --if-version, a vault or name that is there already, or a channel somebody else moved"},
		{codeDenied, "access denied, by storage, keeper or role"},
		{codeIntegrity, "integrity: bytes, hash, signature or chain do not verify"},
		{codeDestroyed, "destroyed: it existed and was shredded"},
		{codeRefused, "refused by policy, hold, retention, gate or quarantine, or because storage or keeper are unfit"},
		{codeDependents, "refused: something depends on it, or it is the last known good; a decision is missing"},
		{codeRolledBack, "storage rolled back or forked"},
		{codeUnreachable, "storage or keeper unreachable or stalled, or --timeout over"},
		{codeRate, "limited by rate; retry_after says how many seconds to wait"},
		{codeInterrupted, "interrupted (SIGINT)"},
		{codeTerminated, "terminated (SIGTERM)"},
	}
}

// errPartial marks what was done in part; the message says what is missing.
var errPartial = errors.New("done in part")

// verdict is what an error means to whoever called the program.
type verdict struct {
	code int
	kind string
	hint string
}

// judge is the one place where errors become exit codes. The order matters
// where an error is several things: what was found about the data goes before
// how it was found.
func judge(err error) verdict {
	var stopped *interruption
	var void *state.Void
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	var store *backends.Error
	errors.As(err, &store)
	if errors.As(err, &void) {
		return judgeVoid(void)
	}
	switch kind := backends.KindOf(err); {
	case is(errNothingToDo):
		return verdict{codeNothing, "nothing-to-do", ""}
	case is(errUsage, argv.ErrUsage, naming.ErrInvalid, state.ErrBadName, path.ErrBadPattern, vault.ErrSource, vault.ErrPart, vault.ErrPolicy, vault.ErrRole):
		return verdict{codeUsage, "usage", ""}
	case is(identity.ErrFormat):
		return verdict{codeUsage, "identity", "name your identity with --identity, or make one: aivault identity new FILE"}
	case is(identity.ErrPassphrase):
		return verdict{codeDenied, "passphrase", "AIVAULT_PASSPHRASE_FILE names a file with the identity's passphrase; on a terminal you are asked"}
	case is(entry.ErrUpgrade):
		return verdict{codeFailure, "upgrade", "install a newer aivault"}
	case is(checkpoint.ErrFork):
		return verdict{codeRolledBack, "forked", "somebody has rewritten history, or shows different people different ones: do not trust the storage until it is clear who, and why"}
	case is(vault.ErrRolledBack):
		return verdict{codeRolledBack, "rolled-back", "the storage shows less, or other, than was seen before: do not trust it until somebody has found out why"}
	case is(machine.ErrDamaged):
		return verdict{codeFailure, "state", "remove the file named: this machine then forgets what it knew of that journal or vault"}
	case is(vault.ErrJunk):
		return verdict{codeIntegrity, "integrity", "somebody who is no member has written there; an operator or admin may pass over it: aivault audit skip"}
	case is(errDeployed):
		return verdict{codeIntegrity, "deployed", "find out who changed it; aivault pull --force restores it"}
	case is(checkpoint.ErrUnknownWitness):
		return verdict{codeIntegrity, "unwitnessed", "name the witness's key with --witness, as aivault audit cosign printed it"}
	case is(checkpoint.ErrGap, checkpoint.ErrOlder):
		return verdict{codeConflict, "conflict", ""}
	case is(checkpoint.ErrMalformed):
		return verdict{codeIntegrity, "integrity", "the file is not as aivault wrote it"}
	case is(vault.ErrIntegrity, keyring.ErrIntegrity, journal.ErrUnverifiable, state.ErrUnverifiable, entry.ErrMalformed, entry.ErrChain,
		seal.ErrCorrupt, seal.ErrFormat, dsse.ErrFormat, dsse.ErrSignature, dsse.ErrNoSignature, custody.ErrMismatch, custody.ErrCorrupt), kind == backends.Corrupt:
		return verdict{codeIntegrity, "integrity", "what is stored is not what was written; aivault verify finds out how much of it"}
	case is(host.ErrDigest):
		return verdict{codeIntegrity, "plugin-digest", "somebody has changed the plugin, or it was upgraded: aivault plugin list says which binaries the vault's members have pinned"}
	case is(host.ErrContract):
		return verdict{codeFailure, "plugin", "a scanner is named with --scanner, a store in a vault's location, a keeper with --custody"}
	case is(scan.ErrFailed):
		return verdict{codeFailure, "scan", "nothing is known of the files, and no evidence was left; --log-level debug shows all that the scanner says"}
	case is(host.ErrStart):
		return verdict{codeUnreachable, "plugin", "aivault plugin test examines a plugin; --log-level debug shows all that it says"}
	case is(disposal.ErrFailed):
		return verdict{codeIntegrity, "disposal-failed", "a destroyed key opens: find out who has restored it, and treat the data as not disposed of"}
	case is(disposal.ErrBundle):
		return verdict{codeIntegrity, "integrity", ""}
	case is(disposal.ErrInconclusive):
		return verdict{codeUnreachable, "inconclusive", "what could not be shown is not claimed: run the same again when the keeper answers"}
	case is(vault.ErrDestroyed, custody.ErrDestroyed):
		return verdict{codeDestroyed, "destroyed", ""}
	case is(disposal.ErrUndecided):
		return verdict{codeDependents, "undecided", ""}
	case is(disposal.ErrBadDecision, vault.ErrBadScope):
		return verdict{codeUsage, "usage", ""}
	case is(disposal.ErrRefused, disposal.ErrClock, keyring.ErrLapsed):
		return verdict{codeRefused, "refused", ""}
	case is(disposal.ErrUnknown):
		return verdict{codeNotFound, "not-found", "aivault decommission list shows what there is"}
	case is(vault.ErrUnfit, custody.ErrUnfit):
		return verdict{codeRefused, "unfit", "aivault doctor says what is missing and how to get it"}
	case is(vault.ErrGates):
		return verdict{codeRefused, "gates", "aivault attest and aivault approve give what is missing; --waive GATE --reason goes on without, on record"}
	case is(vault.ErrNoKnownGood):
		return verdict{codeRefused, "no-known-good", "what each version lacks is said above, and in --json of --dry-run; --to REF --reason decides otherwise, on record"}
	case is(vault.ErrRefused), kind == backends.Retained:
		return verdict{codeRefused, "refused", ""}
	case is(vault.ErrConflict, vault.ErrVaultExists):
		return verdict{codeConflict, "conflict", ""}
	case is(vault.ErrNoVault):
		return verdict{codeNoVault, "no-vault", "check --vault; aivault init makes a new one"}
	case is(vault.ErrNoAccess):
		return verdict{codeDenied, "not-a-member", "an admin can add you; send them what aivault identity show prints"}
	case is(keyring.ErrNoReader):
		return verdict{codeDenied, "not-a-reader", "who reads it can let you: aivault grant; aivault grant list says who"}
	case is(vault.ErrNotPermitted):
		return verdict{codeDenied, "role", "an admin gives roles: aivault member add"}
	case is(vault.ErrEmptyMain):
		return verdict{codeNotFound, "not-found", "name a version (@v1, @latest) or a channel; aivault show lists what there is"}
	case is(vault.ErrNoTensor):
		return verdict{codeNotFound, "no-tensor", "names are those in the weight files; * stands for anything: --tensor '*.bias'"}
	case is(vault.ErrNotFound):
		return verdict{codeNotFound, "not-found", "aivault list shows what there is"}
	case is(errPartial):
		return verdict{codePartial, "partial", ""}
	case store != nil && store.RetryAfter > 0, is(custody.ErrRateLimited):
		return verdict{codeRate, "rate", "wait, then run the same again; --jobs and --limit-rate ask for less"}
	case store != nil && store.Expired, is(credential.ErrExpired):
		return verdict{codeDenied, "credentials-expired", "log in again, then run the same again"}
	case is(credential.ErrNone):
		return verdict{codeDenied, "credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with profile= in the URL"}
	case is(seal.ErrNoMatch, custody.ErrDenied), kind == backends.Denied:
		return verdict{codeDenied, "denied", ""}
	case errors.As(err, &stopped):
		return verdict{stopped.code(), stopped.Error(), ""}
	case is(errTimeout):
		return verdict{codeUnreachable, "timeout", "run the same again: what is done already is not done twice"}
	case kind == backends.Unavailable, kind == backends.Indeterminate, is(custody.ErrUnavailable, credential.ErrUnavailable):
		return verdict{codeUnreachable, "unreachable", ""}
	case is(custody.ErrNotFound):
		return verdict{codeFailure, "key-not-found", "the keeper that --custody names never had this key: is it the vault's?"}
	case kind == backends.Full, is(syscall.ENOSPC):
		return verdict{codeFailure, "full", "make room, then run the same again"}
	case kind == backends.Archived:
		return verdict{codeFailure, "archived", "restore the object from its archive tier, then run the same again"}
	case is(errHook):
		return verdict{codeFailure, "hook", ""}
	case is(vault.ErrNoExchange):
		return verdict{codeFailure, "no-exchange", "--force replaces its files one by one; or pull to a new name with --link, below a mount point: it switches whole trees"}
	case is(vault.ErrNotLink):
		return verdict{codeFailure, "not-a-link", "move it away, or pull without --link"}
	case is(vault.ErrName):
		return verdict{codeFailure, "name", "pull into another file system, or leave that file out with --exclude"}
	case is(vault.ErrOverwrite):
		return verdict{codeFailure, "overwrite", "pull into an empty directory, or replace what differs with --force"}
	case is(vault.ErrChanged):
		return verdict{codeFailure, "changed", "run the same again when nobody writes to the files"}
	}
	return verdict{codeFailure, "failure", ""}
}

// judgeVoid says what the rule that an entry would break means to whoever wrote it.
func judgeVoid(v *state.Void) verdict {
	switch v.Rule {
	case state.RuleMember, state.RuleRole:
		return verdict{codeDenied, "role", "docs/roles.md says which act needs which role"}
	case state.RuleBody, state.RuleName:
		return verdict{codeUsage, "usage", ""}
	}
	return verdict{codeRefused, "refused", ""}
}

// report prints an error, if there is one, and returns the exit code. cause is
// why the command's context ended, nil if it did not.
func (r *run) report(err, cause error) int {
	if err == nil {
		return 0
	}
	v := judge(err)
	ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	var memory *memoryFailure
	if cause != nil && (errors.As(cause, &memory) || ended && (v.code == codeFailure || v.code == codeUnreachable)) {
		err, v = cause, judge(cause)
	}
	if v.code == codeNothing {
		return v.code
	}
	var h *hinted
	if errors.As(err, &h) {
		v.hint = h.hint
	}
	message := oneLine(err)
	if r.wantsJSON() {
		object := errorJSON{Schema: "aivault.error/1", Code: v.code, Kind: v.kind, Message: message, Hint: v.hint}
		if v.code == codeRate {
			object.RetryAfter = int64((retryAfter(err) + time.Second - 1) / time.Second)
		}
		_ = encode(r.sys.stderr, object)
		return v.code
	}
	switch {
	case v.hint != "" && strings.HasSuffix(message, "?"):
		message += " " + v.hint
	case v.hint != "":
		message += "; " + v.hint
	}
	fmt.Fprintln(r.sys.stderr, "aivault: "+message)
	return v.code
}

// retryAfter is how long a store or a keeper that limits a rate asks to wait, zero
// where it does not say.
func retryAfter(err error) time.Duration {
	var store *backends.Error
	var keeper *custody.RateLimit
	switch {
	case errors.As(err, &keeper):
		return keeper.RetryAfter
	case errors.As(err, &store):
		return store.RetryAfter
	}
	return 0
}

// errorJSON is an error for scripts.
type errorJSON struct {
	Schema     string `json:"schema"`
	Code       int    `json:"code"` // the exit code
	Kind       string `json:"kind"`
	Message    string `json:"message"`
	Hint       string `json:"hint,omitempty"`
	RetryAfter int64  `json:"retry_after,omitempty"` // seconds
}

// wantsJSON says whether --json is on, also where the settings could not be
// read, perhaps because of the very error to report.
func (r *run) wantsJSON() bool {
	if r.set.from != nil {
		return r.set.json
	}
	for _, a := range r.sys.args {
		switch a {
		case "--":
			return false
		case "--json", "--json=true", "--json=1":
			return true
		}
	}
	v, _ := r.sys.env("AIVAULT_JSON")
	return v == "true" || v == "1"
}

// oneLine is an error's text on one line, as safe as printable makes it.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	return printable(strings.Join(lines, "; "))
}
