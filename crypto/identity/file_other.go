//go:build !unix

package identity

import (
	"fmt"
	"os"
)

// CheckPermissions says whether path exists; this system's access control is
// not looked at.
func CheckPermissions(path string) (warning string, err error) {
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("check an identity's permissions: %w", err)
	}
	return "", nil
}

// syncDir does nothing: this system makes names durable with the file.
func syncDir(string) error { return nil }
