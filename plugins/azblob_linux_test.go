package plugins_test

import (
	"context"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/plugins/aivault-plugin-azblob/azblob"
)

func azblobFixture(t *testing.T) fixture {
	a := servers.Azurite(t)
	return fixture{
		config: a.Endpoint + "/vault/models", env: environ("AZURE_STORAGE_KEY", a.Key),
		store: func(ctx context.Context, config string, create bool) (backends.Store, error) {
			return azblob.Open(ctx, azblob.Options{Location: config, Credentials: azblob.Credentials{Key: a.Key}, Create: create, Now: time.Now})
		},
	}
}
