package transfer

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const directFlag = 0

func preallocate(*os.File, int64) error { return nil }

func clone(_, _ *os.File) error { return errors.ErrUnsupported }

// exchange swaps two names in a directory, at once. errors.ErrUnsupported: the
// file system cannot.
func exchange(dir *os.File, a, b string) error {
	err := unix.RenameatxNp(int(dir.Fd()), a, int(dir.Fd()), b, unix.RENAME_SWAP)
	if err == unix.EINVAL {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// isMount says no: the exchange itself finds out.
func isMount(*os.File) (bool, error) { return false, nil }

func isBusy(err error) bool { return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) }

// isReadOnly reports whether err says that a file system is mounted read-only.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
