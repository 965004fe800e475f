//go:build linux

// Command aivault-plugin-tpm is a keeper whose keys a TPM 2.0 of this machine
// holds the key to. Its CONFIG is attributes (package tpm).
package main

import (
	"context"
	"os"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-tpm/internal/tpm"
	"github.com/aivault/aivault/plugins/sdk"
)

const version = "1.0.0"

func main() {
	sdk.ServeKeeper(version, func(ctx context.Context, c sdk.Config) (custody.Keeper, error) { return open(ctx, c.Text, c.Create) })
}

func open(ctx context.Context, config string, create bool) (custody.Keeper, error) {
	k, err := tpm.Open(ctx, tpm.Options{Config: config, Create: create, Lookup: os.LookupEnv, Now: time.Now})
	if err != nil {
		return nil, err
	}
	return k, nil
}
