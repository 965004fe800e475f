package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFollowed bounds how many links to directories a scan follows: each may show
// the same files again, so that a few would stand for any number.
const maxFollowed = 1 << 16

// link returns where the link base in dir leads, if it is one of those that Scan
// follows. volume is what volumeData said of dir.
func (s *scanner) link(dir, base, volume string) (string, fs.FileInfo, error) {
	name, fi, err := follow(dir, base, volume)
	if !s.follow || err == nil {
		return name, fi, err
	}
	link := filepath.Join(dir, base)
	name, err = filepath.EvalSymlinks(link)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w: it is a link that leads nowhere; exclude it: %w", link, ErrSource, err)
	}
	if !slices.ContainsFunc(s.roots, func(root string) bool { return name == root || isBelow(name, root) }) {
		return "", nil, fmt.Errorf("%s: %w: it is a link to %s, outside of what is pushed; push that as well, or exclude it", link, ErrSource, name)
	}
	if fi, err = os.Lstat(name); err != nil {
		return "", nil, err
	}
	if fi.IsDir() {
		if slices.Contains(s.inside, name) {
			return "", nil, fmt.Errorf("%s: %w: it is a link back to %s, which it is in; exclude it", link, ErrSource, name)
		}
		if s.followed++; s.followed > maxFollowed {
			return "", nil, fmt.Errorf("%s: %w: it is one of more than %d links to directories", link, ErrSource, maxFollowed)
		}
	}
	return name, fi, nil
}

// isBelow reports whether a path without links lies below a directory.
func isBelow(name, dir string) bool {
	rel, err := filepath.Rel(dir, name)
	return err == nil && filepath.IsLocal(rel) && rel != "."
}

// follow is link where only the links of caches and volumes are followed.
func follow(dir, base, volume string) (string, fs.FileInfo, error) {
	name := filepath.Join(dir, base)
	target, err := os.Readlink(name)
	if err != nil {
		return "", nil, err
	}
	if volume != "" && target == filepath.Join(dataLink, base) {
		resolved := filepath.Join(dir, volume, base)
		if fi, err := os.Lstat(resolved); err == nil && (fi.Mode().IsRegular() || fi.IsDir()) {
			return resolved, fi, nil
		}
	}
	if resolved := filepath.Join(dir, target); !filepath.IsAbs(target) && isCacheLink(dir, resolved) {
		if fi, err := os.Lstat(resolved); err == nil && fi.Mode().IsRegular() {
			return resolved, fi, nil
		}
	}
	return "", nil, fmt.Errorf("%s: %w: it is a link to %s; name what it points to, or exclude it", name, ErrSource, target)
}

// isCacheLink reports whether a link in dir to resolved is one of a Hugging Face
// cache: from <repo>/snapshots/<revision>/… to <repo>/blobs/<name>.
func isCacheLink(dir, resolved string) bool {
	blobs := filepath.Dir(resolved)
	if filepath.Base(blobs) != "blobs" {
		return false
	}
	snapshots := filepath.Join(filepath.Dir(blobs), "snapshots") + string(filepath.Separator)
	revision, ok := strings.CutPrefix(dir, snapshots)
	return ok && revision != ""
}

// dataLink is the link in a Kubernetes volume (ConfigMap, Secret, projected) that
// the kubelet moves from one directory of files to the next. The files' names in
// the volume are links through it; names that begin with ".." are its own.
const dataLink = "..data"

// volumeData returns the directory that ..data in dir points to, or "" if dir
// is no Kubernetes volume.
func volumeData(dir string, list []fs.DirEntry) string {
	for _, de := range list {
		if de.Name() != dataLink || de.Type() != fs.ModeSymlink {
			continue
		}
		target, err := os.Readlink(filepath.Join(dir, dataLink))
		if err != nil || filepath.Base(target) != target || !strings.HasPrefix(target, "..") || target == ".." {
			return ""
		}
		if fi, err := os.Lstat(filepath.Join(dir, target)); err != nil || !fi.IsDir() {
			return ""
		}
		return target
	}
	return ""
}
