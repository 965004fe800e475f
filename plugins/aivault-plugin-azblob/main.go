// Command aivault-plugin-azblob is a store in Azure Blob Storage. Its CONFIG is
// the URL of a container, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX].
// Credentials come from AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_SAS_TOKEN or
// AZURE_STORAGE_KEY, else from the identity that Azure gives the process.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/aivault-plugin-azblob/azblob"
	"github.com/aivault/aivault/plugins/sdk"
)

func main() {
	sdk.ServeStore("1.0.0", func(ctx context.Context, c sdk.Config) (backends.Store, error) {
		return azblob.Open(ctx, azblob.Options{Location: c.Text, Create: c.Create, Now: time.Now, Credentials: azblob.Credentials{
			ConnectionString: os.Getenv("AZURE_STORAGE_CONNECTION_STRING"), SAS: os.Getenv("AZURE_STORAGE_SAS_TOKEN"), Key: os.Getenv("AZURE_STORAGE_KEY"),
		}})
	})
}
