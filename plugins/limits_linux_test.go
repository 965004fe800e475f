package plugins_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-awskms/awskms"
	"github.com/aivault/aivault/plugins/aivault-plugin-awskms/awskmstest"
	"github.com/aivault/aivault/plugins/aivault-plugin-transit/transit"
	"github.com/aivault/aivault/plugins/aivault-plugin-transit/transittest"
)

// What a keeper's limit on reading denies is an error of its own with a time to
// come again, in every way in which a keeper is used; and reading goes on after it.
func TestLimitsOnReading(t *testing.T) {
	engine := transittest.New(time.Now)
	engine.AddToken("all")
	vault := httptest.NewServer(engine)
	defer vault.Close()
	aws := awskmstest.New(time.Now)
	region := httptest.NewServer(aws)
	defer region.Close()
	variables := []string{"AWS_ACCESS_KEY_ID", "test", "AWS_SECRET_ACCESS_KEY", "test", "AWS_EC2_METADATA_DISABLED", "true"}
	for i := 0; i < len(variables); i += 2 {
		t.Setenv(variables[i], variables[i+1])
	}
	for plugin, c := range map[string]struct {
		fixture fixture
		limit   func(on bool)
		want    time.Duration
	}{
		"aivault-plugin-transit": {fixture{
			config: vault.URL + "/" + transittest.Mount, env: environ("VAULT_TOKEN", "all"),
			keeper: func(ctx context.Context, config string, create bool) (custody.Keeper, error) {
				return transit.Open(ctx, transit.Options{Location: config, Login: transit.Login{Token: "all"}, Create: create, Now: time.Now})
			},
		}, func(on bool) {
			if engine.Limit(-1, 0); on {
				engine.Limit(0, 90*time.Second)
			}
		}, 90 * time.Second},
		"aivault-plugin-awskms": {fixture{
			config: "eu-central-1/models?endpoint=" + url.QueryEscape(region.URL), env: environ(variables...),
			keeper: func(ctx context.Context, config string, create bool) (custody.Keeper, error) {
				return awskms.Open(ctx, awskms.Options{Location: config, Create: create, Now: time.Now})
			},
		}, func(on bool) { aws.Throttle("Decrypt", on) }, time.Second},
	} {
		for _, way := range ways {
			t.Run(plugin+"/"+way.name, func(t *testing.T) {
				k := way.open(t, plugin, c.fixture, true).keeper
				ref, err := k.Create(t.Context(), "e-"+way.name)
				if err != nil {
					t.Fatal(err)
				}
				wrapped, err := k.Wrap(t.Context(), ref, [32]byte{}, []byte("secret"))
				if err != nil {
					t.Fatal(err)
				}
				c.limit(true)
				_, err = k.Unwrap(t.Context(), ref, [32]byte{}, wrapped)
				var limit *custody.RateLimit
				if !errors.As(err, &limit) || limit.RetryAfter != c.want || errors.Is(err, custody.ErrDenied) || errors.Is(err, custody.ErrDestroyed) {
					t.Errorf("limited: %v", err)
				}
				c.limit(false)
				if _, err := k.Unwrap(t.Context(), ref, [32]byte{}, wrapped); err != nil {
					t.Errorf("after it: %v", err)
				}
			})
		}
	}
}
