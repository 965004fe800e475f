// Command aivault-plugin-transit keeps keys in the transit engine of HashiCorp
// Vault or OpenBao. Its CONFIG is https://HOST[:PORT]/MOUNT with the parameters
// namespace, auth, auth-path and role. It reads VAULT_TOKEN, or VAULT_ROLE_ID and
// VAULT_SECRET_ID, or the token of its Kubernetes service account (whose file
// VAULT_K8S_TOKEN_FILE may name), and VAULT_CACERT.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-transit/transit"
	"github.com/aivault/aivault/plugins/sdk"
)

func main() {
	sdk.ServeKeeper("1.0.0", func(ctx context.Context, c sdk.Config) (custody.Keeper, error) {
		o := transit.Options{Location: c.Text, Create: c.Create, Now: time.Now, Login: transit.Login{
			Token: os.Getenv("VAULT_TOKEN"), RoleID: os.Getenv("VAULT_ROLE_ID"), SecretID: os.Getenv("VAULT_SECRET_ID"),
			JWT: func() (string, error) {
				file := cmp.Or(os.Getenv("VAULT_K8S_TOKEN_FILE"), "/var/run/secrets/kubernetes.io/serviceaccount/token")
				token, err := os.ReadFile(file)
				return string(token), err
			},
		}}
		if file := os.Getenv("VAULT_CACERT"); file != "" {
			var err error
			if o.CA, err = os.ReadFile(file); err != nil {
				return nil, fmt.Errorf("VAULT_CACERT: %w: %w", custody.ErrInvalid, err)
			}
		}
		return transit.Open(ctx, o)
	})
}
