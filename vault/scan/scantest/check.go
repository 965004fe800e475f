// Package scantest holds a scanner to its contract: an importable table of named
// rules, which run in a test, through the plugin wire, and from a command on
// anybody's plugin. What is dangerous is the scanner's own business, and no rule.
package scantest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/vault/scan"
)

// Check is one rule of the contract and the way to find it broken. Run makes its
// own files in dir, an empty directory.
type Check struct {
	Name string
	Rule string // the sentence of the contract that a failure breaks
	Run  func(ctx context.Context, s scan.Scanner, dir string) error
}

// Checks returns every rule.
func Checks() []Check {
	return []Check{
		{"profile", "a profile has a name and a version, and is the same at every call", checkProfile},
		{"nothing", "of no files there are no findings", checkNothing},
		{"account", "every regular file is examined, or a finding says of it that it was not", checkAccount},
		{"names", "files of any name and depth are accounted for, and empty ones", checkNames},
		{"broken", "a file that is cut or garbled is no reason to fail, nor to hang", checkBroken},
		{"links", "no link is followed, and nothing outside of the directory is looked at", checkLinks},
		{"unreadable", "what cannot be read is not taken for clean", checkUnreadable},
		{"untouched", "nothing in the directory changes", checkUntouched},
		{"repeatable", "the same files give the same report, also to many who ask at once", checkRepeatable},
		{"missing", "what is no directory has no report, but an error that wraps ErrFailed", checkMissing},
		{"cancelled", "a scan ends soon after its context has, with its error", checkCancelled},
	}
}

// Run holds a scanner to every rule.
func Run(t *testing.T, s scan.Scanner) {
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), s, t.TempDir()); err != nil {
				t.Errorf("%v\nrule: %s", err, c.Rule)
			}
		})
	}
}

// content is files that scanners meet: by name, as well as by what they hold.
var content = map[string]string{
	"config.json":              `{"architectures":["LlamaForCausalLM"]}` + "\n",
	"README.md":                "# A model\n",
	"model.safetensors":        "\x18\x00\x00\x00\x00\x00\x00\x00" + `{"__metadata__":{"a":""}` + "}",
	"pytorch_model.bin":        "\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.",
	"looks/like/a/picture.png": "\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.",
}

// write makes files in dir.
func write(dir string, files map[string]string) error {
	for name, text := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// report scans dir, which holds files, and checks that the report is possible.
func report(ctx context.Context, s scan.Scanner, dir string, files int64) (*scan.Report, error) {
	r, err := s.Scan(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	if err := r.Check(files); err != nil {
		return nil, err
	}
	for _, f := range r.Findings {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Path))); err != nil {
			return nil, fmt.Errorf("a finding about a file that is not there: %w", err)
		}
	}
	return r, nil
}

func checkProfile(ctx context.Context, s scan.Scanner, _ string) error {
	p, err := s.Profile(ctx)
	if err != nil {
		return err
	}
	again, err := s.Profile(ctx)
	if err == nil && again != p {
		err = fmt.Errorf("first %+v, then %+v", p, again)
	}
	return errors.Join(err, p.Check())
}

func checkNothing(ctx context.Context, s scan.Scanner, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "empty", "deeper"), 0o755); err != nil {
		return err
	}
	r, err := report(ctx, s, dir, 0)
	if err == nil && len(r.Findings) > 0 {
		err = fmt.Errorf("%d findings", len(r.Findings))
	}
	return err
}

func checkAccount(ctx context.Context, s scan.Scanner, dir string) error {
	if err := write(dir, content); err != nil {
		return err
	}
	_, err := report(ctx, s, dir, int64(len(content)))
	return err
}

func checkNames(ctx context.Context, s scan.Scanner, dir string) error {
	files := map[string]string{"empty": "", "a b": "x", "größe.txt": "x", "-rf": "x", "new\nline": "x", "a/b/c/d/e/f/g/h/i/j": "x", "...": "x", `back\slash`: "x", "$(id)": "x"}
	if err := write(dir, files); err != nil {
		return err
	}
	_, err := report(ctx, s, dir, int64(len(files)))
	return err
}

