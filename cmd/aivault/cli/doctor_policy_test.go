package cli

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// strictPolicy is what AWS takes, as far as these policies go; nothing else is
// let through.
type strictPolicy struct {
	Version   string
	Statement []struct {
		Sid       string
		Effect    string
		Principal *struct{ AWS string }
		Action    []string
		Resource  []string
		Condition map[string]map[string][]string
	}
}

var bucketActions = []string{"s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation", "s3:GetBucketObjectLockConfiguration",
	"s3:GetBucketVersioning", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration"}

var objectActions = []string{"s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"}

// TestAccessPolicies parses the policy of every role strictly, and holds it to
// what must never be in it.
func TestAccessPolicies(t *testing.T) {
	for _, role := range append(state.Roles(), "") {
		for _, arn := range []string{"", "arn:aws:iam::123456789012:role/x"} {
			a, err := vault.AccessOf(role)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(bucketAccess{"models", "team/vault", arn, true, a.Examine, a.Put, a.Erase, false}.document())
			if err != nil {
				t.Fatal(err)
			}
			var p strictPolicy
			d := json.NewDecoder(bytes.NewReader(text))
			d.DisallowUnknownFields()
			if err := d.Decode(&p); err != nil || p.Version != "2012-10-17" {
				t.Fatalf("%s: %v: %s", role, err, text)
			}
			sids := map[string]bool{}
			writeOnce, erases := false, false
			for _, s := range p.Statement {
				if sids[s.Sid] || s.Sid == "" || s.Effect != "Allow" && s.Effect != "Deny" || len(s.Action) == 0 || len(s.Resource) == 0 || (s.Principal != nil) != (arn != "") {
					t.Errorf("%s: statement %+v", role, s)
				}
				sids[s.Sid] = true
				for _, action := range s.Action {
					onBucket := slices.Contains(bucketActions, action)
					if !onBucket && !slices.Contains(objectActions, action) {
						t.Errorf("%s: action %s", role, action)
					}
					for _, r := range s.Resource {
						if onBucket && r != "arn:aws:s3:::models" || !onBucket && !strings.HasPrefix(r, "arn:aws:s3:::models/team/vault/") {
							t.Errorf("%s: %s on %s", role, action, r)
						}
						if s.Effect == "Allow" && strings.HasPrefix(action, "s3:Delete") && r != "arn:aws:s3:::models/team/vault/probe/*" {
							erases = true
							if below := strings.TrimPrefix(r, "arn:aws:s3:::models/team/vault/"); !slices.Contains([]string{"a/*/e/*", "a/*/rc/*", "a/*/v/*"}, below) {
								t.Errorf("%s may erase %s", role, below)
							}
						}
					}
				}
				writeOnce = writeOnce || s.Effect == "Deny" && slices.Equal(s.Action, []string{"s3:PutObject"}) && slices.Equal(s.Condition["Null"]["s3:if-none-match"], []string{"true"})
			}
			if !writeOnce || erases != (role == state.Operator || role == state.Runner) {
				t.Errorf("%s: write-once %v, erases %v", role, writeOnce, erases)
			}
			if destroys := slices.Contains(a.Keeper, "Destroy"); destroys != (role == state.Runner) {
				t.Errorf("%s: its keeper credential destroys: %v", role, destroys)
			}
		}
	}
	for role, want := range map[string][]string{"": {"a/*/rc/*"}, state.Auditor: {"doc/*", "log/*", "wit/*"}, state.Pusher: {"a/*/log/*", "a/*/v/*"}} {
		if a, _ := vault.AccessOf(role); !slices.Equal(a.Put, want) {
			t.Errorf("%q may put %v, want %v", role, a.Put, want)
		}
	}
	if a, _ := vault.AccessOf(state.Pusher); len(a.Keeper) != 0 {
		t.Errorf("a pusher's keeper credential: %v", a.Keeper)
	}
}
