// Package transfer moves the data of versions: a push reads files, cuts them
// into chunks and stores those with a manifest; a pull is the reverse, into a
// directory; a check proves what is stored (vault/FORMAT.md §7). It knows
// nothing of journals: who may do what, and which version an entry names, is
// decided above it.
//
// Every byte is read once, in buffers of a fixed number. A transfer takes at most
// (6 + Jobs) × 16 MiB, and 4 × 33 MiB to encode or decode, where Jobs is what it
// was told or what it finds the link to carry: 484 MiB with MaxJobs, and of all of
// that less on few cores. Besides, some 300 bytes for each file, 150 for each
// chunk and 200 for each tensor, and while the header of a weight file is read up
// to 16 times its length; a pull some 300 more for each file that its destination
// holds. A pull writes the pieces of a file in any order and hashes them in the
// file's order while they are in memory, as far ahead as its buffers reach; a
// piece whose chunk came long before its turn, because other files or earlier
// bytes hold it too, is read back. Nothing outlives a call: no goroutine, no file
// in the destination that was not verified.
package transfer

import (
	"errors"
	"runtime"

	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

const (
	// DefaultJobs is how many objects are under way to or from a store at once,
	// or at first, if Jobs is 0.
	DefaultJobs = 4
	// MaxJobs bounds Jobs, and so memory.
	MaxJobs = 16
)

var (
	// ErrSource marks a file that cannot be stored: a link, a device, a path that
	// is too long.
	ErrSource = errors.New("cannot be stored")
	// ErrChanged means that a file changed while it was read.
	ErrChanged = errors.New("changed while it was read")
	// ErrWouldOverwrite means that a pull would replace what stands in its destination.
	ErrWouldOverwrite = errors.New("would overwrite what is there")
	// ErrNoExchange means that a destination cannot be exchanged as a whole.
	ErrNoExchange = errors.New("cannot be exchanged as a whole")
	// ErrNotLink means that a destination that is to be a link is something else.
	ErrNotLink = errors.New("is there, and is no link")
	// ErrName means that a destination cannot have a file's name.
	ErrName = errors.New("cannot be a name")
	// ErrIntegrity is chunk.ErrIntegrity.
	ErrIntegrity = chunk.ErrIntegrity
)

// Progress is how far a transfer has come.
type Progress struct {
	Files       int64 // finished
	Bytes       int64 // of files, read or written
	Reused      int64 // of those, not sent or fetched: the other side had them
	Transferred int64 // sealed bytes sent or fetched
	Saved       int64 // bytes that encoding spared sending
}

func jobs(n int) int {
	if n <= 0 {
		return DefaultJobs
	}
	return min(n, MaxJobs)
}

// plainBuffers is how many chunks are read, hashed, sealed or opened at once.
func plainBuffers() int { return min(max(4, runtime.GOMAXPROCS(0)), 6) }

// coders is how many chunks are encoded or decoded at once.
func coders() int { return min(runtime.GOMAXPROCS(0), 4) }

// sealWorkers is how many goroutines work on one of them.
func sealWorkers() int { return max(1, runtime.GOMAXPROCS(0)/plainBuffers()) }

const (
	plainSize  = manifest.MaxChunk
	sealedSize = chunk.MaxSealed
)
