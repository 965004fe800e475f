package plugins_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-transit/transit"
	"github.com/aivault/aivault/plugins/aivault-plugin-transit/transittest"
)

// The server is a double: no Vault and no OpenBao can be had here.
func transitFixture(t *testing.T) fixture {
	s := transittest.New(time.Now)
	s.AddToken("all")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return fixture{
		config: server.URL + "/" + transittest.Mount, env: environ("VAULT_TOKEN", "all"),
		keeper: func(ctx context.Context, config string, create bool) (custody.Keeper, error) {
			return transit.Open(ctx, transit.Options{Location: config, Login: transit.Login{Token: "all"}, Create: create, Now: time.Now})
		},
	}
}
