package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

const (
	// smallFile is the size up to which files are grouped into chunks.
	smallFile = 4 << 20
	// groupFiles bounds how many files a group has.
	groupFiles = 4096
)

// groupSize bounds the bytes of a group. A padded one stays within a size class.
func (r *run) groupSize() int64 {
	if r.Padded {
		return smallFile
	}
	return manifest.MaxChunk
}

// data reads every file and stores its chunks: small files in groups, in path
// order; large ones in pieces, several files at once. Each byte is read once, but
// for the headers in which tensors are listed.
func (r *run) data(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	readers := make(chan struct{}, max(1, plainBuffers()/2))
	cut := manifest.NewCutter(r.cut)
	var group []int
	var bytes int64
	flush := func() {
		if members := group; len(members) > 0 {
			group, bytes = nil, 0
			r.group(gctx, g, members)
		}
	}
	for i, src := range r.tree.sources {
		if gctx.Err() != nil {
			break
		}
		size := src.stamp.size
		switch {
		case src.mode == manifest.Directory:
			r.files[i].sum = canonical.Sum(nil)
		case size > smallFile:
			select {
			case readers <- struct{}{}:
			case <-gctx.Done():
				continue
			}
			g.Go(func() error {
				defer func() { <-readers }()
				return r.large(gctx, g, i)
			})
		default:
			if bytes+size > r.groupSize() || len(group) == groupFiles {
				flush()
			}
			group = append(group, i)
			if bytes += size; cut.EndsGroup(src.path, size) {
				flush()
			}
		}
	}
	if gctx.Err() == nil {
		flush()
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// sourceFile is a file that must not change while it is read.
type sourceFile struct {
	*os.File
	ctx context.Context
	src *source
}

// open opens a source and checks that it is still what the scan saw.
func open(ctx context.Context, src *source) (*sourceFile, error) {
	f, err := openSource(src.name)
	if err != nil {
		if fi, statErr := os.Lstat(src.name); statErr != nil || stampOf(fi) != src.stamp {
			err = fmt.Errorf("%s: %w: %w", src.name, ErrChanged, err)
		}
		return nil, err
	}
	s := &sourceFile{f, ctx, src}
	if err := s.same(); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func (s *sourceFile) same() error {
	fi, err := s.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || stampOf(fi) != s.src.stamp {
		return fmt.Errorf("%s: %w", s.src.name, ErrChanged)
	}
	return nil
}

// read fills b.
func (s *sourceFile) read(b []byte) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	_, err := io.ReadFull(s, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %w: it is shorter than it was", s.src.name, ErrChanged)
	}
	return err
}

// end checks that all was read, and of the file that was scanned.
func (s *sourceFile) end() error {
	if n, err := s.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return fmt.Errorf("%s: %w: it is longer than it was", s.src.name, ErrChanged)
	}
	return s.same()
}
