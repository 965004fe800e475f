package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// readerRole stands for a member without a role.
const readerRole = "reader"

type accessJSON struct {
	Role             string      `json:"role"`
	Storage          policyDoc   `json:"storage"`
	KeeperOperations []string    `json:"keeper_operations"`
	Keeper           *policyDoc  `json:"keeper,omitempty"`  // of the first keeper that is a bucket
	Keepers          []policyDoc `json:"keepers,omitempty"` // where several are: of each
}

// policyDoc is a document in AWS's policy language. Its field names are not ours.
type policyDoc map[string]any

type statement struct {
	Sid       string
	Effect    string
	Principal *principal `json:",omitempty"`
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

type principal struct{ AWS string }

// bucketAccess is what a policy says of one bucket.
type bucketAccess struct {
	bucket, prefix string
	principal      string
	get, examine   bool
	put, erase     []string // patterns of keys below the prefix
	overwrites     bool     // the server does not know the condition that forbids it
}

// document writes the policy: reading and listing below the prefix; puts that
// must not overwrite; erasing, of versions too, for who does that.
func (b bucketAccess) document() policyDoc {
	arn, below := "arn:aws:s3:::"+b.bucket, ""
	if b.prefix != "" {
		below = strings.Trim(b.prefix, "/") + "/"
	}
	object := func(pattern string) string { return arn + "/" + below + pattern }
	var out []statement
	add := func(s statement) {
		if b.principal != "" {
			s.Principal = &principal{b.principal}
		}
		out = append(out, s)
	}
	list := []string{"s3:ListBucket"}
	if b.examine {
		list = append(list, "s3:ListBucketVersions")
	}
	add(statement{Sid: "List", Effect: "Allow", Action: list, Resource: []string{arn}, Condition: map[string]map[string][]string{"StringLike": {"s3:prefix": {below + "*"}}}})
	if b.examine {
		add(statement{Sid: "Examine", Effect: "Allow", Action: []string{"s3:GetBucketLocation", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration"}, Resource: []string{arn}})
	}
	if b.get {
		read := []string{"s3:GetObject"}
		if b.examine {
			read = append(read, "s3:GetObjectRetention", "s3:GetObjectVersion")
		}
		add(statement{Sid: "Read", Effect: "Allow", Action: read, Resource: []string{object("*")}})
	}
	objects := func(patterns []string) (out []string) {
		for _, p := range patterns {
			out = append(out, object(p))
		}
		return out
	}
	if len(b.put) > 0 {
		add(statement{Sid: "Write", Effect: "Allow", Action: []string{"s3:PutObject"}, Resource: objects(b.put)})
	}
	if !b.overwrites {
		add(statement{Sid: "WriteOnce", Effect: "Deny", Action: []string{"s3:PutObject"}, Resource: []string{object("*")},
			Condition: map[string]map[string][]string{"Null": {"s3:if-none-match": {"true"}}}})
	}
	erase := []string{"s3:DeleteObject", "s3:DeleteObjectVersion"}
	if len(b.erase) > 0 {
		add(statement{Sid: "Erase", Effect: "Allow", Action: erase, Resource: objects(b.erase)})
	} else {
		add(statement{Sid: "NeverErase", Effect: "Deny", Action: erase, Resource: []string{object("*")}})
	}
	return policyDoc{"Version": "2012-10-17", "Statement": out}
}

// printAccess prints what the credentials of a role need. It asks nobody.
func (c *call) printAccess(p place) error {
	role := c.flags.String("policy")
	named := role
	if role == readerRole {
		named = ""
	}
	a, err := vault.AccessOf(named)
	if err != nil || role == "" {
		return usage("--policy %q: there are %s and %s", role, strings.Join(state.Roles(), ", "), readerRole)
	}
	if p.at.Dir != "" || p.at.Plugin.Name != "" {
		return usage("--policy is for a vault in a bucket; a directory has its file system's permissions, a plugin's storage its own")
	}
	arn, overwrites := c.flags.String("principal"), c.flags.Bool("no-write-once")
	object := accessJSON{Role: role, KeeperOperations: nonNil(a.Keeper),
		Storage: bucketAccess{p.at.S3.Bucket, p.at.S3.Prefix, arn, true, a.Examine, a.Put, a.Erase, overwrites}.document()}
	if spec, err := c.custodySpec(p); err == nil {
		for _, k := range spec.Keepers {
			if k.Store != nil && k.Store.Dir == "" {
				object.Keepers = append(object.Keepers, keeperAccess(k, arn, a.Keeper, overwrites))
			}
		}
	}
	if len(object.Keepers) > 0 {
		object.Keeper = &object.Keepers[0]
	}
	if len(object.Keepers) == 1 {
		object.Keepers = nil
	}
	text, err := json.MarshalIndent(object.Storage, "", "  ")
	if err != nil {
		return err
	}
	err = c.out.result(doctorJSON{Schema: c.out.schema(), Access: &object, Checks: []checkJSON{}, Keepers: []keeperJSON{}}, string(text), func(w io.Writer) { fmt.Fprintf(w, "%s\n", text) })
	if overwrites {
		c.note("Without WriteOnce a stolen credential can overwrite what it may write: every reader notices, but only a bucket that keeps versions has what stood there before")
	}
	c.note("Keeper: %s; operations: %s", a.KeeperOf, orDash(strings.Join(a.Keeper, ", ")))
	return err
}

// keeperAccess is the policy of a keeper's bucket: making a key is a put,
// using one a read, destroying one an erasure.
func keeperAccess(spec naming.Keeper, arn string, operations []string, overwrites bool) policyDoc {
	b := bucketAccess{bucket: spec.Store.S3.Bucket, prefix: spec.Store.S3.Prefix, principal: arn, examine: true, overwrites: overwrites}
	for _, op := range operations {
		switch op {
		case "Profile", "Status", "Wrap", "Unwrap":
			b.get = true
		case "Create":
			b.put = []string{"*"}
		case "Destroy":
			b.erase = []string{"*"}
		}
	}
	return b.document()
}
