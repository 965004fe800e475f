package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// WriteMetrics replaces a file with what write writes: whoever reads it, such as
// Prometheus' node exporter, sees the old text or the new one, whole.
func WriteMetrics(file string, write func(io.Writer)) error {
	var b bytes.Buffer
	write(&b)
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("replacing %s: %w", file, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
