//go:build unix

package machine

import (
	"errors"
	"os"
	"syscall"
)

// syncDir makes names in a directory durable. Some file systems cannot.
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
