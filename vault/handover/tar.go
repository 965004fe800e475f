package handover

import (
	"archive/tar"
	"io"
	"time"
	"unicode/utf8"

	"github.com/aivault/aivault/vault/manifest"
)

// filesDir is what the paths of the version's files begin with in the tar, so that
// none of them is taken for transfer.json.
const filesDir = "files/"

// tarball is the tar as a sink of a version's content.
type tarball struct {
	w    *tar.Writer
	time time.Time // of everything in it
}

func newTar(w io.Writer, at time.Time) *tarball { return &tarball{w: tar.NewWriter(w), time: at} }

// document begins a file that is not the version's, and the directory of those
// that are.
func (t *tarball) document(name string, size int64) error {
	if err := t.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: filesDir, Mode: 0o755, ModTime: t.time}); err != nil {
		return err
	}
	return t.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: t.time})
}

// Begin begins a file, or makes an empty directory.
func (t *tarball) Begin(e *manifest.Entry) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: filesDir + e.Path, Mode: 0o644, Size: e.Size, ModTime: t.time}
	switch e.Mode {
	case manifest.Directory:
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, h.Name+"/", 0o755
	case manifest.Executable:
		h.Mode = 0o755
	}
	if !utf8.ValidString(e.Path) {
		h.Format = tar.FormatGNU // a record of PAX is UTF-8
	}
	return t.w.WriteHeader(h)
}

// Write takes the next bytes of the file that was begun last.
func (t *tarball) Write(b []byte) (int, error) { return t.w.Write(b) }

// close ends the tar; it fails if a file is not whole.
func (t *tarball) close() error { return t.w.Close() }
