package state

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Roles, in the words of ETSI EN 304 223 where it has them.
const (
	Pusher    = "pusher"    // pushes; reads nothing
	Developer = "developer" // pushes, registers, records
	Operator  = "operator"  // moves channels, approves, quarantines, holds
	Custodian = "custodian" // requests, approves and runs disposals
	Runner    = "runner"    // executes approved, due disposals and resumes rotations
	Auditor   = "auditor"   // journals and evidence; writes checkpoints alone
	Admin     = "admin"     // members, roles, policy, keepers, plugins
)

// Roles lists every role.
func Roles() []string {
	return []string{Pusher, Developer, Operator, Custodian, Runner, Auditor, Admin}
}

// anyMember stands in the table for acts that need membership alone.
const anyMember = "member"

// RoleTable says which roles permit which kind of entry. It is the only place
// that does; documentation is generated from it.
func RoleTable() map[string][]string {
	return map[string][]string{
		KindMemberAdd: {Admin}, KindMemberRemove: {Admin}, KindMemberRekey: {Admin}, KindMemberRotate: {anyMember},
		KindMemberSuspend: {Operator, Admin}, KindMemberResume: {Admin}, KindMemberTaint: {Operator, Admin}, KindMemberTraining: {Operator, Admin},
		KindGroup: {Admin}, KindRule: {Operator, Admin}, KindPolicy: {Admin}, KindCustody: {Admin}, KindPlugin: {Admin},
		KindDisposalRequest: {Custodian}, KindDisposalApprove: {Custodian}, KindDisposalCancel: {Custodian}, KindDisposalAccept: {Custodian},
		KindDisposalRemoved: {Custodian},
		KindCheckpoint:      {Operator, Custodian, Runner, Auditor, Admin},

		KindRegister: {Developer, Operator, Custodian}, KindReaders: {Developer, Operator, Custodian, Admin},
		KindIntent: {Developer, Operator, Custodian, Runner}, KindCandidate: {Developer, Operator, Custodian, Runner},
		KindActivate: {Developer, Operator, Custodian, Runner},
		KindVersion:  {Pusher, Developer}, KindChannel: {Operator}, KindCondemn: {Operator, Custodian, Runner},
		KindExecute: {Custodian, Runner}, KindCancel: {Custodian}, KindDestroyed: {Custodian, Runner}, KindPurged: {Custodian, Runner},
		KindVerified: {Custodian, Runner}, KindHold: {Operator, Custodian}, KindRelease: {Operator, Custodian},
		KindQuarantine: {Operator}, KindClear: {Operator}, KindPermit: {Operator}, KindApprove: {Operator}, KindWaive: {Operator}, KindAttest: {Developer, Operator, Custodian},
		KindTransfer: {Custodian},
		KindSkip:     {Operator, Admin}, KindFence: {anyMember},
	}
}

// permits reports whether a member's grants allow kind on the artefact called
// name ("" for the vault itself, where only vault-wide grants count).
func permits(grants []Grant, kind, name string) bool {
	roles := roleTable[kind]
	if slices.Contains(roles, anyMember) {
		return true
	}
	for _, g := range grants {
		if slices.Contains(roles, g.Role) && MatchGlob(g.Glob, name) {
			return true
		}
	}
	return false
}

var roleTable = RoleTable()

// MatchGlob reports whether an artefact's name matches a glob: "*" alone
// matches everything; otherwise path.Match, where "*" stays within a segment,
// and a trailing "/**" matches all below.
func MatchGlob(glob, name string) bool {
	if glob == "*" {
		return true
	}
	if name == "" {
		return false
	}
	if base, ok := strings.CutSuffix(glob, "/**"); ok {
		segments := strings.Split(name, "/")
		n := strings.Count(base, "/") + 1
		if len(segments) <= n {
			return false
		}
		glob, name = base, strings.Join(segments[:n], "/")
	}
	ok, err := path.Match(glob, name)
	return err == nil && ok
}

// CheckGlob refuses globs that MatchGlob could not use.
func CheckGlob(glob string) error {
	if glob == "*" {
		return nil
	}
	base := strings.TrimSuffix(glob, "/**")
	if len(glob) > MaxName || strings.Contains(base, "**") {
		return fmt.Errorf("glob %q: %w: \"**\" can only be the last part", glob, ErrBadName)
	}
	if err := CheckName(strings.NewReplacer("*", "x", "?", "x", "[", "x", "]", "x", "^", "x").Replace(base)); err != nil {
		return fmt.Errorf("glob %q: %w", glob, ErrBadName)
	}
	if _, err := path.Match(base, ""); err != nil {
		return fmt.Errorf("glob %q: %w", glob, ErrBadName)
	}
	return nil
}
