//go:build full

package integration_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/vault/state"
)

// limited is a member whose credentials may do what `doctor --policy` prints for
// their role, and nothing else.
type limited struct {
	*home
	storage *minio.Client
	role    string
}

// TestMinIOPolicies gives every role credentials with the policies that doctor
// prints for it, lets it do its work with them, and sees the server refuse the
// rest.
func TestMinIOPolicies(t *testing.T) {
	server := servers.MinIO(t, servers.Options{})
	for _, bucket := range []string{"models", "keys"} {
		server.MakeBucket(t, bucket, false, false)
	}
	location, custody := server.URL("models", "team"), "object:"+server.URL("keys", "")
	place := []string{"AIVAULT_VAULT=" + location, "AIVAULT_CUSTODY=" + custody}
	root := newHome(t, slices.Concat(server.Environ(""), server.Environ("AIVAULT_CUSTODY_"), place)...)
	genesis := root.json(t, 0, "init", location, "--custody", custody, "--member", "root")["genesis"].(string)
	place = append(place, "AIVAULT_GENESIS="+genesis)

	who := map[string]*limited{}
	for _, role := range append(state.Roles(), "reader", "custodian2") {
		of := strings.TrimSuffix(role, "2")
		p := &limited{home: newHome(t, place...), role: of}
		if err := os.MkdirAll(filepath.Dir(p.identity()), 0o700); err != nil {
			t.Fatal(err)
		}
		line := p.json(t, 0, "identity", "new", p.identity())["public"].(string)
		args := []string{"member", "add", role, "--key", line}
		if of != "reader" {
			args = append(args, "--role", of)
		}
		root.run(t, 0, args...)
		access := root.json(t, 0, "doctor", location, "--policy", of, "--no-write-once")["access"].(map[string]any)
		p.storage = p.assume(t, server, access["storage"], "")
		if keeper := access["keeper"]; keeper != nil {
			p.assume(t, server, keeper, "AIVAULT_CUSTODY_")
		}
		who[role] = p
	}
	model, model2 := modelDirectory(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(model2, "config.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	root.run(t, 0, "push", "m", model)
	root.run(t, 0, "grant", "m", "developer", "reader")

	t.Run("work", func(t *testing.T) {
		who["developer"].run(t, 0, "push", "m", model2)
		who["developer"].run(t, 0, "push", "of-the-developer", model2)
		who["pusher"].run(t, 0, "push", "m", model)
		if pulled := who["reader"].json(t, 0, "pull", "m@v1", t.TempDir()+"/out"); pulled["receipt"] != "left" {
			t.Errorf("a pull left no receipt: %v", pulled)
		}
		who["operator"].run(t, 0, "hold", "place", "m@v3", "--reason", "case 1")
		who["admin"].run(t, 0, "member", "suspend", "pusher")
		who["admin"].run(t, 0, "policy", "set", "approvals=1")
		id := who["custodian"].json(t, 0, "decommission", "request", "m@v2", "--reason", "superseded")
		who["custodian2"].run(t, 0, "decommission", "approve", id["id"].(string), "--plan", id["plan_digest"].(string))
		who["runner"].run(t, 0, "decommission", "run", "--due")
		who["runner"].run(t, 0, "gc")
		who["auditor"].run(t, 0, "audit", "verify")
		who["auditor"].run(t, 0, "audit", "checkpoint")
		who["custodian"].run(t, 0, "decommission", "certificate", id["id"].(string))
		root.run(t, 0, "verify", "--full")
		who["reader"].run(t, 14, "pull", "m@v2", t.TempDir()+"/out")
	})
	for name, p := range who {
		t.Run(name+" and no more", func(t *testing.T) { p.noMore(t, server) })
	}
}

// assume takes credentials with a policy for a prefix of the environment.
func (p *limited) assume(t *testing.T, server *servers.S3, policy any, prefix string) *minio.Client {
	t.Helper()
	document, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	sts, err := credentials.NewSTSAssumeRole("http://"+server.Endpoint, credentials.STSAssumeRoleOptions{
		AccessKey: server.AccessKey, SecretKey: server.SecretKey, Policy: string(document), Location: servers.Region, DurationSeconds: 3600})
	if err != nil {
		t.Fatal(err)
	}
	v, err := sts.GetWithContext(nil)
	if err != nil {
		t.Fatalf("%s, with a policy of %d bytes: %v\n%s", p.role, len(document), err, document)
	}
	p.env = append(p.env, prefix+"AWS_ACCESS_KEY_ID="+v.AccessKeyID, prefix+"AWS_SECRET_ACCESS_KEY="+v.SecretAccessKey, prefix+"AWS_SESSION_TOKEN="+v.SessionToken, "AWS_EC2_METADATA_DISABLED=true")
	c, err := minio.New(server.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(v.AccessKeyID, v.SecretAccessKey, v.SessionToken), Region: servers.Region, BucketLookup: minio.BucketLookupPath})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// noMore tries what a stolen credential must not do.
func (p *limited) noMore(t *testing.T, server *servers.S3) {
	ctx := t.Context()
	denied := func(what string, err error) {
		t.Helper()
		if minio.ToErrorResponse(err).Code != "AccessDenied" {
			t.Errorf("%s: %v", what, err)
		}
	}
	put := func(bucket, key string, once bool) error {
		var o minio.PutObjectOptions
		if once {
			o.SetMatchETagExcept("*")
		}
		o.DisableMultipart = true
		_, err := p.storage.PutObject(ctx, bucket, key, bytes.NewReader([]byte("x")), 1, o)
		return err
	}
	var slot string
	for o := range server.Client(t).ListObjects(ctx, "models", minio.ListObjectsOptions{Prefix: "team/log/", Recursive: true}) {
		slot = o.Key
	}
	denied("another prefix", put("models", "elsewhere/x", true))
	denied("the keys", put("keys", "x", true))
	denied("a key that no role writes", put("models", "team/junk", true))
	denied("deleting the first slot", p.storage.RemoveObject(ctx, "models", slot, minio.RemoveObjectOptions{}))
	if p.role == "reader" || p.role == state.Pusher || p.role == state.Runner {
		denied("a metadata identity", put("models", "team/meta/x", true))
	}
	for _, err := range collect(p.storage.ListObjects(ctx, "keys", minio.ListObjectsOptions{})) {
		denied("listing the keys", err)
	}
}

func collect(objects <-chan minio.ObjectInfo) (errs []error) {
	for o := range objects {
		errs = append(errs, o.Err)
	}
	return errs
}
