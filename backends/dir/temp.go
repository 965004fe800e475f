package dir

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"time"
)

// tempDir holds files that are being written. No key has a '_' in it.
const tempDir = ".aivault_tmp"

// staleAfter is the age at which a temporary file is taken for that of a dead
// writer. Should its writer live after all, its link fails and its Put with it;
// nothing else depends on the age.
const staleAfter = 24 * time.Hour

// temp creates a temporary file, and returns it with its path in the root.
func (s *Store) temp() (*os.File, string, error) {
	var id [16]byte
	rand.Read(id[:])
	name := tempDir + "/" + hex.EncodeToString(id[:])
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.root.Mkdir(tempDir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, "", err
		}
		f, err = s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	}
	return f, name, err
}

// temps returns the regular files in the temporary directory, by path.
func (s *Store) temps() (map[string]fs.FileInfo, error) {
	d, err := s.root.Open(tempDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	out := make(map[string]fs.FileInfo)
	for _, name := range names {
		name = tempDir + "/" + name
		if fi, err := s.root.Lstat(name); err == nil && fi.Mode().IsRegular() {
			out[name] = fi
		}
	}
	return out, nil
}

// sweep removes temporary files that are stale by the file system's own clock,
// as a file written now shows it. It does what it can: a store may be open to a
// reader who may not write.
func (s *Store) sweep() {
	files, err := s.temps()
	if err != nil || len(files) == 0 {
		return
	}
	f, name, err := s.temp()
	if err != nil {
		return
	}
	defer s.root.Remove(name)
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return
	}
	for name, old := range files {
		if fi.ModTime().Sub(old.ModTime()) > staleAfter {
			s.root.Remove(name)
		}
	}
}
