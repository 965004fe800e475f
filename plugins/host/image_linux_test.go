package host

import (
	"errors"
	"os"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"golang.org/x/sys/unix"
)

// What was hashed cannot be changed, by whatever way it is opened.
func TestImageIsSealed(t *testing.T) {
	path := t.TempDir() + "/plugin"
	if err := os.WriteFile(path, []byte("binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	img, err := load(path, []canonical.Digest{canonical.Sum([]byte("binary"))})
	if err != nil {
		t.Fatal(err)
	}
	defer img.close()
	if _, err := img.file.WriteAt([]byte("other"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: %v, want EPERM", err)
	}
	if err := img.file.Truncate(0); !errors.Is(err, unix.EPERM) {
		t.Errorf("truncate: %v, want EPERM", err)
	}
	if err := os.WriteFile(img.path(), []byte("other"), 0); err == nil {
		t.Error("opened again, it was changed")
	}
	if b, err := os.ReadFile(img.path()); err != nil || string(b) != "binary" {
		t.Errorf("it is now %q, %v", b, err)
	}
}
