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
	data  []byte // of a file that is nowhere; nil: it is at name
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

// ScanOptions narrows or widens a scan.
type ScanOptions struct {
	Exclude []string // patterns: what they select is passed over, whatever an IgnoreFile says
	Follow  bool     // links below the paths: see Scan
	Add     []Added  // further files
}

// Added is a small file that a version gets and that stands nowhere.
type Added struct {
	Path string // in the version
	Data []byte // at most 4 MiB, at least one byte
}

// Scan looks at what is to be pushed: of one directory its contents, of one file
// the file under its base name, of several paths each under its base name. What
// matches a pattern of o.Exclude, or of an [IgnoreFile] in a directory that is
// scanned, is passed over, and so are the records of pulls.
//
// The paths themselves may be links; below them only the links of a Hugging Face
// cache from its snapshots to its blobs, and of a Kubernetes volume through its
// ..data, are followed. With o.Follow any link is, and what it leads to stored
// in its place, if that is below one of the paths: a link that leads elsewhere
// could make a push store anything this user may read. ErrSource: a link that is
// not followed, leads back to a directory it is in, or dangles; anything else
// that is neither a file nor a directory; nothing at all. An empty directory is
// something, one of which everything is passed over is not.
func Scan(ctx context.Context, paths []string, o ScanOptions) (*Tree, error) {
	skip, err := compileGlobs(o.Exclude)
	if err != nil {
		return nil, err
	}
	s := scanner{exclude: skip, follow: o.Follow}
	starts := make([]start, len(paths))
	for i, p := range paths {
		if starts[i], err = resolve(p); err != nil {
			return nil, fmt.Errorf("scanning %s: %w", p, err)
		}
		s.roots = append(s.roots, starts[i].resolved)
	}
	names := make(map[string]string)
	for _, st := range starts {
		if err := s.start(ctx, st, len(paths) == 1, names); err != nil {
			return nil, fmt.Errorf("scanning %s: %w", st.given, err)
		}
	}
	t := &s.tree
	for _, a := range o.Add {
		if err := s.add(a); err != nil {
			return nil, err
		}
	}
	if len(t.sources) == 0 && (len(paths) == 0 || s.passed) {
		return nil, fmt.Errorf("scanning %s: %w: there is nothing to store", strings.Join(paths, " "), ErrSource)
	}
	slices.SortFunc(t.sources, func(a, b source) int { return cmp.Compare(a.path, b.path) })
	return t, nil
}

// add adds a file that stands nowhere.
func (s *scanner) add(a Added) error {
	if err := manifest.CheckPath(a.Path); err != nil || len(a.Data) == 0 || len(a.Data) > smallFile {
		return errors.Join(fmt.Errorf("%q, %d bytes: %w", a.Path, len(a.Data), ErrSource), err)
	}
	for _, src := range s.tree.sources {
		if src.path == a.Path || strings.HasPrefix(src.path, a.Path+"/") || strings.HasPrefix(a.Path, src.path+"/") {
			return fmt.Errorf("%s: %w: aivault puts a file %s there", src.name, ErrSource, a.Path)
		}
	}
	s.tree.Files++
	s.tree.Bytes += int64(len(a.Data))
	s.tree.sources = append(s.tree.sources, source{path: a.Path, mode: manifest.Regular, stamp: stamp{size: int64(len(a.Data))}, data: a.Data})
	return nil
}

// Top returns the names at the top of the tree: of files, and of directories.
func (t *Tree) Top() []string {
	var out []string
	for _, src := range t.sources {
		if name, _, _ := strings.Cut(src.path, "/"); len(out) == 0 || out[len(out)-1] != name {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

type scanner struct {
	exclude  globs
	follow   bool
	roots    []string // what is scanned, without links
	inside   []string // the directories that the scan is in, without links, outermost first
	followed int      // links to directories
	passed   bool     // something was passed over
	tree     Tree
}

// start is one of the paths that Scan was given.
type start struct {
	given, abs, resolved string
	info                 fs.FileInfo
}

func resolve(p string) (st start, err error) {
	st.given = p
	if st.abs, err = filepath.Abs(p); err != nil {
		return st, err
	}
	if st.resolved, err = filepath.EvalSymlinks(st.abs); err != nil {
		return st, err
	}
	st.info, err = os.Lstat(st.resolved)
	return st, err
}

// start scans one of the paths.
func (s *scanner) start(ctx context.Context, st start, alone bool, names map[string]string) error {
	base := filepath.Base(st.abs)
	if st.info.IsDir() && alone {
		_, err := s.directory(ctx, st.resolved, "", nil)
		return err
	}
	if base == string(filepath.Separator) || base == "." {
		return fmt.Errorf("%w: it has no name of its own", ErrSource)
	}
	if other, taken := names[base]; taken {
		return fmt.Errorf("%w: %s has the same name", ErrSource, other)
	}
	names[base] = st.given
	if s.exclude.match(base) {
		s.passed = true
		return nil
	}
	return s.entry(ctx, st.resolved, base, st.info, nil)
}

// directory scans the contents of dir under a prefix, "" or ending in a slash,
// and returns how many entries it added.
func (s *scanner) directory(ctx context.Context, dir, prefix string, above *ignore) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	ignored, err := readIgnore(above, dir, prefix)
	if err != nil {
		return 0, err
	}
	s.inside = append(s.inside, dir)
	defer func() { s.inside = s.inside[:len(s.inside)-1] }()
	volume := volumeData(dir, list)
	before := len(s.tree.sources)
	for _, de := range list {
		base := de.Name()
		path := prefix + filepath.ToSlash(base)
		if volume != "" && strings.HasPrefix(base, "..") || strings.HasPrefix(base, recordPrefix) {
			continue
		}
		if s.exclude.match(path) || ignored.match(path, de.IsDir()) {
			s.passed = true
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
			if name, fi, err = s.link(dir, base, volume); err != nil {
				return 0, err
			}
			if fi.IsDir() && ignored.match(path, true) { // what it leads to is stored, so it counts as that
				s.passed = true
				continue
			}
		}
		if err := s.entry(ctx, name, path, fi, ignored); err != nil {
			return 0, err
		}
	}
	return len(s.tree.sources) - before, nil
}

// entry adds what stands at name, which is no link, under path.
func (s *scanner) entry(ctx context.Context, name, path string, fi fs.FileInfo, above *ignore) error {
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
		n, err := s.directory(ctx, name, path+"/", above)
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
