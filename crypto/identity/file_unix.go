//go:build unix

package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// CheckPermissions says whether somebody else could read or replace an identity
// file. One that group or others may write is an error, fs.ErrPermission; one
// that they may read, or that belongs to another user than root, is a warning,
// since the secrets that orchestrators mount often are. It follows links.
func CheckPermissions(path string) (warning string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("check an identity's permissions: %w", err)
	}
	mode := info.Mode().Perm()
	if mode&0o022 != 0 {
		return "", fmt.Errorf("check an identity's permissions: %w: others may write %s (mode %04o); run chmod 600", fs.ErrPermission, path, mode)
	}
	if mode&0o044 != 0 {
		return fmt.Sprintf("others may read the identity %s (mode %04o); run chmod 600", path, mode), nil
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Sprintf("the identity %s belongs to another user (uid %d)", path, st.Uid), nil
	}
	return "", nil
}

// syncDir makes a new name in a directory durable. Some file systems cannot.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
