package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/aivault/aivault/crypto/canonical"
)

// maxHoldings bounds the files of a destination that a pull looks at.
const maxHoldings = 4 << 20

// holding is a file that a destination holds.
type holding struct {
	path   string
	stamp  stamp
	perm   fs.FileMode
	listed bool // the version has a file of this name
	kept   bool // it is that file

	once sync.Once
	sum  canonical.Digest
	err  error

	mu     sync.Mutex
	linked bool // the new tree has a hard link to it
}

// link reports whether it is the first to ask: two files of a version must not
// become one.
func (h *holding) link() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.linked
	h.linked = true
	return first
}

// holdings is all that a destination holds. Its sums are worked out when first
// needed, once; that is safe for concurrent use.
type holdings struct {
	dest   *destination
	files  map[string]*holding
	bySize map[int64]*sameSize
	empty  map[string]bool // directories with nothing in them
	others []string        // links, devices and the like
}

// sameSize is the files of one size.
type sameSize struct {
	files []*holding
	once  sync.Once
	bySum map[canonical.Digest]*holding
}

// holdings walks through the destination. What interrupted pulls left is passed over.
func (d *destination) holdings(ctx context.Context) (*holdings, error) {
	h := &holdings{dest: d, files: make(map[string]*holding), bySize: make(map[int64]*sameSize), empty: make(map[string]bool)}
	if err := d.walk(ctx, ".", h.add); err != nil {
		return nil, fmt.Errorf("looking at what %s holds: %w", d.name, err)
	}
	return h, nil
}

func (h *holdings) add(p string, fi fs.FileInfo, empty bool) error {
	switch {
	case fi.IsDir():
		if empty {
			h.empty[p] = true
		}
	case fi.Mode().IsRegular():
		if len(h.files) == maxHoldings {
			return fmt.Errorf("it holds more than %d files", maxHoldings)
		}
		f := &holding{path: p, stamp: stampOf(fi), perm: fi.Mode().Perm()}
		h.files[p] = f
		s := h.bySize[f.stamp.size]
		if s == nil {
			s = new(sameSize)
			h.bySize[f.stamp.size] = s
		}
		s.files = append(s.files, f)
	default:
		h.others = append(h.others, p)
	}
	return nil
}

// walk visits everything below a directory, no links followed; a directory after
// what is in it. Paths are those of a manifest.
func (d *destination) walk(ctx context.Context, dir string, visit func(p string, fi fs.FileInfo, empty bool) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	names, err := d.names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if dir == "." && !d.all && strings.HasPrefix(name, stagingPrefix) {
			continue
		}
		p := path.Join(dir, name)
		fi, err := d.root.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && fi.IsDir() {
			err = d.walk(ctx, p, visit)
		} else if err == nil {
			err = visit(p, fi, false)
		}
		if err != nil {
			return err
		}
	}
	if dir == "." {
		return nil
	}
	fi, err := d.root.Lstat(dir)
	if err != nil {
		return err
	}
	return visit(dir, fi, len(names) == 0)
}

// names lists a directory.
func (d *destination) names(dir string) ([]string, error) {
	f, err := d.root.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}

// open opens a file that the destination holds, if it still is what it was.
func (d *destination) open(h *holding) (*os.File, error) {
	f, err := d.root.OpenFile(h.path, os.O_RDONLY|noWait, 0)
	if err != nil {
		return nil, err
	}
	if err := h.same(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (h *holding) same(f *os.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || stampOf(fi) != h.stamp {
		return fmt.Errorf("%q: %w", h.path, ErrChanged)
	}
	return nil
}

// digest returns the SHA-256 of a file.
func (h *holdings) digest(ctx context.Context, f *holding) (canonical.Digest, error) {
	f.once.Do(func() { f.sum, f.err = h.hash(ctx, f) })
	return f.sum, f.err
}

func (h *holdings) hash(ctx context.Context, f *holding) (sum canonical.Digest, err error) {
	file, err := h.dest.open(f)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{hash}, untilDone{ctx, file}, make([]byte, 256<<10)); err != nil {
		return sum, err
	}
	hash.Sum(sum[:0])
	return sum, f.same(file)
}

// find returns a file with this content, or nil. It reads every file of that
// size once.
func (h *holdings) find(ctx context.Context, size int64, sum canonical.Digest) *holding {
	s := h.bySize[size]
	if s == nil || size == 0 {
		return nil
	}
	s.once.Do(func() {
		s.bySum = make(map[canonical.Digest]*holding, len(s.files))
		for _, f := range s.files {
			if sum, err := h.digest(ctx, f); err == nil {
				s.bySum[sum] = f
			}
		}
	})
	return s.bySum[sum]
}

// untilDone reads until ctx ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(b)
}
