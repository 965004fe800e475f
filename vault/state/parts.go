package state

import (
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Object binds a stored object: its key below the vault's prefix and the
// SHA-256 of its bytes as stored.
type Object struct {
	Key    string           `json:"key"`
	SHA256 canonical.Digest `json:"sha256"`
}

// Metadata binds a metadata identity: the object meta/<mid> and the recipient
// that journals and references are sealed to while it is the newest.
type Metadata struct {
	MID       canonical.ID     `json:"mid"`
	Recipient string           `json:"recipient"`
	SHA256    canonical.Digest `json:"sha256"` // of the object
}

// Keeper pins one keeper instance. Where it is reached is each machine's own
// configuration.
type Keeper struct {
	Instance string `json:"instance"`
	Kind     string `json:"kind"`
}

// Custody modes.
const (
	AnyOf = "any-of" // the seed is wrapped by each keeper; gone when every one has destroyed its key
	AllOf = "all-of" // each keeper wraps a share; gone when one has destroyed its key
)

// Custody says which keepers wrap the epochs of a vault.
type Custody struct {
	Mode    string   `json:"mode"`
	Keepers []Keeper `json:"keepers"`
}

// Has reports whether a keeper is one of them.
func (c Custody) Has(instance string) bool {
	return slices.ContainsFunc(c.Keepers, func(k Keeper) bool { return k.Instance == instance })
}

// Policy is what the members agreed on.
type Policy struct {
	Approvals   int         `json:"approvals"`           // custodians, other than the requester, who must approve a disposal
	AdminQuorum int         `json:"admin_quorum"`        // admins who must sign an entry that changes members, roles or policy
	Grace       Duration    `json:"grace,omitzero"`      // a disposal waits at least so long from its request
	Retention   []Retention `json:"retention,omitempty"` // sorted by class, each once
	Receipts    string      `json:"receipts,omitempty"`  // of pulls; "": best-effort, and required where confidential
	// Witnesses are the verifier keys (vault/FORMAT.md §9.3) whose cosignatures members trust.
	Witnesses    []string      `json:"witnesses,omitempty"`
	MaxStaleness Duration      `json:"max_staleness,omitzero"` // how old the newest cosignature may be when content is read; zero: any age
	Channels     []Requirement `json:"channels,omitempty"`     // gates, and what a channel may fall back to
}

// Grant gives a role, everywhere or for artefacts that match a glob.
type Grant struct {
	Role string `json:"role"`
	Glob string `json:"glob"` // "*" alone: vault-wide
}

// MemberSpec describes a member as an admin enters them.
type MemberSpec struct {
	Name    string     `json:"name"`
	Key     string     `json:"key"` // the public line
	Roles   []Grant    `json:"roles"`
	Env     string     `json:"env,omitempty"`    // environment label
	Person  string     `json:"person,omitempty"` // name, function, organisation; quoted in certificates
	Expires entry.Time `json:"expires,omitzero"`
}
