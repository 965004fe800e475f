package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/aivault/aivault/backends"
)

// Get implements [backends.Store]. What is no regular file is Corrupt.
func (s *Store) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	if err := checkKey(ref.Key); err != nil {
		return nil, backends.Info{}, failure("get", ref.Key, backends.Invalid, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, backends.Info{}, failure("get", ref.Key, backends.Unavailable, err)
	}
	if ref.Version != "" {
		return nil, backends.Info{}, failure("get", ref.Key, backends.NotExist, fmt.Errorf("version %q: a directory has no versions", ref.Version))
	}
	f, fi, err := s.openObject(ref.Key)
	if err != nil {
		return nil, backends.Info{}, failure("get", ref.Key, getKind(err), err)
	}
	in := info(ref.Key, fi)
	if off < 0 || off > in.Size {
		f.Close()
		return nil, backends.Info{}, failure("get", ref.Key, backends.Invalid, fmt.Errorf("offset %d of %d bytes", off, in.Size))
	}
	if n < 0 || n > in.Size-off {
		n = in.Size - off
	}
	return &reader{ctx, ref.Key, f, io.NewSectionReader(f, off, n), n}, in, nil
}

func info(key string, fi fs.FileInfo) backends.Info {
	return backends.Info{Ref: backends.Ref{Key: key}, Size: fi.Size(), Modified: fi.ModTime()}
}

// getKind is kindOf for reading.
func getKind(err error) backends.Kind {
	if isDamage(err) {
		return backends.Corrupt
	}
	return kindOf(err)
}

// openObject opens the regular file at key.
func (s *Store) openObject(key string) (*os.File, fs.FileInfo, error) {
	d, err := s.openDir(path.Dir(key))
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	fi, err := d.Lstat(path.Base(key))
	if err == nil {
		err = checkRegular(fi)
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := d.OpenFile(path.Base(key), os.O_RDONLY|openFlag, 0)
	if err != nil {
		return nil, nil, err
	}
	if fi, err = f.Stat(); err == nil {
		err = checkRegular(fi) // it may have been replaced
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, fi, nil
}

func checkRegular(fi fs.FileInfo) error {
	switch {
	case fi.Mode().IsRegular():
		return nil
	case fi.IsDir():
		return fmt.Errorf("a directory: %w", backends.NotExist)
	}
	return fmt.Errorf("not a regular file (%v): %w", fi.Mode().Type(), backends.Corrupt)
}

// reader reads a section of a file, of which left bytes are still owed.
type reader struct {
	ctx  context.Context
	key  string
	f    *os.File
	r    io.Reader
	left int64
}

func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if err := r.ctx.Err(); err != nil {
		return 0, failure("get", r.key, backends.Unavailable, err)
	}
	n, err := r.r.Read(p)
	r.left -= int64(n)
	switch {
	case err == nil, errors.Is(err, io.EOF) && r.left == 0:
		return n, nil
	case errors.Is(err, io.EOF):
		return n, failure("get", r.key, backends.Corrupt, fmt.Errorf("%w: %d bytes were cut off while it was read", io.ErrUnexpectedEOF, r.left))
	}
	return n, failure("get", r.key, getKind(err), err)
}

func (r *reader) Close() error { return r.f.Close() }
