package dir

import (
	"errors"
	"syscall"
)

// syncsDirectories is false: Windows cannot sync a directory, and NTFS journals
// its entries.
const syncsDirectories = false

const openFlag = 0

// Errors of the Windows API, by their names in winerror.h.
const (
	errorWriteProtect      = syscall.Errno(19)
	errorCRC               = syscall.Errno(23)
	errorHandleDiskFull    = syscall.Errno(39)
	errorDiskFull          = syscall.Errno(112)
	errorDirectory         = syscall.Errno(267)
	errorDiskQuotaExceeded = syscall.Errno(1295)
)

func isFull(err error) bool {
	return errors.Is(err, errorDiskFull) || errors.Is(err, errorHandleDiskFull) || errors.Is(err, errorDiskQuotaExceeded)
}

func isReadOnly(err error) bool { return errors.Is(err, errorWriteProtect) }

func isNotDirectory(err error) bool {
	return errors.Is(err, errorDirectory) || errors.Is(err, syscall.ENOTDIR)
}

// isDamage reports that the medium could not give the bytes back.
func isDamage(err error) bool { return errors.Is(err, errorCRC) }
