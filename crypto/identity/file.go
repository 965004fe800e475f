package identity

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile writes text, which [Identity.Reveal] or [Identity.Protect] returned,
// to a new file that only its owner may read, and returns once it is on disk.
// It never overwrites: the error is fs.ErrExist if path exists.
func WriteFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write an identity: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write an identity: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}
