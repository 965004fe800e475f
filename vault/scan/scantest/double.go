package scantest

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/aivault/aivault/vault/scan"
)

// Double is a scanner for tests: Judge says what is to be found in a file. Where it
// is nil nothing is.
type Double struct {
	Judge func(path string, content []byte) []scan.Finding
}

var _ scan.Scanner = Double{}

// Profile implements [scan.Scanner].
func (Double) Profile(ctx context.Context) (scan.Profile, error) {
	return scan.Profile{Name: "double", Version: "1.0.0", Rules: "of the test"}, ctx.Err()
}

// Scan implements [scan.Scanner].
func (d Double) Scan(ctx context.Context, dir string) (*scan.Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", scan.ErrFailed, err)
	}
	defer root.Close()
	r := &scan.Report{}
	err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := root.ReadFile(path)
		if err != nil {
			return err
		}
		r.Examined++
		if d.Judge != nil {
			r.Findings = append(r.Findings, d.Judge(path, content)...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", scan.ErrFailed, err)
	}
	return r, nil
}
