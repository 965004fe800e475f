//go:build unix

package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/aivault/aivault/backends"
)

func TestPermissions(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "x", "store")
	put(t, open(t, path), "a/b/k")
	for _, name := range []string{"..", ".", tempDir, "a", "a/b", "a/b/k"} {
		fi, err := os.Stat(filepath.Join(path, name))
		if err != nil {
			t.Fatal(err)
		}
		want := fs.FileMode(0o600)
		if fi.IsDir() {
			want = 0o700
		}
		if got := fi.Mode().Perm(); got != want {
			t.Errorf("%s has permission %o, want %o", name, got, want)
		}
	}
}

// A FIFO has no other end here: whoever opened it would wait for ever.
func TestPlantedFIFO(t *testing.T) {
	path := t.TempDir()
	s := open(t, path)
	put(t, s, "a/k")
	if err := syscall.Mkfifo(filepath.Join(path, "a", "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), backends.Ref{Key: "a/fifo"}, 0, -1); !errors.Is(err, backends.Corrupt) {
		t.Errorf("get of a FIFO: %v", err)
	}
	if _, err := s.Put(t.Context(), "a/fifo", nil); !errors.Is(err, backends.Exists) {
		t.Errorf("put over a FIFO: %v", err)
	}
	if _, err := s.Put(t.Context(), "a/fifo/k", nil); !errors.Is(err, backends.Invalid) {
		t.Errorf("put below a FIFO: %v", err)
	}
	if got := append(keys(t, s, "a/f"), keys(t, s, "a/fifo/")...); got != nil {
		t.Errorf("listed %q", got)
	}
	if _, err := s.Erase(t.Context(), "a/fifo", "a/fifo/k"); err != nil {
		t.Error(err)
	}
}

func TestKindOfErrno(t *testing.T) {
	for err, want := range map[syscall.Errno]backends.Kind{
		syscall.ENOSPC: backends.Full, syscall.EDQUOT: backends.Full, syscall.EROFS: backends.Denied, syscall.EPERM: backends.Denied,
		syscall.ENOTDIR: backends.Invalid, syscall.EIO: backends.Unavailable, syscall.ENOENT: backends.NotExist,
	} {
		if got := kindOf(&fs.PathError{Op: "write", Path: "k", Err: err}); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
	if got := getKind(&fs.PathError{Op: "read", Path: "k", Err: syscall.EIO}); got != backends.Corrupt {
		t.Errorf("a read that the medium fails: %v", got)
	}
}

// With delayed allocation a full disk may show only when the file is synced.
func TestPutThatDoesNotFit(t *testing.T) {
	s := open(t, t.TempDir())
	s.fsync = func(f *os.File) error {
		if fi, err := f.Stat(); err == nil && !fi.IsDir() {
			return &fs.PathError{Op: "sync", Path: f.Name(), Err: syscall.ENOSPC}
		}
		return f.Sync()
	}
	if _, err := s.Put(t.Context(), "k", make([]byte, 3*writeSlice)); !errors.Is(err, backends.Full) {
		t.Errorf("put without room: %v", err)
	}
	if got := keys(t, s, ""); got != nil {
		t.Errorf("keys %q", got)
	}
	if temps, err := s.temps(); err != nil || len(temps) > 0 {
		t.Errorf("temporary files left: %d, %v", len(temps), err)
	}
}
