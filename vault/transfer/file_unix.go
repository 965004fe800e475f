//go:build unix

package transfer

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// fileID tells files apart that share a name at different times.
func fileID(fi fs.FileInfo) (device, inode uint64) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), uint64(st.Ino)
	}
	return 0, 0
}

// openSource opens a file for reading, without following a link and without
// waiting for the other end of a pipe that took the file's place.
func openSource(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|noWait, 0)
}

// noWait keeps an open from following a link and from waiting for the other end of
// a pipe.
const noWait = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// syncDirectory makes the names in a directory durable.
func syncDirectory(d *os.File) error { return d.Sync() }

// sameOwner gives a file the owner and the group of another, where that is
// allowed.
func sameOwner(f *os.File, as fs.FileInfo) error {
	st, ok := as.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if now, ok := fi.Sys().(*syscall.Stat_t); ok && (now.Uid != st.Uid || now.Gid != st.Gid) {
		if err := f.Chown(int(st.Uid), int(st.Gid)); !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}
