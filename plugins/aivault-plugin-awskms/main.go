// Command aivault-plugin-awskms keeps keys in AWS KMS. Its CONFIG is REGION/NAME,
// with the parameters days, profile and endpoint. It finds credentials as the AWS
// SDK does, in the variables that it is given.
package main

import (
	"context"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-awskms/awskms"
	"github.com/aivault/aivault/plugins/sdk"
)

func main() {
	sdk.ServeKeeper("1.0.0", func(ctx context.Context, c sdk.Config) (custody.Keeper, error) {
		return awskms.Open(ctx, awskms.Options{Location: c.Text, Create: c.Create, Now: time.Now})
	})
}
