//go:build unix

package dir

import (
	"errors"
	"syscall"
)

// syncsDirectories says that a directory can be opened and synced, and has to
// be for its entries to outlive a power failure.
const syncsDirectories = true

// openFlag keeps an open from waiting for the other end of a planted FIFO.
const openFlag = syscall.O_NONBLOCK

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

func isNotDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// isDamage reports that the medium could not give the bytes back.
func isDamage(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EBADMSG)
}
