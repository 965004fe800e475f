//go:build unix

package transfer

import (
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
	return os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// syncDirectory makes the names in a directory durable.
func syncDirectory(d *os.File) error { return d.Sync() }
