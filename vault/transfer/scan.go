package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/manifest"
)

// stagingPrefix begins the name of the directory in which a pull keeps what it
// has not verified.
const stagingPrefix = ".aivault-partial-"

// Tree is what a scan found: the files and empty directories of a version to be,
// in bytewise order of their paths. It is immutable.
type Tree struct {
	Files       int64
	Directories int64 // empty ones
	Bytes       int64 // of all files

	sources []source
}

// source is one file or empty directory.
type source struct {
	path  string // in the version
	name  string // where it is, links resolved
	mode  manifest.Mode
	stamp stamp
}

// stamp is what tells that a file was changed or replaced.
type stamp struct {
	size   int64
	mtime  int64 // ns since 1970
	device uint64
	inode  uint64
}

func stampOf(fi fs.FileInfo) stamp {
	s := stamp{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	s.device, s.inode = fileID(fi)
	return s
}

// Scan looks at what is to be pushed: of one directory its contents, of one file
// the file under its base name, of several paths each under its base name. What
// matches a pattern of exclude is passed over, and so are the records of pulls. The paths themselves may be links;
// below them only the links of a Hugging Face cache from its snapshots to its
// blobs, and of a Kubernetes volume through its ..data, are followed. ErrSource:
// anything else that is neither a file nor a directory, or nothing at all.
func Scan(ctx context.Context, paths []string, exclude []string) (*Tree, error) {
	skip, err := compileGlobs(exclude)
	if err != nil {
		return nil, err
	}
	s := scanner{exclude: skip}
	names := make(map[string]string)
	for _, p := range paths {
		if err := s.start(ctx, p, len(paths) == 1, names); err != nil {
			return nil, fmt.Errorf("scanning %s: %w", p, err)
		}
	}
	t := &s.tree
	if len(t.sources) == 0 {
		return nil, fmt.Errorf("scanning %s: %w: there is nothing to store", strings.Join(paths, " "), ErrSource)
	}
	slices.SortFunc(t.sources, func(a, b source) int { return cmp.Compare(a.path, b.path) })
	return t, nil
}

type scanner struct {
	exclude globs
	tree    Tree
}

// start scans one of the paths that Scan was given.
func (s *scanner) start(ctx context.Context, p string, alone bool, names map[string]string) error {
	abs, err := filepath.Abs(p)
	if err != nil {
		return err
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return err
	}
	fi, err := os.Lstat(resolved)
	if err != nil {
		return err
	}
	base := filepath.Base(abs)
	if fi.IsDir() && alone {
		_, err := s.directory(ctx, resolved, "")
		return err
	}
	if base == string(filepath.Separator) || base == "." {
		return fmt.Errorf("%w: it has no name of its own", ErrSource)
	}
	if other, taken := names[base]; taken {
		return fmt.Errorf("%w: %s has the same name", ErrSource, other)
	}
	names[base] = p
	if s.exclude.match(base) {
		return nil
	}
	return s.entry(ctx, resolved, base, fi)
}

// directory scans the contents of dir under a prefix, "" or ending in a slash,
// and returns how many entries it added.
func (s *scanner) directory(ctx context.Context, dir, prefix string) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	volume := volumeData(dir, list)
	before := len(s.tree.sources)
	for _, de := range list {
		base := de.Name()
		path := prefix + filepath.ToSlash(base)
		if s.exclude.match(path) || volume != "" && strings.HasPrefix(base, "..") || strings.HasPrefix(base, recordPrefix) {
			continue
		}
		name := filepath.Join(dir, base)
		fi, err := os.Lstat(name)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%s: %w", name, ErrChanged)
			}
			return 0, err
		}
		if fi.Mode().Type() == fs.ModeSymlink {
			if name, fi, err = follow(dir, base, volume); err != nil {
				return 0, err
			}
		}
		if err := s.entry(ctx, name, path, fi); err != nil {
			return 0, err
		}
	}
	return len(s.tree.sources) - before, nil
}

// entry adds what stands at name, which is no link, under path.
func (s *scanner) entry(ctx context.Context, name, path string, fi fs.FileInfo) error {
	if err := manifest.CheckPath(path); err != nil {
		return fmt.Errorf("%s: %w: %w", name, ErrSource, err)
	}
	src := source{path: path, name: name, mode: manifest.Regular}
	if strings.HasSuffix(name, path) {
		src.path = name[len(name)-len(path):] // the same memory
	}
	switch {
	case fi.IsDir():
		if base := filepath.Base(name); strings.HasPrefix(base, stagingPrefix) || strings.HasPrefix(base, nextPrefix) {
			return fmt.Errorf("%s: %w: an interrupted pull left it here; remove or exclude it", name, ErrSource)
		}
		n, err := s.directory(ctx, name, path+"/")
		if err != nil || n > 0 {
			return err
		}
		src.mode = manifest.Directory
		s.tree.Directories++
	case fi.Mode().IsRegular():
		if fi.Mode().Perm()&0o111 != 0 {
			src.mode = manifest.Executable
		}
		src.stamp = stampOf(fi)
		s.tree.Files++
		if s.tree.Bytes += fi.Size(); fi.Size() > manifest.MaxBytes || s.tree.Bytes > manifest.MaxBytes {
			return fmt.Errorf("%s: %w: more than %d bytes", name, ErrSource, int64(manifest.MaxBytes))
		}
	default:
		return fmt.Errorf("%s: %w: it is a %s; exclude it", name, ErrSource, kind(fi.Mode()))
	}
	s.tree.sources = append(s.tree.sources, src)
	return nil
}

func kind(m fs.FileMode) string {
	switch m.Type() {
	case fs.ModeNamedPipe:
		return "named pipe"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return "device"
	}
	return "special file"
}
