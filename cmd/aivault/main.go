// Command aivault keeps AI model artefacts in storage that nobody has to trust.
package main

import (
	"os"

	"github.com/aivault/aivault/cmd/aivault/cli"
)

func main() { os.Exit(cli.Main()) }
