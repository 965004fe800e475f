package plugins_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-awskms/awskms"
	"github.com/aivault/aivault/plugins/aivault-plugin-awskms/awskmstest"
)

// The server is a double: no AWS can be had here.
func awskmsFixture(t *testing.T) fixture {
	server := httptest.NewServer(awskmstest.New(time.Now))
	t.Cleanup(server.Close)
	variables := []string{"AWS_ACCESS_KEY_ID", "test", "AWS_SECRET_ACCESS_KEY", "test", "AWS_EC2_METADATA_DISABLED", "true"}
	for i := 0; i < len(variables); i += 2 {
		t.Setenv(variables[i], variables[i+1])
	}
	return fixture{
		config: "eu-central-1/models?endpoint=" + url.QueryEscape(server.URL), env: environ(variables...),
		keeper: func(ctx context.Context, config string, create bool) (custody.Keeper, error) {
			return awskms.Open(ctx, awskms.Options{Location: config, Create: create, Now: time.Now})
		},
	}
}
