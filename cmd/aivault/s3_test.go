package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/integration/weights"
)

// TestS3 runs scripts against a vault in one S3 server and its keeper in
// another, under credentials of their own.
func TestS3(t *testing.T) {
	vault := servers.VersityGW(t, servers.Options{TLS: true})
	keeper := servers.VersityGW(t, servers.Options{AccessKey: "keeperaccess", SecretKey: "keepersecret456"})
	vault.MakeBucket(t, "models", false, false)
	keeper.MakeBucket(t, "keys", false, false)
	params := func(prefix string, more ...[2]string) testscript.Params {
		return testscript.Params{
			RequireExplicitExec: true,
			RequireUniqueNames:  true,
			Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
			Setup: func(e *testscript.Env) error {
				home := filepath.Join(e.WorkDir, "home")
				for _, kv := range append([][2]string{
					{"HOME", home}, {"XDG_CONFIG_HOME", filepath.Join(home, "config")}, {"XDG_STATE_HOME", filepath.Join(home, "state")},
					{"VAULT_URL", vault.URL("models", prefix)}, {"KEYS_URL", keeper.URL("keys", prefix)}, {"CA_FILE", vault.CAFile},
					{"ACCESS_KEY", vault.AccessKey}, {"SECRET_KEY", vault.SecretKey},
					{"KEEPER_ACCESS_KEY", keeper.AccessKey}, {"KEEPER_SECRET_KEY", keeper.SecretKey},
					{"AWS_EC2_METADATA_DISABLED", "true"},
				}, more...) {
					e.Setenv(kv[0], kv[1])
				}
				return os.MkdirAll(home, 0o700)
			},
		}
	}
	p := params("team/vault")
	p.Dir = filepath.Join("testdata", "s3")
	testscript.Run(t, p)
	q := params("shared", [2]string{"WEIGHTS", weights.HumanModels(t)}, [2]string{"CUSTODY", "object:" + keeper.URL("keys", "shared")}, [2]string{"AIVAULT_CA_FILE", vault.CAFile},
		[2]string{"AWS_ACCESS_KEY_ID", vault.AccessKey}, [2]string{"AWS_SECRET_ACCESS_KEY", vault.SecretKey},
		[2]string{"AIVAULT_CUSTODY_AWS_ACCESS_KEY_ID", keeper.AccessKey}, [2]string{"AIVAULT_CUSTODY_AWS_SECRET_ACCESS_KEY", keeper.SecretKey})
	q.Files = shared
	testscript.Run(t, q)
}
