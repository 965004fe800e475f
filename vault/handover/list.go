package handover

import (
	"io"
	"unicode/utf8"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// lister writes the members of the list of files, so that a list of any length
// takes no memory.
type lister struct {
	w   io.Writer
	any bool
}

func (l *lister) add(e *manifest.Entry) error {
	f := File{Path: e.Path, Mode: e.Mode, Size: e.Size, SHA256: e.SHA256}
	if !utf8.ValidString(e.Path) {
		f.Path, f.Bytes = "", []byte(e.Path)
	}
	b, err := canonical.Marshal(f)
	if err != nil {
		return err
	}
	if l.any {
		b = append([]byte{','}, b...)
	}
	l.any = true
	_, err = l.w.Write(b)
	return err
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
