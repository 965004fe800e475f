//go:build unix

package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity")
	if err := WriteFile(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if warning, err := CheckPermissions(path); warning != "" || err != nil {
		t.Errorf("%q, %v", warning, err)
	}
}

func TestWriteFileDoesNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v, want fs.ErrExist", err)
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written through a link: %v", err)
	}
}

func TestCheckPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode          fs.FileMode
		warn, refused bool
	}{
		{0o600, false, false}, {0o400, false, false}, {0o700, false, false}, {0o611, false, false},
		{0o640, true, false}, {0o604, true, false}, {0o644, true, false}, {0o444, true, false},
		{0o620, false, true}, {0o602, false, true}, {0o666, false, true}, {0o777, false, true}, {0o660, false, true},
	} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, link} {
			warning, err := CheckPermissions(p)
			if (warning != "") != c.warn || (err != nil) != c.refused || c.refused && !errors.Is(err, fs.ErrPermission) {
				t.Errorf("mode %04o: warning %q, error %v", c.mode, warning, err)
			}
		}
	}
	if _, err := CheckPermissions(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want fs.ErrNotExist", err)
	}
}
