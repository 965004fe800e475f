// Command aivault keeps AI model artefacts in storage that nobody has to trust.
package main

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/aivault/aivault/cmd/aivault/cli"
)

// memoryGoal is how much memory, in bytes, the garbage collector keeps the program
// within, where it can: well within the 512 MiB that it may take at any size. What
// a push notes of a million files is half of that and lives to its end, so that
// the collector's own measure, twice what lives, would be too much.
const memoryGoal = 416 << 20

func main() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // GOMEMLIMIT says nothing
		debug.SetMemoryLimit(memoryGoal)
	}
	os.Exit(cli.Main())
}
