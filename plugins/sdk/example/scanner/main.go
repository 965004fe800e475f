// Command scanner is an example of a scanner plugin. It knows a few formats that
// hold data and nothing else, and warns of every other file; a Python pickle,
// which runs code when it is loaded, is a danger. It judges by content alone, and
// needs no CONFIG.
package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"

	"github.com/aivault/aivault/plugins/sdk"
	"github.com/aivault/aivault/vault/scan"
)

func main() {
	sdk.ServeScanner("1.0.0", func(context.Context, sdk.Config) (scan.Scanner, error) { return formats{}, nil })
}

type formats struct{}

func (formats) Profile(context.Context) (scan.Profile, error) {
	return scan.Profile{Name: "formats", Version: "1.0.0"}, nil
}

func (formats) Scan(ctx context.Context, dir string) (*scan.Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", scan.ErrFailed, err)
	}
	defer root.Close()
	r := &scan.Report{}
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rule, severity, err := look(root, name)
		if err != nil {
			rule, severity = "unreadable: "+err.Error(), scan.Warning
		}
		if severity != scan.Warning {
			r.Examined++
		}
		if severity != 0 && len(r.Findings) < scan.MaxFindings {
			r.Findings = append(r.Findings, scan.Finding{Path: name, Rule: "format", Severity: severity, Message: rule})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", scan.ErrFailed, err)
	}
	return r, nil
}

// look says what a file is, and how grave that is: 0 if it holds data alone.
func look(root *os.Root, name string) (string, scan.Severity, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	head := make([]byte, min(fi.Size(), 4096))
	if _, err := io.ReadFull(f, head); err != nil {
		return "", 0, err
	}
	switch {
	case isPickle(head):
		return "a Python pickle, which runs code when it is loaded", scan.Danger, nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return lookInside(f, fi.Size())
	case bytes.HasPrefix(head, []byte("GGUF")), isSafetensors(head, fi.Size()), isText(f, fi.Size()):
		return "", 0, nil
	}
	return "a format that this scanner does not know", scan.Warning, nil
}

// lookInside looks for pickles in an archive: PyTorch's models are such.
func lookInside(f io.ReaderAt, size int64) (string, scan.Severity, error) {
	z, err := zip.NewReader(f, size)
	if err != nil {
		return "", 0, err
	}
	for _, member := range z.File {
		m, err := member.Open()
		if err != nil {
			return "", 0, err
		}
		head := make([]byte, 16)
		n, _ := io.ReadFull(m, head)
		m.Close()
		if isPickle(head[:n]) {
			return fmt.Sprintf("an archive with the Python pickle %q, which runs code when it is loaded", member.Name), scan.Danger, nil
		}
	}
	return "an archive", scan.Warning, nil
}

// maxText is the longest file that is read to see whether all of it is text.
const maxText = 64 << 20

func isText(f io.ReaderAt, size int64) bool {
	if size > maxText {
		return false
	}
	b := make([]byte, size)
	_, err := f.ReadAt(b, 0)
	return (err == nil || errors.Is(err, io.EOF)) && utf8.Valid(b) && bytes.IndexByte(b, 0) < 0
}

func isPickle(b []byte) bool { return len(b) > 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5 }

func isSafetensors(b []byte, size int64) bool {
	return len(b) > 8 && b[8] == '{' && binary.LittleEndian.Uint64(b) <= uint64(size)-8
}