func checkBroken(ctx context.Context, s scan.Scanner, dir string) error {
	files := map[string]string{}
	for name, text := range content {
		files["cut-"+filepath.Base(name)] = text[:len(text)/2]
		garbled := []byte(text)
		for i := range garbled {
			garbled[i] ^= byte(i*7 + 1)
		}
		files["garbled-"+filepath.Base(name)] = string(garbled)
	}
	files["header-of-8-exbibytes.safetensors"] = "\xff\xff\xff\xff\xff\xff\xff\x7f{}"
	files["zip-without-an-end.zip"] = "PK\x03\x04"
	if err := write(dir, files); err != nil {
		return err
	}
	_, err := report(ctx, s, dir, int64(len(files)))
	return err
}

func checkLinks(ctx context.Context, s scan.Scanner, dir string) error {
	inside, outside := filepath.Join(dir, "inside"), filepath.Join(dir, "outside")
	if err := errors.Join(write(inside, map[string]string{"file": "x"}), write(outside, content)); err != nil {
		return err
	}
	if err := errors.Join(os.Symlink(outside, filepath.Join(inside, "away")), os.Symlink("nowhere", filepath.Join(inside, "dangling")), os.Symlink(".", filepath.Join(inside, "loop"))); err != nil {
		return err
	}
	r, err := report(ctx, s, inside, 1)
	if err == nil && len(r.Findings) > 4 {
		err = fmt.Errorf("%d findings about one file and three links", len(r.Findings))
	}
	return err
}

func checkUnreadable(ctx context.Context, s scan.Scanner, dir string) error {
	// Root reads it all the same, and then it is to be examined.
	if err := write(dir, map[string]string{"file": "x", "closed/file": "x"}); err != nil {
		return err
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Chmod(closed, 0); err != nil {
		return err
	}
	defer os.Chmod(closed, 0o755)
	r, err := s.Scan(ctx, dir)
	switch {
	case err != nil && errors.Is(err, scan.ErrFailed), err == nil && r.Examined == 2, err == nil && r.Worst() >= scan.Warning:
		return nil
	case err != nil:
		return fmt.Errorf("scan: %w, which does not wrap ErrFailed", err)
	}
	return fmt.Errorf("a directory that cannot be entered, and %d files examined without a warning", r.Examined)
}

func checkUntouched(ctx context.Context, s scan.Scanner, dir string) error {
	if err := write(dir, content); err != nil {
		return err
	}
	before, err := tree(dir)
	if err != nil {
		return err
	}
	if _, err := report(ctx, s, dir, int64(len(content))); err != nil {
		return err
	}
	after, err := tree(dir)
	if err == nil && !maps.Equal(before, after) {
		err = fmt.Errorf("before %v, after %v", before, after)
	}
	return err
}

// tree says what there is below dir.
func tree(dir string) (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		out[p] = fmt.Sprint(fi.Mode(), fi.ModTime())
		if fi.Mode().IsRegular() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			out[p] += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		return nil
	})
	return out, err
}

func checkRepeatable(ctx context.Context, s scan.Scanner, dir string) error {
	if err := write(dir, content); err != nil {
		return err
	}
	first, err := report(ctx, s, dir, int64(len(content)))
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for range 8 {
		g.Go(func() error {
			r, err := report(ctx, s, dir, int64(len(content)))
			if err == nil && (r.Examined != first.Examined || !maps.Equal(counts(r), counts(first))) {
				err = fmt.Errorf("first %+v, then %+v", *first, *r)
			}
			return err
		})
	}
	return g.Wait()
}

func counts(r *scan.Report) map[scan.Finding]int {
	out := map[scan.Finding]int{}
	for _, f := range r.Findings {
		out[f]++
	}
	return out
}

func checkMissing(ctx context.Context, s scan.Scanner, dir string) error {
	if err := write(dir, map[string]string{"file": "x"}); err != nil {
		return err
	}
	for _, p := range []string{filepath.Join(dir, "nowhere"), filepath.Join(dir, "file")} {
		if _, err := s.Scan(ctx, p); !errors.Is(err, scan.ErrFailed) {
			return fmt.Errorf("%s: %v", filepath.Base(p), err)
		}
	}
	return nil
}

func checkCancelled(ctx context.Context, s scan.Scanner, dir string) error {
	if err := write(dir, content); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Scan(ctx, dir); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("cancelled before it began: %v", err)
	}
	return nil
}
