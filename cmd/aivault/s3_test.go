package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/aivault/aivault/integration/servers"
)

// TestS3 runs scripts against a vault in one S3 server and its keeper in
// another, under credentials of their own.
func TestS3(t *testing.T) {
	vault := servers.VersityGW(t, servers.Options{TLS: true})
	keeper := servers.VersityGW(t, servers.Options{AccessKey: "keeperaccess", SecretKey: "keepersecret456"})
	vault.MakeBucket(t, "models", false, false)
	keeper.MakeBucket(t, "keys", false, false)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "s3"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			for _, kv := range [][2]string{
				{"HOME", home}, {"XDG_CONFIG_HOME", filepath.Join(home, "config")}, {"XDG_STATE_HOME", filepath.Join(home, "state")},
				{"VAULT_URL", vault.URL("models", "team/vault")}, {"KEYS_URL", keeper.URL("keys", "")}, {"CA_FILE", vault.CAFile},
				{"ACCESS_KEY", vault.AccessKey}, {"SECRET_KEY", vault.SecretKey},
				{"KEEPER_ACCESS_KEY", keeper.AccessKey}, {"KEEPER_SECRET_KEY", keeper.SecretKey},
				{"AWS_EC2_METADATA_DISABLED", "true"},
			} {
				e.Setenv(kv[0], kv[1])
			}
			return os.MkdirAll(home, 0o700)
		},
	})
}
