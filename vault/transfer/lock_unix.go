//go:build linux || darwin

package transfer

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of an open file or directory without waiting, and reports whether
// it could. It is let go when the file is closed, or the process ends.
func lock(d *os.File) (bool, error) {
	err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "lock", Path: d.Name(), Err: err}
	}
	return true, nil
}

// canLock says whether lock tells what is in use.
const canLock = true
