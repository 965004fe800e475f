//go:build linux && cgo

// Command aivault-plugin-pkcs11 is a keeper whose keys lie in a PKCS#11 token: an
// HSM, a smart card, SoftHSM. Its CONFIG is a URI of RFC 7512 (package token).
// It is built apart from aivault, for a token's library needs cgo.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-pkcs11/internal/token"
	"github.com/aivault/aivault/plugins/sdk"
)

const version = "1.0.0"

func main() {
	sdk.ServeKeeper(version, func(ctx context.Context, c sdk.Config) (custody.Keeper, error) { return open(ctx, c.Text) })
}

// open opens the keeper in the token that a URI names. There is nothing to make:
// a token is initialised with its vendor's tools.
func open(ctx context.Context, uri string) (custody.Keeper, error) {
	k, err := token.Open(ctx, token.Options{URI: uri, Lookup: os.LookupEnv, Now: time.Now})
	if err != nil {
		return nil, err
	}
	return k, nil
}
