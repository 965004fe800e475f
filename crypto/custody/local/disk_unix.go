//go:build unix

package local

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/aivault/aivault/crypto/custody"
)

// syncNames makes the names in an open directory durable. A file system that
// cannot is no place for keys: its error stands.
func syncNames(dir *os.File) error { return dir.Sync() }

// checkMode refuses a directory that others than its owner may enter.
func checkMode(dir string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, so that others than its owner reach the keys (chmod 700): %w", dir, mode, custody.ErrUnfit)
	}
	return nil
}
