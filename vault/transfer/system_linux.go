package transfer

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// directFlag opens a file for transfers around the page cache.
const directFlag = unix.O_DIRECT

// preallocate gives a file its size and room for it, if the file system can.
func preallocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case err == unix.EINTR:
		case errors.Is(err, errors.ErrUnsupported):
			return nil
		default:
			return err
		}
	}
}

// clone makes the empty file to share what from holds, block by block, until
// one of them is changed. errors.ErrUnsupported: the file system cannot.
func clone(to, from *os.File) error {
	err := unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
	if err == unix.EXDEV || err == unix.EINVAL || err == unix.ENOTTY || err == unix.EPERM {
		return errors.ErrUnsupported
	}
	return err
}

// exchange swaps two names in a directory, at once. errors.ErrUnsupported: the
// system or the file system cannot.
func exchange(dir *os.File, a, b string) error {
	err := unix.Renameat2(int(dir.Fd()), a, int(dir.Fd()), b, unix.RENAME_EXCHANGE)
	if err == unix.EINVAL || err == unix.ENOSYS {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// isMount reports whether a directory is where a file system is mounted, bind
// mounts included; false if the kernel is too old to say (before 5.8).
func isMount(d *os.File) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(d.Fd()), "", unix.AT_EMPTY_PATH, 0, &st); err != nil {
		return false, &os.PathError{Op: "statx", Path: d.Name(), Err: err}
	}
	return st.Attributes&st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// isBusy reports whether err says that a name cannot be renamed because of a
// mount.
func isBusy(err error) bool { return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) }

// isReadOnly reports whether err says that a file system is mounted read-only.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
