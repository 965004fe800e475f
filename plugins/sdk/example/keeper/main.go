// Command keeper is an example of a keeper plugin: keys in files of a directory
// that only its owner may enter. Its CONFIG is the path of the directory.
package main

import (
	"context"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/local"
	"github.com/aivault/aivault/plugins/sdk"
)

func main() {
	sdk.ServeKeeper("1.0.0", func(_ context.Context, c sdk.Config) (custody.Keeper, error) {
		if c.Create {
			return local.Init(c.Text, time.Now)
		}
		return local.Open(c.Text, time.Now)
	})
}
