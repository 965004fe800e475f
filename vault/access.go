package vault

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aivault/aivault/vault/state"
)

// Access is what a role's credentials need to be able to do, and no more. What a
// member may write is decided by their keys and by every reader; credentials
// only narrow what a stolen one can spoil.
type Access struct {
	Role string // "": a member without a role, such as a serving host
	// Put lists patterns of keys, below the vault's prefix, that it writes, each
	// only if the key is free. "*" stands for anything.
	Put      []string
	Erase    []string // likewise, keys that it erases: of who purges and collects garbage, and of who measures a store
	Examine  bool     // it reads the bucket's configuration and the versions of objects
	Keeper   []string // operations of the keeper: methods of custody.Keeper
	KeeperOf string   // one sentence on them
}

// writes says which keys the entries of a kind come with, the entry's own aside.
func writes() map[string][]string {
	epoch := []string{"a/*/e/*"}
	members := []string{"meta/*", "doc/*", "prop/*"}
	return map[string][]string{
		state.KindReaders: {"a/*/g/*", "doc/*"}, state.KindIntent: epoch, state.KindCandidate: epoch, state.KindActivate: epoch,
		state.KindVersion: {"a/*/v/*"}, state.KindDestroyed: {"doc/*"}, state.KindVerified: {"doc/*", "cert/*"}, state.KindDisposalRequest: {"doc/*"}, state.KindDisposalRemoved: {"doc/*"},
		state.KindCheckpoint: {"doc/*", "wit/*"}, state.KindAttest: {"doc/*"},
		state.KindMemberAdd: members, state.KindMemberRemove: members, state.KindMemberRekey: members, state.KindMemberResume: {"prop/*"},
		state.KindGroup: {"grp/*", "doc/*", "prop/*"}, state.KindPolicy: {"prop/*"}, state.KindCustody: {"prop/*"}, state.KindPlugin: {"prop/*"},
	}
}

// AccessOf returns what the credentials of a role need, as the role table has
// it. Who requests disposals does not carry them out, so that a custodian's
// credentials neither erase nor destroy. ErrNotFound: there is no such role.
func AccessOf(role string) (*Access, error) {
	if role != "" && !slices.Contains(state.Roles(), role) {
		return nil, fmt.Errorf("there is no role %q, there are %v: %w", role, state.Roles(), ErrNotFound)
	}
	a := &Access{Role: role}
	put := map[string]bool{}
	may := func(kind string) bool { return slices.Contains(state.RoleTable()[kind], role) }
	for kind := range state.RoleTable() {
		if !may(kind) {
			continue
		}
		own := "a/*/log/*"
		if state.InVault(kind) {
			own = "log/*"
		}
		put[own] = true
		if role == state.Admin {
			put["a/*/log/*"] = true // fences
		}
		for _, pattern := range writes()[kind] {
			put[pattern] = true
		}
	}
	if may(state.KindCondemn) && role != state.Custodian {
		a.Erase = []string{"a/*/e/*", "a/*/rc/*", "a/*/v/*", "probe/*"} // no journal, document or certificate
	}
	if role == state.Admin {
		a.Erase = []string{"probe/*"}
	}
	if len(a.Erase) > 0 {
		put["probe/*"] = true // the storage is asked for its time, or measured
	}
	a.Examine = len(a.Erase) > 0 || role == state.Custodian || role == state.Auditor || role == state.Admin
	switch {
	case may(state.KindIntent):
		a.Keeper, a.KeeperOf = []string{"Profile", "Status", "Create", "Wrap", "Unwrap"}, "makes keys and opens what they wrap"
	case role == "":
		a.Keeper, a.KeeperOf = []string{"Profile", "Unwrap"}, "opens what it may read"
	case role == state.Admin || role == state.Auditor:
		a.Keeper, a.KeeperOf = []string{"Profile", "Status"}, "sees which keys there are"
	default:
		a.KeeperOf = "needs no access to the keeper"
	}
	if slices.Contains(a.Keeper, "Unwrap") && role != state.Runner {
		put["a/*/rc/*"] = true // receipts of pulls
	}
	a.Put = slices.Sorted(maps.Keys(put))
	if role == state.Runner {
		a.Keeper, a.KeeperOf = append(a.Keeper, "List", "Destroy"), "the only one that destroys: whoever steals it can destroy keys, and read nothing"
	}
	return a, nil
}
