package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// walk calls do with the path of each file below dir, relative and whole.
func walk(dir string, do func(rel, path string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return do(rel, path)
	})
}

// same says whether two directories hold the same files, byte for byte.
func same(want, got string) error {
	files := 0
	if err := walk(want, func(rel, path string) error {
		files++
		return sameFile(path, filepath.Join(got, rel))
	}); err != nil {
		return err
	}
	if err := walk(got, func(string, string) error { files--; return nil }); err != nil {
		return err
	}
	if files != 0 {
		return fmt.Errorf("%s has %d files more than it should", got, -files)
	}
	return nil
}

func sameFile(want, got string) error {
	a, err := os.Open(want)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return err
	}
	defer b.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return fmt.Errorf("%s is not the file that was stored: it differs after byte %d", got, at)
		}
		at += int64(n)
		switch endA, endB := ended(errA), ended(errB); {
		case endA && endB:
			return nil
		case errA != nil && !endA:
			return errA
		case errB != nil && !endB:
			return errB
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
