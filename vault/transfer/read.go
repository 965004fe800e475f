package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync/atomic"

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
// order; large ones in pieces, several files at once.
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

// group reads small files into one buffer and stores it as a chunk, in the
// background.
func (r *run) group(ctx context.Context, g *errgroup.Group, members []int) {
	buf, err := r.plain.get(ctx)
	if err != nil {
		return // ctx has ended, and data says so
	}
	g.Go(func() error {
		release := func() { r.plain.put(buf) }
		for _, i := range members {
			var err error
			if buf, err = r.readSmall(ctx, buf, i); err != nil {
				release()
				return err
			}
		}
		c := new(manifest.Chunk)
		if len(buf) > 0 {
			if c, err = r.storeData(ctx, buf, release); err != nil {
				return err
			}
		} else {
			release()
		}
		off := int64(0)
		for _, i := range members {
			if size := r.tree.sources[i].stamp.size; size > 0 {
				r.files[i].pieces = []manifest.Piece{{Chunk: c, Offset: off, Length: size}}
				off += size
			}
		}
		r.meter.add(Progress{Files: int64(len(members)), Bytes: off})
		return nil
	})
}

// readSmall appends a file to buf and notes its SHA-256.
func (r *run) readSmall(ctx context.Context, buf []byte, i int) ([]byte, error) {
	src := &r.tree.sources[i]
	f, err := open(ctx, src)
	if err != nil {
		return buf, err
	}
	defer f.Close()
	start := len(buf)
	buf = buf[:start+int(src.stamp.size)]
	if err := f.read(buf[start:]); err != nil {
		return buf[:start], err
	}
	r.files[i].sum = canonical.Sum(buf[start:])
	return buf, f.end()
}

// large reads a large file piece by piece. Each piece is stored in the
// background while this goroutine adds it to the file's SHA-256.
func (r *run) large(ctx context.Context, g *errgroup.Group, i int) error {
	src := &r.tree.sources[i]
	f, err := open(ctx, src)
	if err != nil {
		return err
	}
	defer f.Close()
	pieces := make([]manifest.Piece, (src.stamp.size+manifest.MaxChunk-1)/manifest.MaxChunk)
	r.files[i].pieces = pieces
	sum := sha256.New()
	for k := range pieces {
		n := min(manifest.MaxChunk, src.stamp.size-int64(k)*manifest.MaxChunk)
		if err := r.piece(ctx, g, f, &pieces[k], n, sum); err != nil {
			return err
		}
	}
	sum.Sum(r.files[i].sum[:0])
	if err := f.end(); err != nil {
		return err
	}
	r.meter.add(Progress{Files: 1})
	return nil
}

// piece reads the next n bytes of f.
func (r *run) piece(ctx context.Context, g *errgroup.Group, f *sourceFile, p *manifest.Piece, n int64, sum hash.Hash) error {
	buf, err := r.plain.get(ctx)
	if err != nil {
		return err
	}
	buf = buf[:n]
	if err := f.read(buf); err != nil {
		r.plain.put(buf)
		return err
	}
	var users atomic.Int32 // the two that work on buf
	users.Store(2)
	release := func() {
		if users.Add(-1) == 0 {
			r.plain.put(buf)
		}
	}
	g.Go(func() error {
		c, err := r.storeData(ctx, buf, release)
		*p = manifest.Piece{Chunk: c, Length: n}
		return err
	})
	sum.Write(buf)
	release()
	r.meter.add(Progress{Bytes: n})
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
