// Command store is an example of a store plugin: a directory. Its CONFIG is the
// path of the directory.
package main

import (
	"context"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/dir"
	"github.com/aivault/aivault/plugins/sdk"
)

func main() {
	sdk.ServeStore("1.0.0", func(_ context.Context, c sdk.Config) (backends.Store, error) {
		if c.Create {
			return dir.Create(c.Text, time.Now)
		}
		return dir.Open(c.Text, time.Now)
	})
}
